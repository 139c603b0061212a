"""Idle connections: each has asked once, has its answer, and stays open."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from types import TracebackType
from typing import Self

from topolab.instrument import wire
from topolab.instrument.addresses import TcpAddress
from topolab.instrument.processes import Team
from topolab.instrument.settling import PATH

AT_ONCE = 32  # that have no answer yet, so that no accept queue overflows
PATIENCE_S = 1.0


class Idle:
    """Connections to one address. Leaving the context closes them."""

    def __init__(self, entry: TcpAddress) -> None:
        self._entry = entry
        self._request = f"GET {PATH} HTTP/1.1\r\nHost: {entry}\r\n\r\n".encode()
        self._selector = selectors.DefaultSelector()
        self._received: dict[socket.socket, bytes] = {}  # until the answer is whole
        self._idle: set[socket.socket] = set()

    def __enter__(self) -> Self:
        return self

    def open(self, count: int, team: Team) -> None:
        """Opens that many, and asks once on each, until nothing more is answered. What then has no answer is closed."""
        left, seen, heard = count, (count, 0), time.monotonic()
        while (left or self._received) and time.monotonic() - heard < PATIENCE_S:
            for _ in range(min(left, AT_ONCE - len(self._received))):
                left = left - 1 if self._connect() else 0
            if (now := (left, len(self._received))) != seen:  # somebody was answered, and another one took the place
                seen, heard = now, time.monotonic()
            for key, _events in self._selector.select(timeout=0.05):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                self._step(connection)
            team.pause(0)
        for connection in list(self._received):
            self._drop(connection)

    def standing(self) -> int:
        """How many are still open, as far as the server has not hung up."""
        for connection in list(self._idle):
            with contextlib.suppress(BlockingIOError):
                try:
                    connection.recv(1)  # nothing is to come but its end
                except OSError as error:
                    if isinstance(error, BlockingIOError):
                        raise
                self._drop(connection)
        return len(self._idle)

    def _connect(self) -> bool:
        """False where this machine has no descriptor for it."""
        try:
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError:
            return False
        connection.connect_ex(self._entry.pair)
        self._received[connection] = b""
        self._selector.register(connection, selectors.EVENT_WRITE)
        return True

    def _step(self, connection: socket.socket) -> None:
        try:
            if self._selector.get_key(connection).events == selectors.EVENT_WRITE:
                connection.send(self._request)
                self._selector.modify(connection, selectors.EVENT_READ)
                return
            data = connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return
        received = self._received[connection] = self._received[connection] + data
        if wire.outcome(received, closed=False) is None:
            return
        if not wire.keeps_open(received):  # hang up at once: gunicorn's sync worker waits for it, 2 s long
            self._drop(connection)
            return
        self._selector.unregister(connection)
        del self._received[connection]
        self._idle.add(connection)

    def _drop(self, connection: socket.socket) -> None:
        if self._received.pop(connection, None) is not None:
            self._selector.unregister(connection)
        self._idle.discard(connection)
        connection.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for connection in (*self._received, *self._idle):
            connection.close()
        self._selector.close()
