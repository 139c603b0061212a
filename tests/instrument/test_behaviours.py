"""The experiments on behaviour, on bad days: a server that never answers, clients that can't be opened."""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys

import pytest

from tests.instrument.conftest import Ended, environment
from tests.instrument.servers import Server, at_once


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
