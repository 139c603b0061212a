"""The sources of a ledger don't know of each other: what is wrong shows as a sum that is not N."""

from __future__ import annotations

import socket
import time

from tests.instrument.conftest import run
from tests.instrument.servers import HARD, Server, held, respond, wait_for_go


def call_without_a_word(server: Server) -> socket.socket:
    """A view that has reached the gate's listener and not spoken."""
    return socket.create_connection(("127.0.0.1", server.gate))


def test_a_view_on_its_way_to_the_gate(gate: int) -> None:
    """A view that still calls the gate is waited for, however quiet it is meanwhile: it is not waiting, it runs."""

    def slow(server: Server, connection: socket.socket, request: int) -> None:
        call = call_without_a_word(server)
        if request < 3:
            time.sleep(1.2)
        call.sendall(f"HOLD {request} 1 1\n".encode())
        wait_for_go(call)
        respond(connection, "200 OK")

    with Server(gate, slow) as server:
        ended = run("--requests", 10, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}")
    assert ended.ledger == {"app.handler": 10}
    assert ended.result["instrument"]["at_rest"]
    assert ended.result["instrument"]["calls_under_way"] == 0


def test_views_that_never_reach_the_gate(gate: int) -> None:
    """Views that still call the gate at the deadline stand at no place, and the sum falls short by them."""

    def mute(server: Server, connection: socket.socket, request: int) -> None:
        if request >= 3:
            held(server, connection, request)
        else:
            with call_without_a_word(server) as call:
                call.recv(1)

    with Server(gate, mute, at_once=8, eager=True) as server:
        ended = run(
            "--requests", 10, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}", "--deadline", 1,
        )  # fmt: skip
    assert ended.ledger == {"app.handler": 5, "app.waiting": 2}
    assert not ended.result["instrument"]["at_rest"]
    assert ended.result["instrument"]["calls_under_way"] == 3


def test_a_handler_without_a_client(gate: int) -> None:
    """A handler that runs on after its client was dropped makes the sum exceed N."""

    def drop_and_run(server: Server, connection: socket.socket, request: int) -> None:
        call = server.call_gate(request)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, HARD)
        connection.close()
        wait_for_go(call)

    with Server(gate, drop_and_run) as server:
        ended = run("--requests", 10, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}")
    assert ended.ledger == {"app.handler": 10, "client.reset": 10}


def test_two_handlers_for_one_request(gate: int) -> None:
    """A request that is handled twice (a front that asks again, say) makes the sum exceed N."""

    def twice(server: Server, connection: socket.socket, request: int) -> None:
        calls = [server.call_gate(request), server.call_gate(request)]
        for call in calls:
            wait_for_go(call)
        respond(connection, "200 OK")

    with Server(gate, twice) as server:
        ended = run("--requests", 10, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}")
    assert ended.ledger == {"app.handler": 20}
    assert ended.result["after_release"]["answered"] == 10


def test_handlers_of_others(gate: int) -> None:
    """Callers at the gate that name no request of this run stand at no place, are told, and let go at the release."""

    def with_stranger(server: Server, connection: socket.socket, request: int) -> None:
        calls = [server.call_gate(request), server.call_gate(request + 10), server.call_gate("curl")]
        for call in calls:
            wait_for_go(call)
        respond(connection, "200 OK")

    with Server(gate, with_stranger) as server:
        ended = run("--requests", 10, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}")
    assert ended.ledger == {"app.handler": 10}
    assert ended.result["instrument"]["strangers"] == 20
    assert ended.result["after_release"]["answered"] == 10


def test_a_client_of_others(gate: int) -> None:
    """A connection that somebody else has at the server is told, because it takes a place."""
    with Server(gate, held, at_once=5) as server:
        assert not isinstance(server.address, str)
        with socket.create_connection(server.address):
            ended = run("--requests", 10, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}")
    assert ended.ledger == {"app.handler": 4, "app.accept_queue": 6}
    assert ended.result["instrument"]["occupied"] == 1


def test_never_at_rest(gate: int) -> None:
    """A server that never comes to rest is measured at the deadline, and the result says so."""

    def restless(server: Server, connection: socket.socket, request: int) -> None:
        for _ in range(40):
            with server.call_gate(request):
                time.sleep(0.05)
        held(server, connection, request)

    with Server(gate, restless) as server:
        ended = run(
            "--requests", 5, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}", "--deadline", 1,
        )  # fmt: skip
    assert not ended.result["instrument"]["at_rest"]
    placed = sum(ended.ledger.values())
    assert placed <= 5 <= placed + ended.result["instrument"]["calls_under_way"]


def test_server_dies(gate: int) -> None:
    """A server that dies in the middle ends the run at once, with everything it held as reset."""

    class Dying(Server):
        def die(self) -> None:
            self.stop()

    def until_all_are_there(server: Server, connection: socket.socket, request: int) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, HARD)
        call = server.call_gate(request)
        if request == 29:
            server.stop()
            dead.append(True)
        while not dead:
            time.sleep(0.005)
        call.close()

    dead: list[bool] = []
    with Dying(gate, until_all_are_there) as server:
        began = time.monotonic()
        ended = run("--requests", 30, "--listener", f"app={server.name}", "--gate", f"127.0.0.1:{gate}")
    assert ended.ledger == {"client.reset": 30}
    assert time.monotonic() - began < 5
