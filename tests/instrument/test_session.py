"""`session`: one instrument that is asked for one experiment after the other."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.instrument import servers
from tests.instrument.conftest import children, environment, eventually, is_alive
from tests.instrument.servers import held, respond


class Server(servers.Server):
    """What is asked without a number is not there."""

    def answer(self, connection: socket.socket, request: bytes) -> None:
        if b" /healthz " in request or b"id=" in request:
            super().answer(connection, request)
        else:
            respond(connection, "404 Not Found")


@contextmanager
def session(server: Server, gate: int) -> Iterator[subprocess.Popen[str]]:
    words = ["session", "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}", "--watch-stdin"]
    with subprocess.Popen(
        [sys.executable, "-m", "topolab.instrument", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=environment(),
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def ask(process: subprocess.Popen[str], *words: object) -> list[dict[str, object]]:
    """Its events up to the result, or the failure."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(json.dumps([*map(str, words)]) + "\n")
    process.stdin.flush()
    events = []
    for line in process.stdout:
        events.append(json.loads(line))
        if events[-1]["event"] in ("result", "failed"):
            break
    return events


def test_one_experiment_after_the_other(gate: int) -> None:
    """Each has progress of its own, its children end with it; one that fails is no end; it ends with its input."""
    with Server(gate, held) as server, session(server, gate) as process:
        assert ask(process, "readback")[-1]["processes_seen"] == 1
        for requests in (7, 11):
            events = ask(process, "capacity", "--requests", requests)
            assert next(event["phase"] for event in events if "phase" in event) == "settling"
            assert events[-1]["event"] == "result"
            assert events[-1]["places"] == [{"service": "app", "place": "handler", "count": requests}]
            assert children(process.pid) == []
        [*_, failed] = ask(process, "load", "--laps", '[{"work": {"name": "path", "path": "/missing"}, "loop": "open", '
                           '"rate": 1, "seconds": 1}]')  # fmt: skip
        assert failed["event"] == "failed"
        assert "GET /missing of your app: status 404" in str(failed["message"])
        assert ask(process, "readback")[-1]["event"] == "result"
        assert process.stdin
        process.stdin.close()
        assert process.wait(5) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_can_be_stopped_while_it_waits(gate: int, number: signal.Signals) -> None:
    """A signal between two experiments ends it, as it does within one, without a traceback."""
    with Server(gate, held) as server, session(server, gate) as process:
        assert ask(process, "readback")[-1]["event"] == "result"
        process.send_signal(number)
        assert process.wait(5) in (128 + number, -number)
        assert process.stderr
        assert process.stderr.read() == ""


def test_it_ends_with_its_parent_within_an_experiment(gate: int) -> None:
    """The end of its standard input stops what is under way."""
    with Server(gate, held) as server, session(server, gate) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(["capacity", "--requests", "1000", "--rate", "10"]) + "\n")
        process.stdin.flush()
        while '"opening"' not in process.stdout.readline():
            pass
        pids = children(process.pid)
        process.stdin.close()
        assert process.wait(5) == 143
        assert len(pids) == 2
        assert eventually(lambda: not any(is_alive(pid) for pid in pids))


@pytest.mark.parametrize("line", ['["readback"', '"readback"', "[1]", "readback"])
def test_a_line_that_is_no_list_of_words_ends_it(gate: int, line: str) -> None:
    """In one line, with an example; exit code 2."""
    with Server(gate, held) as server, session(server, gate) as process:
        _, said = process.communicate(line + "\n", timeout=10)
    assert said == f'{line} is no JSON list of words, as in ["capacity", "--requests", "100"]\n'
    assert process.returncode == 2


def test_words_that_make_no_sense_end_it(gate: int) -> None:
    """As they do without a session: exit code 2 and what is wrong."""
    with Server(gate, held) as server, session(server, gate) as process:
        assert ask(process, "capacity", "--requests", "many") == []
        assert process.wait(5) == 2
        assert process.stderr
        assert process.stderr.read().splitlines()[-1].endswith('argument --requests: "many" is not a number above 0')
