"""From YAML and the command line to a plan; and every mistake on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from topolab.errors import LabError, NotRunnable
from topolab.plan import resolve
from topolab.runtimes import images, venvs
from topolab.topology import Catalog


def message(root: Path, name: str = "gunicorn-sync", **options: object) -> str:
    with pytest.raises(LabError) as caught:
        resolve(Catalog(root), name, **options)  # type: ignore[arg-type]  # options vary by test
    return str(caught.value).replace(f"{root}/", "")


def test_a_plan_is_flat(catalog: Catalog) -> None:
    """Every setting and limit stands in one flat environment file, the front's with a prefix."""
    environment = resolve(catalog, "nginx-gunicorn-sync", sets=["workers=7", "nofile=2000"]).environment()
    assert environment["SERVER"] == "gunicorn"
    assert environment["LISTEN"] == "unix"
    assert environment["WORKERS"] == "7"
    assert environment["BACKLOG"] == "2048"
    assert environment["FRONT_SERVER"] == "nginx"
    assert environment["FRONT_WORKER_CONNECTIONS"].isdecimal()
    assert environment["NOFILE"] == "2000"
    assert environment["NPROC"] == ""


def test_what_was_asked_is_kept_beside_what_was_resolved(catalog: Catalog) -> None:
    """`asked` holds only what deviates from the topology's own file, by full names."""
    asked = resolve(catalog, "gunicorn-sync", sets=["workers=7", "somaxconn=100"], requests=50).asked
    assert (asked.requests, asked.settings, asked.limits) == (50, {"app.workers": 7}, {"somaxconn": 100})


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        (["workers=two"], '--set workers is "two". Write a whole number, 1 to 512.'),
        (["workers=0"], "--set workers is 0. Write a whole number, 1 to 512."),
        (["workers=1.5"], '--set workers is "1.5". Write a whole number, 1 to 512.'),
        (["worker_class=gvent"], '--set worker_class is "gvent". Write one of sync, gthread, gevent, '),
        (["worker=2"], '--set worker: gunicorn-sync has no setting or limit "worker". Did you mean "workers"?'),
        (["workers"], '--set "workers" is not NAME=VALUE. Write, for instance, --set workers=1.'),
        (["nofile=1"], "--set nofile is 1. Write a whole number, 16 to 1048576."),
        (["version=24"], '--set version is "24", and servers/gunicorn has no requirements-24.txt. Did you mean "25"?'),
        (["listen=unix"], "--set listen is unix, but gunicorn-sync has no front that could reach it. Write tcp."),
        (["front.workers=2"], '--set front.workers: gunicorn-sync has no setting or limit "front.workers". '
                              'Did you mean "workers"?'),
    ],
)  # fmt: skip
def test_a_wrong_override_gets_one_line_that_says_what_to_write(
    own_topologies: Path, sets: list[str], expected: str
) -> None:
    """An unknown or mistyped setting or limit names itself, its value and what is allowed."""
    assert message(own_topologies, sets=sets).startswith(expected)


def test_a_release_is_another_lock_of_the_same_server(catalog: Catalog) -> None:
    """A version picks the lock of that name in the server's folder, and the plan says so; settings and model stay."""
    usual = resolve(catalog, "gunicorn-gthread")
    older = resolve(catalog, "gunicorn-gthread", sets=["version=25"])
    assert older.environment() == usual.environment() | {"VERSION": "25"}
    assert older.asked.settings == {"app.version": "25"}
    locks = [venvs.lock_of(plan, plan.app) for plan in (usual, older)]
    assert [file.name for lock in locks if lock for file in lock.files] == ["requirements.txt", "requirements-25.txt"]
    assert venvs.locked_versions(older.app)["gunicorn"].startswith("25.")
    apps = [images.of(plan)[0] for plan in (usual, older)]
    assert apps[0].tag != apps[1].tag
    assert apps[1].arguments["REQUIREMENTS"] == "topologies/servers/gunicorn/requirements-25.txt"


