"""Each place of the ledger, behind a server that is known to fill it."""

from __future__ import annotations

import resource
import socket
import threading
from pathlib import Path

from tests.instrument.conftest import run
from tests.instrument.servers import Proxy, Server, at_once, failing, hanging_up, held, respond, wait_for_go


def test_all_in_a_handler(gate: int) -> None:
    """A server without a bound holds all 1,000 requests, and answers them all after the release."""
    with Server(gate, held, backlog=4096) as server:
        ended = run("--requests", 1000, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}")
    assert ended.ledger == {"app.handler": 1000}
    assert ended.queues == {"app": (0, 4096, 0)}
    after = ended.result["after_release"]
    assert (after["answered"], after["failed"], after["left"]) == (1000, 0, 0)
    instrument = ended.result["instrument"]
    assert instrument["at_rest"]
    assert instrument["descriptors_short"] == 0
    assert (instrument["processes_asked"], instrument["processes_seen"]) == (1, 1)
    assert instrument["memory_bytes"] < 150e6
    applied = ended.result["applied"]
    nofile, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert (applied["processes_read"], applied["nofile_min"], applied["nofile_max"]) == (1, nofile, nofile)


def test_accept_queue_and_unanswered(gate: int) -> None:
    """A server that accepts 3 and has a backlog of 5 leaves 6 in the kernel and the others unanswered."""
    with Server(gate, held, at_once=3, backlog=5) as server:
        ended = run("--requests", 50, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}")
    assert ended.ledger == {"app.handler": 3, "app.accept_queue": 6, "client.unanswered": 41}
    assert ended.queues == {"app": (6, 5, 6)}


def test_deferred_accept(gate: int) -> None:
    """With TCP_DEFER_ACCEPT (uWSGI) a client may count itself as connected: the server's side decides."""
    with Server(gate, held, at_once=3, backlog=5, defer_accept=True) as server:
        ended = run(
            "--requests", 60, "--rate", 100_000, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}"
        )  # fmt: skip
    assert ended.ledger == {"app.handler": 3, "app.accept_queue": 6, "client.unanswered": 51}


def test_unanswered_leave_at_the_release(gate: int) -> None:
    """Clients without an answered handshake leave at the release; all others are followed to their answer."""
    with Server(gate, held, at_once=1, backlog=20) as server:
        ended = run("--requests", 100, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}")
    after = ended.result["after_release"]
    assert ended.ledger == {"app.handler": 1, "app.accept_queue": 21, "client.unanswered": 78}
    assert (after["answered"], after["failed"], after["left"]) == (22, 0, 78)
    assert after["seconds_to_last"] < 5  # the kernel's own back-off would take longer


def test_waiting_in_the_server(gate: int) -> None:
    """Requests that a server has accepted without a handler for them are waiting."""
    with Server(gate, held, at_once=4, eager=True) as server:
        ended = run("--requests", 60, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}")
    assert ended.ledger == {"app.handler": 4, "app.waiting": 56}


def test_refused(gate: int) -> None:
    """A server that has closed its listener refuses; the listener is not reported any more."""

    class Closing(Server):
        def answer(self, connection: socket.socket, request: bytes) -> None:
            all_asked.wait(10)
            super().answer(connection, request)

    with Closing(gate, held) as server:
        all_asked = threading.Barrier(4, action=server.stop)  # before it answers, so that nobody is opened yet
        ended = run("--requests", 40, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}")
    assert ended.ledger == {"client.refused": 40}
    assert ended.queues == {}


def test_reset(gate: int) -> None:
    """A connection that is closed without an answer is a reset."""
    with Server(gate, hanging_up) as server:
        ended = run("--requests", 40, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}")
    assert ended.ledger == {"client.reset": 40}


def test_error(gate: int) -> None:
    """A status of 400 or more is an error."""
    with Server(gate, failing) as server:
        ended = run("--requests", 40, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}")
    assert ended.ledger == {"client.error": 40}


def test_answered_before_the_release(gate: int) -> None:
    """A request that nobody holds is answered before the release, and is no part of what follows it."""
    with Server(gate, at_once) as server:
        ended = run("--requests", 40, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}")
    assert ended.ledger == {"client.answered": 40}
    assert ended.result["after_release"] == {
        "answered": 0, "failed": 0, "left": 0, "seconds_to_last": 0.0, "recovered": 0, "recovery_s": None,
    }  # fmt: skip
    assert ended.result["held"] == []


