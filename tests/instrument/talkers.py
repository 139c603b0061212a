"""A server that says what a test wants it to say: a thread for each connection, many requests on each."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.instrument.servers import HARD
from topolab.instrument.addresses import TcpAddress

# Answers the n-th request (from 0) of all; whether the connection is kept.
Answer = Callable[[socket.socket, int], bool]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Talker:
    """Serves on a port of its own until it is left. `/healthz` is answered by itself."""

    def __init__(self, answer: Answer, *, backlog: int = 512) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.opened = 0
        self.most_open = 0
        self.pipelined = 0  # requests that came before the one before them was answered
        self._open: set[socket.socket] = set()
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.address = TcpAddress(*self.listener.getsockname())

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuses from now on, and hangs up on everybody."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self.listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self._lock:
                self.opened += 1
                self._open.add(connection)
                self.most_open = max(self.most_open, len(self._open))
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while request := self._read(connection):
                if b" /healthz " in request:
                    body = json.dumps({"pid": os.getpid()}).encode()
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
                else:
                    with self._lock:
                        number = next(self._numbers)
                        self.requests.append(request)
                    if not self.answer(connection, number):
                        break
                if b"onnection: close" in request:
                    break
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def _read(self, connection: socket.socket) -> bytes:
        request = b""
        while b"\r\n\r\n" not in request:
            more = connection.recv(65536)
            if not more:
                return b""
            request += more
        head, _, body = request.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
        while len(body) < length:
            body += connection.recv(65536)
        self.pipelined += len(body) > length
        return head + b"\r\n\r\n" + body


def says(*parts: bytes, keeps: bool = True) -> Answer:
    """Says that, in one send for each part."""

    def answer(connection: socket.socket, _number: int) -> bool:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part)
        return keeps

    return answer


def resets(connection: socket.socket, _number: int) -> bool:
    """Hangs up by RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, HARD)
    return False


def never(connection: socket.socket, _number: int) -> bool:
    """Does not answer, until the client hangs up."""
    connection.recv(1)
    return False
