"""However the instrument ends, it says why in one line and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from tests.instrument.conftest import children, command, environment, eventually, is_alive, read_until, run, start
from tests.instrument.servers import Server, at_once, free_port, held


def slowly(server: Server, gate: int) -> list[object]:
    """A run that opens for 100 s."""
    return ["--requests", 1000, "--rate", 10, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_by_a_signal(gate: int, number: signal.Signals, code: int) -> None:
    """SIGINT ends it with 130 and SIGTERM with 143, without a traceback and without children."""
    with Server(gate, held) as server, start(*slowly(server, gate), process_group=0) as process:
        read_until(process, "opening")
        pids = children(process.pid)
        os.killpg(process.pid, number)  # as a terminal does it: to all of them
        assert process.wait(5) == code
        assert len(pids) == 2
        assert not any(is_alive(pid) for pid in pids)
        assert process.stderr
        assert process.stderr.read() == f"stopped: {number.name}\n"


def test_killed(gate: int) -> None:
    """Killed with -9, it takes its children with it."""
    with Server(gate, held) as server, start(*slowly(server, gate)) as process:
        read_until(process, "opening")
        pids = children(process.pid)
        process.kill()
        assert eventually(lambda: not any(is_alive(pid) for pid in pids))


def test_parent_killed(gate: int) -> None:
    """When its parent is killed with -9, its standard input ends, and so does it."""
    with Server(gate, held) as server:
        script = (
            "import subprocess, sys, time\n"
            "child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)\n"
            "while 'opening' not in child.stdout.readline(): pass\n"
            "print(child.pid, flush=True)\n"
            "time.sleep(60)\n"
        )
        arguments = [sys.executable, "-c", script, *command(*slowly(server, gate), "--watch-stdin")]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment()) as parent:
            assert parent.stdout
            pid = int(parent.stdout.readline())
            pids = [pid, *children(pid)]
            parent.kill()
        assert len(pids) == 3
        assert eventually(lambda: not any(is_alive(pid) for pid in pids))


def test_child_killed(gate: int) -> None:
    """When one of its processes is killed, it says which, and ends."""
    with Server(gate, held) as server, start(*slowly(server, gate)) as process:
        read_until(process, "opening")
        os.kill(children(process.pid)[0], signal.SIGKILL)
        stdout, _ = process.communicate(timeout=5)
    assert process.returncode == 2
    assert stdout.splitlines()[-1] == (
        '{"event": "failed", "message": "The instrument\'s gate ended too early. Its reason is on standard error."}'
    )


def test_gate_port_in_use(gate: int) -> None:
    """A gate port that is in use is named."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", gate))
        other.listen()
        ended = run("--requests", 5, "--listener", "app=127.0.0.1:9", "--gate", f"127.0.0.1:{gate}")
    assert ended.returncode == 2
    assert ended.events == [
        {
            "event": "failed",
            "message": f"The gate's port is in use: 127.0.0.1:{gate}. Give it a free one with --gate.",
        }
    ]


def test_nothing_listens(gate: int) -> None:
    """Where nothing listens, it says so at once."""
    port = free_port()
    ended = run("--requests", 5, "--listener", f"app=127.0.0.1:{port}", "--gate", f"127.0.0.1:{gate}")
    assert ended.returncode == 2
    assert ended.events[-1] == {
        "event": "failed",
        "message": f"Nothing listens on 127.0.0.1:{port}. Start the server first.",
    }


def test_descriptor_shortage(gate: int) -> None:
    """Short of descriptors it works around the limit as far as it goes, and counts what it could not open."""
    with Server(gate, held, backlog=4096) as server:
        ended = run(
            "--requests", 1000, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}", descriptors=64
        )
    instrument = ended.result["instrument"]
    assert instrument["descriptor_limit"] == 64
    assert 0 < instrument["descriptors_short"] < 1000
    assert sum(ended.ledger.values()) + instrument["descriptors_short"] >= 1000
    assert ended.result["after_release"]["failed"] == 0


def test_few_descriptors_are_enough(gate: int) -> None:
    """A limit below the number of requests is worked around with more processes."""
    with Server(gate, held, backlog=4096) as server:
        ended = run(
            "--requests", 400, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}", descriptors=100
        )
    assert ended.ledger == {"app.handler": 400}
    assert ended.result["instrument"]["descriptors_short"] == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--requests", "0"], 'argument --requests: "0" is not a number above 0'),
        (["--hold", "-1"], 'argument --hold: "-1" is not a number, 0 or more'),
        (["--sleep-s", "301"], 'argument --sleep-s: "301" is not a number above 0, 300 at most'),
        (
            ["--hold", "1", "--route", "sleep"],
            "--hold: handlers that sleep end by themselves; hold with --route gate or --route async",
        ),
        (["--requests", "many"], 'argument --requests: "many" is not a number above 0'),
        (["--listener", "app=nowhere"], 'argument --listener: "nowhere" is not HOST:PORT, as in 127.0.0.1:8000'),
        (["--listener", "db=1.1.1.1:1"], 'argument --listener: "db=1.1.1.1:1" is not app=ADDRESS or front=ADDRESS'),
        (["--gate", "x:1"], 'argument --gate: "x" is not an IPv4 address in numbers, as in 127.0.0.1'),
        (
            ["--listener", "app=unix:/run/app.sock"],
            "--listener: clients connect over TCP; put a front before a unix socket, or give HOST:PORT",
        ),
        (
            ["--listener", "front=127.0.0.1:8000"],
            "--listener: say where the app listens, as in --listener app=127.0.0.1:8000",
        ),
        (
            ["--listener", "app=127.0.0.1:1", "--listener", "app=127.0.0.1:2"],
            "--listener: several apps need a front that balances over them; add front=HOST:PORT",
        ),
        (
            ["--listener", "front=127.0.0.1:1", "--listener", "app=127.0.0.1:1"],
            "--listener: give each address once, and one front at most",
        ),
    ],
)
def test_bad_command_line(arguments: list[str], complaint: str) -> None:
    """A command line that makes no sense ends with 2 and says what to write."""
    sound = {"--requests": "5", "--listener": "app=127.0.0.1:9", "--gate": "127.0.0.1:9"}
    rest = [word for flag, value in sound.items() if flag not in arguments for word in (flag, value)]
    ended = run(*rest, *arguments)
    assert (ended.returncode, ended.events) == (2, [])
    assert ended.stderr.splitlines()[-1] == f"python -m topolab.instrument capacity: error: {complaint}"


def test_progress_is_bounded(gate: int) -> None:
    """Progress names every phase once it begins and comes at most about ten times a second."""
    with Server(gate, at_once) as server:
        ended = run("--requests", 100, "--rate", 100, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}")
    progress = [event for event in ended.events if event["event"] == "progress"]
    phases = list(dict.fromkeys(event["phase"] for event in progress))
    assert phases == ["settling", "opening", "resting", "census", "releasing"]
    assert {"event": "progress", "phase": "opening", "done": 100, "of": 100} in progress
    assert len(progress) < 30
