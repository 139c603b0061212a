"""Plans as the variable that the playbooks read, and what Ansible says as one clear line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from topolab import paths
from topolab.cli import cli
from topolab.errors import LabError, NotRunnable
from topolab.plan import resolve
from topolab.results import ExpectedQueue
from topolab.runtimes.plays import Inventory, clear
from topolab.runtimes.rollout import HostRuntime, limits_of, rollout
from topolab.topology import Catalog

RUNTIMES: tuple[HostRuntime, ...] = ("compose", "systemd")


def rolled(catalog: Catalog, name: str, runtime: HostRuntime = "compose", *sets: str, **more: Any) -> dict[str, Any]:
    limits = more.pop("limits_name", "default")
    return rollout(resolve(catalog, name, sets=sets, limits_name=limits), runtime, port=8000, **more)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_topology_can_be_rolled_out(catalog: Catalog, runtime: HostRuntime) -> None:
    """Each topology's variable is JSON, its services' start commands go along, and the environment is the plan's."""
    for name in catalog.names:
        variable = json.loads(json.dumps(rolled(catalog, name, runtime)))
        assert all(f"{service['folder']}/run" in variable["release"]["files"] for service in variable["services"])
        assert resolve(catalog, name).environment().items() <= variable["environment"].items()
        assert all((paths.HOME / file).exists() for file in variable["release"]["files"])
        assert len(variable["ports"]) == len(set(variable["ports"]))


def test_tune_changes_nothing_that_nobody_asked_for(tmp_path: Path) -> None:
    """Without a set of limits and without --set it says what to type, before any host is asked."""
    (tmp_path / "hosts.yml").write_text("all: {hosts: {web1: {ansible_host: 127.0.0.1, ansible_port: 1}}}\n")
    with pytest.raises(LabError, match="Name it: --limits tuned, or --set somaxconn=16384"):
        cli.main(["tune", "--hosts", str(tmp_path / "hosts.yml")], standalone_mode=False)


def test_units_listen_where_the_instrument_looks(catalog: Catalog) -> None:
    """On a host every instance has a port or socket of its own, on the loopback, beside the gate's."""
    variable = rolled(catalog, "nginx-balanced", "systemd", "app.listen=tcp")
    assert [service["name"] for service in variable["services"]] == ["app", "app2", "app3", "front"]
    assert variable["ports"] == [8000, 9001, 9002, 9003, 9005]
    assert "front=127.0.0.1:8000" in variable["listeners"]
    assert variable["services"][1]["environment"] == {"BIND": "127.0.0.1:9002"}


def test_limits_tell_who_asked_for_them_and_why(catalog: Catalog) -> None:
    """A set's own values are demanded, those it inherits are not, and one given by name says so."""
    variable = rolled(catalog, "gunicorn-sync", "compose", "nproc=500", limits_name="tuned")
    limits = {limit["name"]: limit for limit in variable["limits"]}
    assert limits["somaxconn"]["demanded"]
    assert limits["somaxconn"]["why"].startswith("So that a server's own backlog")
    assert limits["somaxconn"]["sysctl"] == "net.core.somaxconn"
    assert not limits["tcp_abort_on_overflow"]["demanded"]
    assert limits["nproc"] == limits["nproc"] | {"demanded": True, "value": 500, "why": "Asked for by name."}


def test_a_stack_of_one_measurement_ends_by_itself(catalog: Catalog) -> None:
    """A temporary stack has a lifetime, a lasting one has none."""
    assert rolled(catalog, "gunicorn-sync")["lifetime_s"] == 0
    temporary = rolled(catalog, "gunicorn-sync", stack="gunicorn-sync.1", experiment=["capacity"])
    assert temporary["temporary"]
    assert temporary["lifetime_s"] > 120


def test_queues_are_told_as_the_servers_ask_for_them(catalog: Catalog) -> None:
    """Several listeners of one address are told apart: somaxconn cuts each of them."""
    (queue,) = rolled(catalog, "gunicorn-sync", "compose", "reuse_port=true", "workers=3")["queues"]
    assert queue == {"service": "app", "backlog": 2048, "listeners": 3}
    from topolab.listeners import planned

    (planned_queue,) = planned(resolve(catalog, "gunicorn-sync", sets=["reuse_port=true", "workers=3"]))
    assert planned_queue.expected(128) == ExpectedQueue("app", 2048 * 3, 128 * 3)


def test_a_server_outside_the_repository_is_not_rolled_out(catalog: Catalog, own_topologies: Any) -> None:
    """Hosts get files of the repository; a server of another folder is refused, with the way out."""
    with pytest.raises(NotRunnable, match="outside"):
        rolled(Catalog(own_topologies), "gunicorn-sync")


def test_limits_alone_are_all_asked_for(catalog: Catalog) -> None:
    """What `tune` is given is demanded, whatever set it comes from; a misspelt limit is named."""
    assert all(limit["demanded"] for limit in limits_of(catalog, ["nofile=2048"], "default"))
    with pytest.raises(LabError, match=r'no limit "nofil"\. Did you mean "nofile"'):
        limits_of(catalog, ["nofil=1"], "default")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Failed to connect to the host via ssh: ssh: connect to host 127.0.0.1 port 1: Connection refused",
         "can't be reached: connect to host 127.0.0.1 port 1: Connection refused."),
        ("Failed to connect to the host via ssh: operator@127.0.0.1: Permission denied (publickey).",
         "ssh does not let us in"),
        ("Missing sudo password", "sudo asks for a password"),
        ("operator is not in the sudoers file.", "may not use sudo"),
        ("/bin/sh: 1: /usr/bin/python3: not found", "has no python3"),
        ("Task failed: Module failed: port 8000 is taken by nginx (pid 7).", "port 8000 is taken by nginx (pid 7)."),
    ],
)  # fmt: skip
def test_what_ansible_says_becomes_one_clear_line(said: str, told: str) -> None:
    """A raw error of ssh, sudo or a module is told in one line that says what to do."""
    assert told in clear({"msg": said})
    assert "\n" not in clear({"msg": said, "stderr": "and more\nlines"})


def test_an_inventory_that_is_not_there_is_named() -> None:
    """A path without a file is refused before anything runs; a list of hosts is no path."""
    with pytest.raises(
        LabError, match=r"nowhere\.yml: there is no such inventory\. Copy ansible/inventory/example\.yml"
    ):
        Inventory("nowhere.yml")
    local = str(paths.HOME / "ansible/inventory/local.yml")
    assert Inventory(local, "web*").words == ["--hosts", local, "--only", "web*"]
