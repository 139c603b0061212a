"""Fit and sensitivity, by the model alone; the measured proof is in tests/integration/test_behaviours.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from topolab import paths
from topolab.cli import cli
from topolab.cli.fitting import concluded
from topolab.experiments.capacity import capacity
from topolab.experiments.fit import Impossible, Target, alternatives, holds, solve
from topolab.experiments.sensitivity import binding, run, turns
from topolab.ledger import Ledger, PlaceCount, Spot
from topolab.model import predict
from topolab.plan import Plan, resolve
from topolab.runtimes.fake import FakeRuntime, observation
from topolab.topology import Catalog


def wanted(catalog: Catalog, name: str, target: Target, *sets: str) -> Plan:
    return resolve(catalog, name, sets=sets, requests=target.requests)


@pytest.mark.parametrize(
    ("name", "target", "settings"),
    [
        ("gunicorn-sync", Target(20, 500), {"app.workers": 20}),
        ("gunicorn-gthread", Target(50, 1000), {"app.threads": 50}),
        ("gunicorn-gevent", Target(5000, 500), {"app.worker_connections": 2500}),
        ("uwsgi-threads", Target(100, 1000), {"app.threads": 100, "app.backlog": 999}),
        ("uwsgi-processes", Target(64, 100), {"app.threads": 16}),
        ("waitress", Target(50, 2000), {"app.threads": 50, "app.backlog": 1951}),
        ("waitress", Target(400, 100), {"app.threads": 400, "app.connection_limit": 402}),
        ("flask-forking", Target(200, 100), {"app.processes": 200}),
        ("uvicorn-a2wsgi", Target(40, 500), {"app.a2wsgi_workers": 40}),
        ("tornado-wsgi", Target(5, 10), {"app.executor_threads": 5}),
        ("uwsgi-http", Target(500, 500), {"app.threads": 500, "app.backlog": 499}),
        ("apache-mod-wsgi", Target(60, 100), {"app.threads": 60}),
        ("nginx-uwsgi", Target(40, 3000), {"app.threads": 20, "app.backlog": 2999, "front.worker_connections": 6082}),
    ],
)
def test_the_fewest_numbers_are_raised_as_little_as_it_takes(
    catalog: Catalog, name: str, target: Target, settings: dict[str, int]
) -> None:
    """The solution holds, and with one less of any of its numbers it does not."""
    plan = solve(wanted(catalog, name, target), target)
    assert plan.asked.settings == settings
    assert holds(plan, target)
    for full, value in settings.items():
        less = [f"{key}={number - (key == full)}" for key, number in settings.items()]
        assert not holds(wanted(catalog, name, target, *less), target), f"{full}={value - 1} would do"


@pytest.mark.parametrize(
    ("name", "target", "sets", "nofile"),
    [
        ("flask-threaded", Target(2000, 0), ["nofile=1024"], 4004),
        ("nginx-gunicorn-gevent", Target(600, 0), ["nofile=1024"], 1207),  # nginx's own: (1207 - 7) // 2
        ("nginx-gunicorn-gevent", Target(9000, 0), [], 18_007),
        ("uwsgi-http", Target(200, 0), ["nofile=256", "processes=4"], 408),  # the router's: (408 - 8) // 2
    ],
)
def test_descriptors_are_raised_where_they_bind(
    catalog: Catalog, name: str, target: Target, sets: list[str], nofile: int
) -> None:
    """A limit is solved for like a setting, whichever service it binds, and then asked for by name."""
    plan = solve(wanted(catalog, name, target, *sets), target)
    assert plan.asked.limits == {"nofile": nofile}
    assert "nofile" in plan.demanded
    assert holds(plan, target)
    assert not holds(plan.with_limits({"nofile": nofile - 1}), target)


@pytest.mark.parametrize(
    ("name", "target", "why"),
    [
        ("flask-single", Target(2, 10), "at most 1 in handlers, by threaded=false"),
        ("hypercorn", Target(500, 10), "by cpus, which is no setting"),
        ("flask-forking", Target(200, 300), "left outside before 300 wait, and no backlog changes that"),
        ("gunicorn-sync", Target(10, 70_000), "backlog can be 65535 at most"),
    ],
)
def test_what_is_impossible_says_why(catalog: Catalog, name: str, target: Target, why: str) -> None:
    """The line that stands is named."""
    with pytest.raises(Impossible, match=why):
        solve(wanted(catalog, name, target), target)


def test_others_that_could_are_named(catalog: Catalog) -> None:
    """An alternative is a topology whose own solution holds."""
    target = Target(2, 10)
    found = alternatives(catalog, target, but="flask-single")
    assert len(found) == 3
    for name in found:
        assert holds(solve(wanted(catalog, name, target), target), target)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What `fit` prints, without measuring."""
    cli.main(["fit", *words, "--no-prove"], standalone_mode=False)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (["gunicorn-sync", "--in-flight", "10", "--queue", "8000", "--limits", "tuned"],
         "topolab up gunicorn-sync --limits tuned --set app.workers=10 --set app.backlog=7999"),
        (["gunicorn-gevent", "--in-flight", "100", "--limits", "tuned"], "topolab up gunicorn-gevent --limits tuned"),
        (["gunicorn-sync", "--in-flight", "5", "--set", "ip_local_port_range=20000 60999"],
         "topolab up gunicorn-sync --set app.workers=5 --set 'ip_local_port_range=20000 60999'"),
        (["gunicorn-gevent", "--in-flight", "100"], "gunicorn-gevent holds that as it is."),
    ],
)  # fmt: skip
def test_what_it_says_to_type_is_what_it_solved(
    capsys: pytest.CaptureFixture[str], words: list[str], first: str
) -> None:
    """The set of limits is named, and a value with a space is one word."""
    assert told(capsys, *words).splitlines()[0] == first


