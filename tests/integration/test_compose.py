"""Real servers in containers: the same plan, the same counts."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import time
import urllib.request
from typing import Any

import pytest

from tests.integration.lab import Lab, ended, instrument_of, places, until
from topolab.runtimes import engine
from topolab.runtimes.ports import free_port
from topolab.topology import Catalog

pytestmark = pytest.mark.engine
COMPOSE = ("--runtime", "compose")


def containers(lab: Lab) -> list[str]:
    """Names of this lab's containers, stopped ones too; another checkout on the machine has its own."""
    mine = f"topolab-{hashlib.sha256(str(lab.home / 'state').encode()).hexdigest()[:6]}-"
    result = engine.docker(["ps", "--all", "--filter", "label=topolab.stack", "--format", "{{.Names}}"])
    return sorted(name for name in result.stdout.split() if name.startswith(mine))


@pytest.mark.nginx
def test_the_counts_in_containers_equal_the_counts_in_processes(lab: Lab) -> None:
    """Every standard topology at its own settings holds 300 requests at the same places in both runtimes."""
    ledgers: dict[str, dict[str, dict[str, int]]] = {}
    for runtime in ("process", "compose"):
        result = lab.run("compare", "--runtime", runtime, "--requests", "300", "--json")
        assert result.code == 0, (result.err, result.out)
        ledgers[runtime] = {run["topology"]: places(run) for run in result.json}
    assert ledgers["compose"] == ledgers["process"]
    assert sorted(ledgers["compose"]) == Catalog().chosen(())


def test_a_stack_of_containers_has_limits_of_its_own(lab: Lab) -> None:
    """somaxconn, which processes share with the machine, is a stack's own in containers; the ledger shows it."""
    result = lab.run(
        "capacity", "gunicorn-sync", *COMPOSE, "--requests", "200", "--set", "somaxconn=64", "--set", "nofile=512",
        "--set", "nproc=200", "--set", "pids=300", "--json",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert places(result.json) == {"app handler": 4, "app accept_queue": 65, "client unanswered": 131}
    assert result.json["measured"]["listeners"][0]["send_q"] == 64


def test_up_status_logs_down(lab: Lab) -> None:
    """A stack of containers comes up on 127.0.0.1 only, unprivileged, and goes down without a trace."""
    port = free_port()
    up = lab.run("up", "gunicorn-gevent", *COMPOSE, "--port", str(port))
    assert (up.code, up.out) == (0, f"gunicorn-gevent is up at http://127.0.0.1:{port}/ (compose)\n"), up.err
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        assert json.load(answer)["served_by"]["server"].startswith("gunicorn/")
    assert lab.run("status", "--json").json[0]["services"] == {"app": "running"}
    assert "Booting worker" in lab.run("logs", "gunicorn-gevent").out

    mine = containers(lab)
    assert len(mine) == 2
    for details in json.loads(engine.docker(["inspect", *mine]).stdout):
        assert details["Config"]["User"] in ("10001:10001", "10002:10002")
        host: dict[str, Any] = details["HostConfig"]
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert not host["Privileged"]
        for bindings in (host["PortBindings"] or {}).values():
            assert [binding["HostIp"] for binding in bindings] == ["127.0.0.1"]

    assert lab.run("down", "gunicorn-gevent").code == 0
    assert containers(lab) == []


def test_an_unreachable_limit_is_refused_before_anything_starts(lab: Lab) -> None:
    """A limit that the engine can't grant is refused with what it can."""
    if engine.highest_nofile() is None:
        pytest.skip("this engine may raise any limit")
    result = lab.run("up", "gunicorn-sync", *COMPOSE, "--set", "nofile=1048576")
    assert result.code == 2
    assert f"Write --set nofile={engine.highest_nofile()}" in result.err


def test_a_server_that_dies_at_start_shows_its_last_lines(lab: Lab) -> None:
    """A container whose server ends instead of serving is reported with its last output, and removed."""
    result = lab.run("up", "gunicorn-sync", *COMPOSE, "--port", str(free_port()), "--set", "pids=2")
    assert result.code == 2
    assert "gunicorn-sync did not start" in result.err
    assert "Resource temporarily unavailable" in result.err
    assert containers(lab) == []


def test_an_interrupted_lab_removes_its_containers(lab: Lab) -> None:
    """Ctrl-C in the middle of a measurement removes the instrument's container and the stack's."""
    command = lab.start("capacity", "gunicorn-sync", *COMPOSE, "--requests", "5000")
    until(lambda: instrument_of(command), "the instrument runs")
    while command.poll() is None:  # again and again, to the whole process group, as an impatient person does
        with contextlib.suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGINT)
        time.sleep(0.1)
    result = ended(command)
    assert result.code == 2
    assert "Traceback" not in result.err
    assert containers(lab) == []


def test_what_a_killed_lab_left_is_swept(lab: Lab) -> None:
    """After kill -9 of the lab its containers are found by their record, and removed by the next command."""
    command = lab.start("capacity", "gunicorn-sync", *COMPOSE, "--requests", "5000")
    until(lambda: instrument_of(command), "the instrument runs")
    command.kill()
    ended(command)
    assert containers(lab) != []
    result = lab.run("capacity", "flask-single", *COMPOSE, "--requests", "20", "--json")
    assert result.code == 0, result.err
    assert "left behind by a topolab that was killed" in result.err
    assert containers(lab) == []
