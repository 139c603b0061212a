"""A plan as a Compose override: what differs from its topology's own, and that Compose makes the plan of the two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from topolab import paths
from topolab.errors import NotRunnable
from topolab.limits import LIMITS
from topolab.ownapp import OwnApp
from topolab.plan import Plan, resolve
from topolab.runtimes import compose, engine
from topolab.runtimes.base import environment_file
from topolab.runtimes.override import override
from topolab.topology import Catalog


def overriding(catalog: Catalog, name: str, *sets: str, limits_name: str = "default") -> dict[str, Any]:
    plan = resolve(catalog, name, sets=sets, limits_name=limits_name)
    return override(plan, resolve(catalog, name))


def test_every_server_of_the_stack_gets_what_differs(catalog: Catalog) -> None:
    """Variables as the servers read them, descriptors for the front too, kernel values for the pod; nothing else."""
    sets = ["threads=20", "thunder_lock=true", "listen=unix", "nofile=20000", "ip_local_port_range=20000 60999"]
    given = {"environment": {"THREADS": "20", "THUNDER_LOCK": "true"}, "ulimits": {"nofile": 20000}}
    assert overriding(catalog, "nginx-uwsgi", *sets) == {
        "app": given,
        "front": given,
        "pod": {"sysctls": {"net.ipv4.ip_local_port_range": "20000 60999"}},
    }


def test_every_limit_of_a_set_is_in_it(catalog: Catalog) -> None:
    """Containers get descriptors, processes and pids; the kernel values go where the network namespace is."""
    sets = ["nproc=500", "pids=300", "tcp_abort_on_overflow=1"]
    assert overriding(catalog, "gunicorn-sync", *sets, limits_name="tuned") == {
        "app": {"ulimits": {"nofile": 20000, "nproc": 500}, "pids_limit": 300},
        "pod": {
            "sysctls": {
                "net.core.somaxconn": 16384,
                "net.ipv4.tcp_max_syn_backlog": 16384,
                "net.ipv4.tcp_abort_on_overflow": 1,
                "net.ipv4.ip_local_port_range": "1024 65535",
            }
        },
    }


def test_a_front_inside_the_apps_program_has_no_container(catalog: Catalog) -> None:
    """Its settings go to the app's, which starts it."""
    assert overriding(catalog, "apache-mod-wsgi", "max_request_workers=50", "threads=20") == {
        "app": {"environment": {"THREADS": "20", "FRONT_MAX_REQUEST_WORKERS": "50"}}
    }


def test_every_instance_gets_it(catalog: Catalog) -> None:
    """Three gunicorns behind one nginx are three containers, each told the same."""
    found = overriding(catalog, "nginx-balanced", "workers=8")
    assert found == {key: {"environment": {"WORKERS": "8"}} for key in ("app", "app2", "app3", "front")}


def test_what_is_the_topologys_own_is_in_no_override(catalog: Catalog) -> None:
    """A setting that was typed and changes nothing leaves nothing to say."""
    assert overriding(catalog, "uwsgi-threads", "threads=10", "version=") == {}


@pytest.mark.parametrize(
    ("name", "typed", "named"),
    [
        ("nginx-gunicorn-sync", "listen=tcp", "app.listen"),
        ("nginx-balanced", "instances=2", "app.instances"),
        ("gunicorn-gthread", "version=25", "app.version"),
        ("gunicorn-sync", "entry=multi", "app.entry"),
    ],
)
def test_what_an_override_can_not_say_is_named(catalog: Catalog, name: str, typed: str, named: str) -> None:
    """What decides which containers there are, what is in them or where they listen is no variable of theirs."""
    with pytest.raises(NotRunnable, match=f"^{named} changes what the containers are"):
        overriding(catalog, name, typed)


def test_a_persons_own_app_is_in_no_container(catalog: Catalog, tmp_path: Path) -> None:
    """It is in no image."""
    plan = resolve(catalog, "waitress", own=OwnApp(tmp_path, "shop", "app"))
    with pytest.raises(NotRunnable, match="--app changes what the containers are"):
        override(plan, resolve(catalog, "waitress"))


@pytest.mark.engine
@pytest.mark.parametrize(
    ("name", "sets", "limits_name"),
    [
        ("gunicorn-sync", ["workers=20", "nofile=9000", "pids=300"], "tight-processes"),
        ("nginx-uwsgi", ["threads=20", "app.backlog=99", "front.worker_connections=6000"], "tuned"),
        ("nginx-balanced", ["workers=8", "nofile=9000", "nproc=500"], "default"),
        ("uwsgi-http", ["threads=20", "http_processes=2", "thunder_lock=true"], "tiny-backlog"),
        ("apache-mod-wsgi", ["max_request_workers=50"], "few-descriptors"),
    ],
)
def test_compose_makes_the_plan_of_the_topologys_own_and_the_override(
    catalog: Catalog, tmp_path: Path, name: str, sets: list[str], limits_name: str
) -> None:
    """`docker compose config` of both together is that of the plan itself."""
    plan, own = resolve(catalog, name, sets=sets, limits_name=limits_name), resolve(catalog, name)
    file = tmp_path / "override.yaml"
    file.write_text(yaml.safe_dump({"services": override(plan, own)}))
    assert configured(tmp_path, own, file) == configured(tmp_path, plan)


def configured(folder: Path, plan: Plan, *more: Path) -> dict[str, dict[str, Any]]:
    """By service, what Compose gives it of what a plan decides."""
    variables = {**compose.environment(plan, 8000), "PLAN_ENV": str(folder / "plan.env")}
    (folder / "plan.env").write_text(environment_file(variables))
    files = [*(paths.COMPOSE / name for name in compose.files(variables)), *more]
    words = [word for file in files for word in ("--file", str(file))]
    done = engine.docker(
        ["compose", "--project-name", "x", "--env-file", str(folder / "plan.env"), *words, "config", "--format", "json"]
    )
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    for instance in compose.unused(plan)[1::2]:
        del services[instance.removesuffix("=0")]
    found = {}
    for name, service in services.items():
        read = {key: value for key, value in service.get("environment", {}).items() if key.lower() not in LIMITS}
        limits = {key: service.get(key) for key in ("ulimits", "pids_limit", "sysctls")}
        found[name] = {"environment": read, **limits}
    return found
