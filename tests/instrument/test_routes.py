"""The ways in which a handler waits."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.instrument.conftest import finish, read_until, run, start
from tests.instrument.servers import Server, asleep, held, respond


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ((), "/hold?id="),
        (("--route", "gate"), "/hold?id="),
        (("--route", "async"), "/async/hold?id="),
    ],
)
def test_routes_of_the_gate(gate: int, options: tuple[str, ...], path: str) -> None:
    """Handlers wait for the gate unless told otherwise, or do so in an async view."""
    with Server(gate, held) as server:
        ended = run("--requests", 3, *options, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}")
    assert ended.ledger == {"app.handler": 3}
    assert {asked for asked in server.asked if asked != "/healthz"} == {f"{path}{each}" for each in range(3)}


def test_sleeping_handlers(gate: int) -> None:
    """Handlers that sleep are counted without holding a connection, and end by themselves; who waits leaves."""
    morning = threading.Event()

    def until_the_release(server: Server, connection: socket.socket, request: int) -> None:
        server.call_gate(request, "SLEEP").close()
        morning.wait(60)
        respond(connection, "200 OK")

    with (
        Server(gate, until_the_release, at_once=5, backlog=10) as server,
        start(
            "--requests", 30, "--route", "sleep", "--sleep-s", 2,
            "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}",
        ) as process,
    ):  # fmt: skip
        read_until(process, "releasing")
        morning.set()
        ended = finish(process)
    assert "/hold?wait=sleep&seconds=2&id=0" in server.asked
    assert ended.ledger == {"app.handler": 5, "app.accept_queue": 11, "client.unanswered": 14}
    assert ended.result["instrument"]["at_rest"]
    after = ended.result["after_release"]
    assert (after["answered"], after["failed"], after["left"]) == (5, 0, 25)


def test_a_sleeper_that_wakes_too_early(gate: int) -> None:
    """When handlers end before all is at rest, the census is taken there and then, and is not called a rest."""
    with Server(gate, asleep) as server:
        ended = run(
            "--requests", 40, "--rate", 40, "--route", "sleep", "--sleep-s", 0.3,
            "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}",
        )  # fmt: skip
    assert not ended.result["instrument"]["at_rest"]
    placed = sum(ended.ledger.values())
    assert placed <= 40 <= placed + ended.result["instrument"]["calls_under_way"]
    assert ended.ledger["client.answered"] >= 1
    assert "let it sleep longer (--sleep-s)" in ended.stderr