def test_what_it_solved_is_told_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With the set of limits that it was solved under, and what to type."""
    words = ("gunicorn-sync", "--in-flight", "10", "--queue", "8000", "--limits", "tuned")
    assert json.loads(told(capsys, *words, "--json")) == {
        "settings": {"app.workers": 10, "app.backlog": 7999},
        "limits": {},
        "limits_name": "tuned",
        "in_handlers_surely": 10,
        "up": "topolab up gunicorn-sync --limits tuned --set app.workers=10 --set app.backlog=7999",
    }


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["uwsgi-threads", "--in-flight", "20"],
         "services:\n  app:\n    environment:\n      THREADS: '20'\n"),
        (["nginx-gunicorn-sync", "--in-flight", "5", "--set", "listen=tcp"],
         "# none: app.listen changes what the containers are, and an override only what they are given.\n"),
        (["uwsgi-threads", "--in-flight", "5", "--set", "threads=10"],
         "# none: nothing differs from the topology's own\n"),
    ],
)  # fmt: skip
def test_what_it_solved_is_told_as_a_compose_override(
    capsys: pytest.CaptureFixture[str], words: list[str], part: str
) -> None:
    """YAML as it stands, or one line that says why there is none."""
    assert f"# as a Compose override\n{part}\n# as variables" in told(capsys, *words)


EAGER = (
    "Every worker accepts for itself before it knows whether it has a free thread, so requests can wait behind a busy "
    "worker while threads are idle in another."
)


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["--in-flight", "50", "--set", "workers=2"],
         ["topolab up gunicorn-gthread --set app.workers=2 --set app.threads=25",
          f"# 50 in handlers, 25 of them for sure: {EAGER}", ""]),
        (["--in-flight", "50"], ["topolab up gunicorn-gthread --set app.threads=50", "", "# as a Compose override"]),
    ],
)  # fmt: skip
def test_what_chance_may_leave_out_is_told(
    capsys: pytest.CaptureFixture[str], words: list[str], lines: list[str]
) -> None:
    """Where the server is random it says how many are held for sure, and why."""
    assert told(capsys, "gunicorn-gthread", *words).splitlines()[:3] == lines


@pytest.mark.parametrize(
    ("name", "sets", "in_flight", "seen", "code", "says"),
    [
        ("gunicorn-gthread", ["workers=2", "threads=25"], 50, {("app", "handler"): 50}, 0, ""),
        ("gunicorn-gthread", ["workers=2", "threads=25"], 50, {("app", "handler"): 48, ("app", "waiting"): 2}, 0,
         f"topolab: 48 stood in handlers, 50 were wanted. Chance decides, and leaves 25 at least: {EAGER}\n"),
        ("gunicorn-gthread", ["workers=2", "threads=25"], 50, {("app", "handler"): 24, ("app", "waiting"): 26}, 2,
         "topolab: 24 stood in handlers, 50 were wanted: the model is wrong for these settings.\n"),
        ("gunicorn-gevent", ["nofile=64"], 100, {("app", "handler"): 54, ("client", "error"): 46}, 2,
         "topolab: 54 stood in handlers, 100 were wanted: nofile binds, with the limits that this machine gives.\n"),
    ],
)  # fmt: skip
def test_the_model_is_wrong_only_where_it_does_not_allow_what_was_seen(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    name: str, sets: list[str], in_flight: int, seen: dict[Spot, int], code: int, says: str,
) -> None:  # fmt: skip
    """Fewer by chance are what was told; fewer than the least that is sure accuse the model."""
    monkeypatch.setattr("topolab.paths.STATE", tmp_path)
    plan = resolve(catalog, name, sets=sets, requests=in_flight)
    runtime = FakeRuntime({name: observation(*Ledger.of(seen))})
    assert concluded(capacity(runtime, plan, lambda _: None), in_flight) == code
    assert capsys.readouterr().err == says


def test_your_own_app_is_in_what_it_says_to_type(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It goes along to `up`; containers and hosts do not have it, and nothing is said to type for them."""
    (tmp_path / "shop.py").write_text("app = None\n")
    text = told(capsys, "waitress", "--in-flight", "4", "--app", f"{tmp_path}:shop:app")
    assert text.splitlines()[0] == f"topolab up waitress --app {tmp_path}:shop:app"
    assert "# none: --app changes what the containers are" in text
    assert "topolab plan" not in text