def test_an_unknown_topology_suggests_the_nearest(own_topologies: Path) -> None:
    """A misspelt topology is answered with the one that was probably meant."""
    expected = 'There is no topology "gunicorn-synk". Did you mean "gunicorn-sync"? `topolab list` shows all.'
    assert message(own_topologies, "gunicorn-synk") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("summary: x\napp: {server: gunicorn, workers: two}",
         'gunicorn-sync.yaml: app.workers is "two". Write a whole number, 1 to 512.'),
        ("summary: x\napp: {server: gunicorn, worker: 2}",
         'gunicorn-sync.yaml: gunicorn has no setting "app.worker". Did you mean "workers"?'),
        ("summary: x\napp: {server: gunicrn}",
         'gunicorn-sync.yaml: app.server is "gunicrn". Did you mean "gunicorn"?'),
        ("summary: x\nap: {server: gunicorn}\napp: {server: gunicorn}",
         'gunicorn-sync.yaml: unknown key "ap". Did you mean "app"?'),
        ("summary: x", 'gunicorn-sync.yaml: the key "app" is missing.'),
        ("summary: x\napp: {server: nginx}",
         'gunicorn-sync.yaml: app.server is "nginx", which is a server for `front`.'),
        ("summary: x\napp: {server: gunicorn, listen: unix}",
         "gunicorn-sync.yaml: app.listen is unix, but there is no front. Write tcp, or add a front."),
        ("summary: [", "gunicorn-sync.yaml line "),
        ("summary: x\napp: {server: gunicorn}\nproof: {{ proof }}",
         "gunicorn-sync.yaml line 3: this is not YAML: a key is a word, not a list or a mapping (a template's "),
        ("summary: x\n? [a]\n: b", "gunicorn-sync.yaml line 2: this is not YAML: a key is a word, not a list or "),
        ("summary: !!bool maybe", "gunicorn-sync.yaml line 1: this is not YAML: 'maybe' is no !!bool."),
        ("summary: x\nstandard: !!int ''", "gunicorn-sync.yaml line 2: this is not YAML: '' is no !!int."),
        ("summary: !!timestamp x", "gunicorn-sync.yaml line 1: this is not YAML: 'x' is no !!timestamp."),
        ("summary: !!map x", "gunicorn-sync.yaml line 1: this is not YAML: expected a mapping node, but found scalar."),
        ("- a", "gunicorn-sync.yaml: holds a list, not a mapping of keys to values."),
    ],
)  # fmt: skip
def test_a_wrong_topology_file_is_named_with_key_and_value(own_topologies: Path, text: str, expected: str) -> None:
    """A mistake in a topology's YAML names file, key and value, and the way out."""
    (own_topologies / "gunicorn-sync.yaml").write_text(text)
    assert message(own_topologies).startswith(expected)


def test_a_setting_of_two_services_must_say_whose(own_topologies: Path) -> None:
    """A name that two services share is refused until it says which service is meant."""
    server = own_topologies / "servers/nginx/server.yaml"
    extra = "settings:\n  workers: {type: int, default: 1, min: 1, help: x, source: x}\n"
    server.write_text(server.read_text().replace("settings:\n", extra))
    expected = '--set workers: more than one service has a setting "workers". Write app.workers or front.workers.'
    assert message(own_topologies, "nginx-gunicorn-sync", sets=["workers=2"]) == expected
    plan = resolve(Catalog(own_topologies), "nginx-gunicorn-sync", sets=["app.workers=2"])
    assert plan.settings["app"]["workers"] == 2


def test_an_unknown_limit_set_is_named(own_topologies: Path) -> None:
    """A misspelt limit set is answered with the nearest."""
    expected = 'limits.yaml: there is no limit set "defalt". Did you mean "default"?'
    assert message(own_topologies, limits_name="defalt") == expected


def test_a_limit_set_inherits(catalog: Catalog) -> None:
    """What a set does not name comes from the set it extends."""
    values = catalog.limit_sets.values("article-macos")
    assert values["nofile"] == 256
    assert values["somaxconn"] == catalog.limit_sets.values("default")["somaxconn"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("default: {summary: x, extends: other}\nother: {summary: x, extends: default}",
         "limits.yaml: default -> other -> default extend one another in a circle."),
        ("default: {summary: x, limits: {nofil: {value: 1, why: x, source: x}}}",
         'limits.yaml: default.nofil is no limit. Did you mean "nofile"?'),
        ("default: {summary: x, limits: {nofile: {value: 1, why: x, source: x}}}",
         "limits.yaml: default.nofile is 1. Write a whole number, 16 to 1048576."),
    ],
)  # fmt: skip
def test_a_wrong_limit_set_is_named_with_key_and_value(own_topologies: Path, text: str, expected: str) -> None:
    """A mistake in limits.yaml names set, limit and value."""
    (own_topologies / "limits.yaml").write_text(text)
    assert message(own_topologies) == expected


def test_every_topology_resolves(catalog: Catalog) -> None:
    """Each topology of the lab gives a plan, and its name is its file's."""
    for name in catalog.names:
        assert resolve(catalog, name).environment()["TOPOLOGY"] == name


def test_settings_that_a_server_refuses_are_known_before(catalog: Catalog) -> None:
    """A listener for each worker can't be had on a unix socket: refused with what to write, and fine over TCP."""
    with pytest.raises(NotRunnable, match=r"a unix socket has one listener\. Write listen=tcp\."):
        resolve(catalog, "nginx-gunicorn-sync", sets=["reuse_port=true"]).require_startable()
    resolve(catalog, "nginx-gunicorn-sync", sets=["reuse_port=true", "listen=tcp"]).require_startable()
