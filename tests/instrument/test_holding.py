"""What requests get while they are held, and how those that nobody answered come back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from typing import Any

import pytest

from tests.instrument.conftest import Ended, children, is_alive, read_until, run, start
from tests.instrument.servers import HARD, Server, at_once, held, respond


def outcomes(ended: Ended) -> list[tuple[Any, ...]]:
    """What is held, without the times."""
    return [(one["what"], one["fate"], one["status"], one["count"]) for one in ended.result["held"]]


def test_what_each_request_got(gate: int) -> None:
    """Every request has an outcome: where it stood at the census, what it got, how often, and after how long."""

    def impatient(server: Server, connection: socket.socket, request: int) -> None:
        if request < 4:
            held(server, connection, request)
        elif request < 7:
            respond(connection, "502 Bad Gateway")
        elif request < 12:
            time.sleep(2.0)
            respond(connection, "504 Gateway Timeout")
        elif request < 18:
            time.sleep(2.2)  # then the connection is closed in order
        elif request < 25:
            time.sleep(2.4)
            hard(connection)
        else:
            time.sleep(4.5)
            respond(connection, "200 OK")

    def hard(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, HARD)

    with Server(gate, impatient) as server:
        ended = run(
            "--requests", 33, "--hold", 3, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}"
        )  # fmt: skip
    assert ended.ledger == {"app.handler": 4, "app.waiting": 26, "client.error": 3}
    assert outcomes(ended) == [
        ("handler", "silence", None, 4),
        ("waiting", "error", 504, 5),
        ("waiting", "closed", None, 6),
        ("waiting", "reset", None, 7),
        ("waiting", "silence", None, 8),
        ("on_arrival", "error", 502, 3),
    ]
    times = {(one["fate"], one["status"]): (one["first_s"], one["last_s"]) for one in ended.result["held"]}
    assert 2.0 <= times["error", 504][0] <= times["error", 504][1] < 3.0
    assert 2.4 <= times["reset", None][0] <= times["reset", None][1] < 3.4
    assert times["silence", None][0] >= 3.0
    assert times["error", 502][1] < 1.0
    after = ended.result["after_release"]
    assert (after["answered"], after["failed"], after["left"]) == (12, 0, 0)
    assert (after["recovered"], after["recovery_s"]) == (0, None)


def test_unanswered_recover_after_a_hold(gate: int) -> None:
    """After a hold nobody leaves: the unanswered are followed until the kernel's next try gets them in."""
    with Server(gate, held, at_once=1, backlog=20) as server:
        ended = run(
            "--requests", 40, "--hold", 1.2, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}"
        )  # fmt: skip
    assert ended.ledger == {"app.handler": 1, "app.accept_queue": 21, "client.unanswered": 18}
    assert outcomes(ended) == [
        ("handler", "silence", None, 1),
        ("accept_queue", "silence", None, 21),
        ("unanswered", "silence", None, 18),
    ]
    after = ended.result["after_release"]
    assert (after["answered"], after["failed"], after["left"], after["recovered"]) == (40, 0, 0, 18)
    assert 0 < after["recovery_s"] <= after["seconds_to_last"] < 5
    phases = list(dict.fromkeys(event["phase"] for event in ended.events if event["event"] == "progress"))
    assert phases == ["settling", "opening", "resting", "census", "holding", "releasing"]
    assert {"event": "progress", "phase": "holding", "done": 2, "of": 2} in ended.events


def test_nothing_left_to_hold(gate: int) -> None:
    """A hold is over when nobody waits any more."""
    with Server(gate, at_once) as server:
        began = time.monotonic()
        ended = run("--requests", 9, "--hold", 30, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}")
    assert outcomes(ended) == [("on_arrival", "answered", 200, 9)]
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("how", "code", "reason"), [("Ctrl-C", 130, "SIGINT"), ("parent", 143, "standard input ended")]
)
def test_stopped_while_holding(gate: int, how: str, code: int, reason: str) -> None:
    """Ctrl-C, or the end of whoever started it, ends a hold at once, without children."""
    with (
        Server(gate, held) as server,
        start(
            "--requests", 5, "--hold", 60, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}",
            "--watch-stdin", stdin=subprocess.PIPE, process_group=0,
        ) as process,
    ):  # fmt: skip
        read_until(process, "holding")
        pids = children(process.pid)
        if how == "Ctrl-C":
            os.killpg(process.pid, signal.SIGINT)
        else:
            assert process.stdin
            process.stdin.close()
        assert process.wait(5) == code
        assert not any(is_alive(pid) for pid in pids)
        assert process.stderr
        assert process.stderr.read() == f"stopped: {reason}\n"