def test_what_was_found_is_told_as_variables_of_the_roles(capsys: pytest.CaptureFixture[str]) -> None:
    """The last part is YAML as it stands: variables that the roles specify, with the values that were found."""
    text = told(capsys, "uwsgi-threads", "--in-flight", "100", "--queue", "9000", "--set", "nofile=2048")
    variables = yaml.safe_load(text.partition("# as variables of the Ansible roles")[2].partition("\n")[2])
    assert variables["host_limits_nofile"] == 2048
    assert [(value["name"], value["value"]) for value in variables["kernel_network_values"]] == [
        ("net.core.somaxconn", 9000)
    ]
    environment = variables["stack_environment"]
    assert environment | {"THREADS": "100", "BACKLOG": "9000", "SOMAXCONN": "9000", "NOFILE": "2048"} == environment
    roles = [paths.HOME / "ansible/roles" / name for name in ("host_limits", "kernel_network", "stack")]
    specified = [yaml.safe_load((role / "meta/argument_specs.yml").read_text()) for role in roles]
    options = [role["argument_specs"]["main"]["options"] for role in specified]
    assert all(any(name in known for known in options) for name in variables)


def test_every_number_is_doubled_once(catalog: Catalog) -> None:
    """Each number and switch of servers and limits has its turn, alone, by the name that the model gives its lines."""
    plan = resolve(catalog, "nginx-gunicorn-sync")
    found = {turn.name: turn for turn in turns(plan)}
    assert {"workers", "backlog", "reuse_port", "front.worker_connections", "nofile", "somaxconn"} <= set(found)
    workers = found["workers"]
    assert (workers.value, workers.others) == (4, (8, 2))
    assert workers.with_value(8).settings["app"]["workers"] == 8
    assert workers.with_value(8).asked.settings == {"app.workers": 8}
    assert found["reuse_port"].others == (True,)
    ruled = {turn.name: turn for turn in turns(resolve(catalog, "granian"))}["blocking_threads"]
    assert (ruled.value, ruled.others) == (512, (1024, 256))
    assert found["somaxconn"].with_value(64).demanded == {"somaxconn"}


@pytest.mark.parametrize(("name", "requests"), [("waitress", 300), ("gunicorn-gevent", 2201), ("flask-threaded", 300)])
def test_as_many_are_asked_for_as_it_takes(catalog: Catalog, name: str, requests: int) -> None:
    """Where no limit binds at so many, it is raised a little beyond the first that would, within reason."""
    plan = binding(resolve(catalog, name, requests=300))
    assert plan.asked.requests == requests
    assert bool(predict(plan, requests).bound_by) == (name != "flask-threaded")


def test_a_fronts_descriptors_that_move_nothing_are_named(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model says that nginx's descriptors bind: where the ledger stays as they are doubled, that is a finding."""
    monkeypatch.setattr("topolab.paths.STATE", tmp_path)
    plan = resolve(catalog, "nginx-gunicorn-gevent", sets=["nofile=255"], requests=300)
    always = observation(PlaceCount("app", "handler", 124), PlaceCount("front", "accept_queue", 176))
    found = run(FakeRuntime({plan.name: always}), plan, lambda _: None)
    assert found.bound_by == "front.nofile"
    assert "nofile binds, as the model says, but changing it moved nothing." in [
        finding.message for finding in found.findings
    ]
