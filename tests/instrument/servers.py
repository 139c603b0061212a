"""Little servers whose behaviour is known by heart, so that a ledger can be written down before it is measured.

They run in threads of the test process, on 127.0.0.1 and on unix sockets, and speak the app's side of the gate.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

Address = tuple[str, int] | str  # a host and port, or the path of a unix socket
Behaviour = Callable[["Server", socket.socket, int], None]

HARD = struct.pack("ii", 1, 0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def family(address: Address) -> socket.AddressFamily:
    return socket.AF_UNIX if isinstance(address, str) else socket.AF_INET


def respond(connection: socket.socket, status: str, body: bytes = b"{}") -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode() + body)


def read_request(connection: socket.socket) -> bytes:
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        more = connection.recv(4096)
        if not more:
            return b""
        request += more
    return request


class Server:
    """Accepts `at_once` connections and no more until one of them ends; None: no bound.

    With `eager` it accepts all and lets `at_once` of them into a handler, as a server with a queue of its own does.
    `behaviour` is its /hold.
    """

    def __init__(
        self,
        gate: int,
        behaviour: Behaviour,
        *,
        at_once: int | None = None,
        eager: bool = False,
        backlog: int = 128,
        address: Address | None = None,
        defer_accept: bool = False,
    ) -> None:
        self.gate = gate
        self.behaviour = behaviour
        self.address: Address = address or ("127.0.0.1", free_port())
        self.eager = eager
        self._slots = threading.Semaphore(at_once) if at_once else None
        self._stopping = threading.Event()
        self.asked: list[str] = []  # the path and query of each request
        self.healthy = 0
        self.listener = socket.socket(family(self.address))
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if defer_accept:
            self.listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
        self.listener.bind(self.address)
        self.listener.listen(backlog)
        self.listener.settimeout(0.05)

    def __enter__(self) -> Self:
        threading.stack_size(256 * 1024)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()
        self._thread.join(5)

    def stop(self) -> None:
        """Closes the listener: from now on, clients are refused."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # at once, even while the thread is in accept()

    @property
    def name(self) -> str:
        return f"unix:{self.address}" if isinstance(self.address, str) else "{}:{}".format(*self.address)

    def _serve(self) -> None:
        while not self._stopping.is_set():
            if self._slots and not self.eager and not self._slots.acquire(timeout=0.05):
                continue
            try:
                connection, _ = self.listener.accept()
            except OSError:
                if self._slots and not self.eager:
                    self._slots.release()
                continue
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()
        self.listener.close()

    def _handle(self, connection: socket.socket) -> None:
        if self._slots and self.eager:
            self._slots.acquire()
        try:
            with connection, contextlib.suppress(OSError):
                self.answer(connection, read_request(connection))
        finally:
            if self._slots:
                self._slots.release()

    def answer(self, connection: socket.socket, request: bytes) -> None:
        path = request.split(b" ")[1].decode() if request else ""
        if path:
            self.asked.append(path)
        if path == "/healthz":
            self.healthy += 1
            respond(connection, "200 OK", json.dumps({"status": "ok", "pid": os.getpid()}).encode())
        elif path:
            self.behaviour(self, connection, int(path.partition("id=")[2]))

    def call_gate(self, request: int | str, word: str = "HOLD") -> socket.socket:
        """What a handler does first."""
        call = socket.create_connection(("127.0.0.1", self.gate))
        call.sendall(f"{word} {request} {os.getpid()} {threading.get_ident()}\n".encode())
        return call


def wait_for_go(call: socket.socket) -> None:
    with call:
        assert call.recv(16) == b"GO\n"


def held(server: Server, connection: socket.socket, request: int) -> None:
    """The /hold of the real app."""
    wait_for_go(server.call_gate(request))
    respond(connection, "200 OK")


def asleep(server: Server, connection: socket.socket, request: int) -> None:
    """The /hold?wait=sleep of the real app."""
    server.call_gate(request, "SLEEP").close()
    time.sleep(float(re.findall(r"seconds=([\d.]+)", server.asked[-1])[0]))
    respond(connection, "200 OK")


def at_once(server: Server, connection: socket.socket, request: int) -> None:
    respond(connection, "200 OK")


def failing(server: Server, connection: socket.socket, request: int) -> None:
    respond(connection, "500 Internal Server Error")


def hanging_up(server: Server, connection: socket.socket, request: int) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, HARD)


class Proxy(Server):
    """A front: connects to an app for each request it accepts, and answers 502 where it can't.

    Over several apps it balances by the request's id.
    """

    def __init__(self, *upstreams: Address) -> None:
        super().__init__(0, at_once, backlog=511)
        self.upstreams = upstreams

    def answer(self, connection: socket.socket, request: bytes) -> None:
        number = re.search(rb"[?&]id=(\d+)", request)
        address = self.upstreams[int(number[1]) % len(self.upstreams) if number else 0]
        with socket.socket(family(address)) as upstream:
            try:
                upstream.setblocking(isinstance(address, tuple))  # as nginx: a full unix socket says so
                upstream.connect(address)
            except OSError:
                respond(connection, "502 Bad Gateway")
                return
            upstream.setblocking(True)
            upstream.sendall(request)
            while more := upstream.recv(4096):
                connection.sendall(more)
