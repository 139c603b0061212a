"""Before the experiment: every process has answered, and the server is empty."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable

from tests.instrument.servers import Server, held, respond
from topolab.instrument.addresses import TcpAddress
from topolab.instrument.processes import Team
from topolab.instrument.settling import Settled, settle
from topolab.instrument.stack import Stack

NOBODY = 1 << 22  # above every pid
Answer = Callable[[int], tuple[str, object]]  # a status and a body for the nth request to /healthz


class Healthy(Server):
    """Answers /healthz as a test says, late enough for requests to overlap."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(0, held)
        self.say = answer
        self.asking = 0
        self._lock = threading.Lock()

    def answer(self, connection: socket.socket, request: bytes) -> None:
        with self._lock:
            self.asking += 1
            self.healthy += 1
            status, body = self.say(self.healthy - 1)
        time.sleep(0.01)
        with self._lock:
            self.asking -= 1
        respond(connection, status, json.dumps(body).encode())


def settled(server: Server, processes: int, *, deadline_s: float = 10.0) -> Settled:
    assert not isinstance(server.address, str)
    stack = Stack((TcpAddress(*server.address),), None, TcpAddress("127.0.0.1", 9))
    noticed: list[int] = []
    with Team() as team:
        found = settle(
            stack, team, processes=processes, on_seen=lambda _: None, on_process=noticed.append,
            deadline_s=deadline_s, empty_s=0.2,
        )  # fmt: skip
    assert len(set(noticed)) >= found.processes
    return found


def test_a_queue_that_overflows() -> None:
    """Where many requests at the same time are too many, fewer are sent, until every process has answered."""
    alive = [1, os.getppid(), os.getpid()]
    turned_away: list[int] = []

    def two_at_most(number: int) -> tuple[str, object]:
        if server.asking > 2:
            turned_away.append(number)
            return "502 Bad Gateway", {}
        return "200 OK", {"pid": alive[(number + len(turned_away)) % 3]}

    with Healthy(two_at_most) as server:
        assert settled(server, 3) == Settled(processes=3, occupied=0)
    assert turned_away
    assert server.healthy > 12


def test_errors_at_first() -> None:
    """A server that answers with errors is asked again."""
    with Healthy(lambda number: ("503 Service Unavailable", {}) if number < 9 else ("200 OK", {"pid": 1})) as server:
        assert settled(server, 1) == Settled(processes=1, occupied=0)
    assert 9 < server.healthy < 14


def test_workers_that_are_replaced() -> None:
    """Of workers that come and go only those count that live, or answered last."""
    with Healthy(lambda number: ("200 OK", {"pid": NOBODY + number // 12 if number % 2 else 1})) as server:
        assert settled(server, 3, deadline_s=1.0) == Settled(processes=2, occupied=0)
    assert server.healthy >= 36


def test_answers_that_do_not_tell() -> None:
    """Where an answer does not say which process it is from, nobody is waited for."""
    with Healthy(lambda number: ("200 OK", {"status": "ok"})) as server:
        assert settled(server, 3) == Settled(processes=0, occupied=0)
    assert server.healthy == 12


def test_connections_of_others() -> None:
    """Connections of others are counted, and sockets elsewhere with the same port are not the server's."""
    with Healthy(lambda number: ("200 OK", {"pid": 1})) as server, socket.socket() as elsewhere:
        assert not isinstance(server.address, str)
        elsewhere.bind(("127.0.0.9", server.address[1]))
        elsewhere.listen()
        with socket.create_connection(elsewhere.getsockname()):
            assert settled(server, 1) == Settled(processes=1, occupied=0)
            with socket.create_connection(server.address):
                assert settled(server, 1) == Settled(processes=1, occupied=1)
