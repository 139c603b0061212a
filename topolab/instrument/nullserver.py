"""A server that does nothing but answer: what is left is what the instrument itself can do."""

from __future__ import annotations

import contextlib
import select
import socket

from topolab.instrument.processes import Orders

_BODY = b'{"message":"nothing"}'
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(_BODY)
KEPT = _HEAD + b"\r\n" + _BODY
CLOSED = _HEAD + b"Connection: close\r\n\r\n" + _BODY
AT_ONCE = 256


class NullServer:
    """Its process. Each request is taken to come in one piece, as the instrument's do."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._connections: dict[int, socket.socket] = {}  # by descriptor

    def run(self, orders: Orders) -> None:
        listener, connections = self._listener, self._connections
        with select.epoll() as epoll:
            epoll.register(orders, select.EPOLLIN)
            epoll.register(listener, select.EPOLLIN)
            while True:
                for fd, _ in epoll.poll(-1, AT_ONCE):
                    if fd in connections:
                        self._answer(fd)
                    elif fd == listener.fileno():
                        for connection in self._accepted():
                            connections[connection.fileno()] = connection
                            self._answer(connection.fileno())
                            if connection.fileno() >= 0:
                                epoll.register(connection, select.EPOLLIN | select.EPOLLET)
                    else:
                        return

    def _accepted(self) -> list[socket.socket]:
        found: list[socket.socket] = []
        with contextlib.suppress(BlockingIOError):
            while len(found) < AT_ONCE:
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                found.append(connection)
        return found

    def _answer(self, fd: int) -> None:
        connection = self._connections[fd]
        try:
            request = connection.recv(65536)
            if request and b"Connection: close" not in request:
                connection.send(KEPT)
                return
            if request:
                connection.send(CLOSED)
        except BlockingIOError:
            return
        except OSError:
            pass  # it has gone
        self._connections.pop(fd).close()
