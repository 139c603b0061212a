"""The experiments on behaviour, on bad days: a server that never answers, clients that can't be opened."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys

import pytest

from tests.instrument.conftest import Ended, environment
from tests.instrument.servers import HARD, Server, at_once, respond


class Silent(Server):
    """Answers /healthz, and nothing else."""

    def answer(self, connection: socket.socket, request: bytes) -> None:
        if b"/healthz" in request:
            super().answer(connection, request)
        else:
            self._stopping.wait()


def run(experiment: str, server: Server, gate: int, *words: object, descriptors: int = 1024) -> Ended:
    """An experiment of the instrument to its end."""
    listener = ["--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}"]
    ended = subprocess.run(
        [sys.executable, "-m", "topolab.instrument", experiment, *listener, *map(str, words)],
        env=environment(), capture_output=True, text=True, timeout=60, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors)),
    )  # fmt: skip
    return Ended([json.loads(line) for line in ended.stdout.splitlines()], ended.returncode, ended.stderr)


def test_a_worker_that_never_answers_is_waited_for_once(gate: int) -> None:
    """One by one ends with the first request that never does; the others count as not answered."""
    with Silent(gate, at_once) as server:
        asked = ("--successive", 30, "--concurrent", 5, "--mixed", 0, "--rate", 1, "--deadline-s", 0.2)
        result = run("identity", server, gate, *asked).result
    assert (result["successive"]["requests"], result["successive"]["answered"]) == (1, 0)
    assert (result["concurrent"]["requests"], result["concurrent"]["answered"]) == (5, 0)


class Overrun(Server):
    """Answers the few requests of the settling; of those after them each second one gets 502, and the first a reset."""

    def answer(self, connection: socket.socket, request: bytes) -> None:
        self.healthy += 1
        if self.healthy <= 4:
            body = b'{"pid": %d}' % os.getpid()
            respond(connection, "200 OK", body)
        elif self.healthy == 5:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, HARD)
        else:
            respond(connection, "502 Bad Gateway" if self.healthy % 2 else "200 OK")


def test_a_burst_tells_what_the_failed_got(gate: int) -> None:
    """An error status and a reset are told apart."""
    with Overrun(gate, at_once, at_once=1) as server:
        result = run("burst", server, gate, "--requests", 21).result
    assert (result["answered"], result["failed"], result["unanswered"]) == (10, 11, 0)
    assert result["failures"] == {"reset": 1, "error 502": 10}


@pytest.mark.parametrize("experiment", ["burst", "isolation", "deadwork"])
def test_clients_that_can_not_be_opened_are_an_error(gate: int, experiment: str) -> None:
    """Where the instrument itself lacks descriptors it says so, and what to do; it blames no server."""
    with Silent(gate, at_once) as server:
        ended = run(experiment, server, gate, "--requests", 1200, descriptors=40)
    assert ended.returncode == 2
    said = ended.events[-1]["message"]
    assert said.startswith("Only ")
    assert "of 1200 connections could be opened for want of descriptors (the limit is 40 per process)" in said
    assert said.endswith("Raise `ulimit -Hn`, or ask for fewer requests.")