def test_failures_after_the_release(gate: int) -> None:
    """What fails once the gate is open is counted as failed after the release, not in the ledger."""

    def fail_late(server: Server, connection: socket.socket, request: int) -> None:
        wait_for_go(server.call_gate(request))
        respond(connection, "200 OK" if request % 2 else "503 Service Unavailable")

    with Server(gate, fail_late) as server:
        ended = run("--requests", 20, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}")
    assert ended.ledger == {"app.handler": 20}
    assert (ended.result["after_release"]["answered"], ended.result["after_release"]["failed"]) == (10, 10)


def test_front_with_a_unix_socket(gate: int, tmp_path: Path) -> None:
    """Behind a front and a unix socket, what does not fit into the app's queue comes back as an error."""
    path = str(tmp_path / "app.sock")
    with Server(gate, held, at_once=2, backlog=10, address=path) as app, Proxy(path) as front:
        ended = run(
            "--requests", 60, "--gate", f"127.0.0.1:{gate}",
            "--listener", f"front={front.name}", "--listener", f"app={app.name}",
        )  # fmt: skip
    assert ended.ledger == {"app.handler": 2, "app.accept_queue": 11, "client.error": 47}
    assert ended.queues == {"app": (11, 10, 11), "front": (0, 511, 0)}


def test_front_with_a_tcp_upstream(gate: int) -> None:
    """Behind a front and TCP, what does not fit into the app's queue is the front's unanswered handshake."""
    with Server(gate, held, at_once=2, backlog=10) as app, Proxy(app.address) as front:
        ended = run(
            "--requests", 60, "--gate", f"127.0.0.1:{gate}",
            "--listener", f"front={front.name}", "--listener", f"app={app.name}",
        )  # fmt: skip
    assert ended.ledger == {"app.handler": 2, "app.accept_queue": 11, "front.connecting": 47}


def test_front_that_balances(gate: int) -> None:
    """Behind a front over two apps, each listener is told apart, and the places are summed."""
    with (
        Server(gate, held, at_once=2, backlog=5) as one,
        Server(gate, held, at_once=3, backlog=10) as other,
        Proxy(one.address, other.address) as front,
    ):
        ended = run(
            "--requests", 60, "--gate", f"127.0.0.1:{gate}",
            "--listener", f"app={one.name}", "--listener", f"app={other.name}", "--listener", f"front={front.name}",
        )  # fmt: skip
    assert ended.ledger == {"app.handler": 5, "app.accept_queue": 17, "front.connecting": 38}
    assert ended.result["listeners"] == [
        {"service": "app", "address": one.name, "recv_q": 6, "send_q": 5, "unaccepted": 6},
        {"service": "app", "address": other.name, "recv_q": 11, "send_q": 10, "unaccepted": 11},
        {"service": "front", "address": front.name, "recv_q": 0, "send_q": 511, "unaccepted": 0},
    ]


def test_unix_socket_with_a_pid_in_its_name(gate: int, tmp_path: Path) -> None:
    """A unix socket that only the server can name in full (mod_wsgi's daemon) is found by the pattern of its name."""
    path = str(tmp_path / "wsgi.4711.0.1.sock")
    pattern = f"unix:{tmp_path}/wsgi.*.0.1.sock"
    with Server(gate, held, at_once=2, backlog=10, address=path), Proxy(path) as front:
        ended = run(
            "--requests", 60, "--gate", f"127.0.0.1:{gate}",
            "--listener", f"front={front.name}", "--listener", f"app={pattern}",
        )  # fmt: skip
    assert ended.ledger == {"app.handler": 2, "app.accept_queue": 11, "client.error": 47}
    assert ended.result["listeners"][0] == {
        "service": "app", "address": pattern, "recv_q": 11, "send_q": 10, "unaccepted": 11,
    }  # fmt: skip


def test_waiting_at_the_front(gate: int) -> None:
    """A request that the front has accepted without asking the app is waiting at the front."""
    app = Server(gate, held)

    class Undecided(Proxy):
        def answer(self, connection: socket.socket, request: bytes) -> None:
            if b"/hold" in request and int(request.split(b"id=")[1].split()[0]) >= 5:
                connection.recv(1)  # until the client goes
            else:
                super().answer(connection, request)

    with app, Undecided(app.address) as front:
        ended = run(
            "--requests", 30, "--gate", f"127.0.0.1:{gate}", "--deadline", 2,
            "--listener", f"front={front.name}", "--listener", f"app={app.name}",
        )  # fmt: skip
    assert ended.ledger == {"app.handler": 5, "front.waiting": 25}
    assert (ended.result["after_release"]["answered"], ended.result["after_release"]["failed"]) == (5, 25)
