"""`readback`: what the kernel made of the limits and queues of a running server."""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.instrument.conftest import Ended, environment
from tests.instrument.servers import Proxy, Server, at_once, free_port, respond


class Greeter(Server):
    """Answers `GET /` as the real app does, behind a server that gives its name."""

    greeting = b'{"python": "3.13.1"}'

    def answer(self, connection: socket.socket, request: bytes) -> None:
        if not request.startswith(b"GET / "):
            super().answer(connection, request)
            return
        head = f"HTTP/1.1 200 OK\r\nServer: nginx/1.26.3\r\nContent-Length: {len(self.greeting)}\r\n\r\n"
        connection.sendall(head.encode() + self.greeting)


def read_back(*arguments: object) -> Ended:
    command = [sys.executable, "-m", "topolab.instrument", "readback", *map(str, arguments), "--gate", "127.0.0.1:9"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=60, check=False)
    return Ended([json.loads(line) for line in result.stdout.splitlines()], result.returncode, result.stderr)


def test_what_the_kernel_applied() -> None:
    """The limits of the process that answers, its queue's bound, and who it says it is; no load and no gate."""
    with Greeter(0, at_once, backlog=77) as server:
        ended = read_back("--listener", f"app={server.name}")
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    applied = ended.result["applied"]
    assert (applied["processes_read"], applied["nofile_min"], applied["nofile_max"]) == (1, soft, soft)
    assert applied["somaxconn"] == int(Path("/proc/sys/net/core/somaxconn").read_text())
    queue = {"service": "app", "address": server.name, "recv_q": 0, "send_q": 77, "unaccepted": 0}
    assert ended.result["listeners"] == [queue]
    assert ended.result["processes_seen"] == 1
    assert ended.result["greeting"] == {"server": "nginx/1.26.3", "python": "3.13.1"}
    assert ended.returncode == 0
    assert server.asked.count("/healthz") == len(server.asked)


def test_a_front_and_a_unix_socket(tmp_path: Path) -> None:
    """Every listener is read, unix sockets too; what the app behind the front answers is read through it."""
    path = str(tmp_path / "app.sock")
    with Greeter(0, at_once, backlog=33, address=path), Proxy(path) as front:
        ended = read_back("--listener", f"front={front.name}", "--listener", f"app=unix:{path}")
    assert ended.queues == {"app": (0, 33, 0), "front": (0, 511, 0)}
    assert ended.result["greeting"]["python"] == "3.13.1"


def test_connections_in_the_queue() -> None:
    """Whoever stands in the queue is counted by the kernel and by us; that does not change the bound."""
    with Greeter(0, at_once, backlog=50) as server, socket.socket() as deaf, socket.socket() as client:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(5)
        client.connect(deaf.getsockname())
        name = f"127.0.0.1:{deaf.getsockname()[1]}"
        ended = read_back("--listener", f"front={server.name}", "--listener", f"app={name}")
    assert ended.queues["app"] == (1, 5, 1)


@pytest.mark.parametrize("body", [b"", b"hello", b"[]", b"{}"])
def test_no_greeting(body: bytes) -> None:
    """A server that does not say who it is has an empty greeting."""

    class Silent(Server):
        def answer(self, connection: socket.socket, request: bytes) -> None:
            if request.startswith(b"GET / "):
                respond(connection, "200 OK", body)
            else:
                super().answer(connection, request)

    with Silent(0, at_once) as server:
        assert read_back("--listener", f"app={server.name}").result["greeting"] == {}


def test_nobody_listens() -> None:
    """Where nothing listens it fails in one line that says what to do."""
    port = free_port()
    ended = read_back("--listener", f"app=127.0.0.1:{port}")
    assert ended.returncode == 2
    assert ended.events[-1]["event"] == "failed"
    assert ended.events[-1]["message"] == f"Nothing listens on 127.0.0.1:{port}. Start the server first."


def test_fewer_processes_than_planned() -> None:
    """Processes that never answer are missing from the count."""
    with Greeter(0, at_once) as server:
        ended = read_back("--listener", f"app={server.name}", "--processes", 2)
    assert ended.result["processes_seen"] == 1
    assert ended.result["applied"]["processes_read"] == 1
