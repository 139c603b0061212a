"""The generator's connections: opened, kept, let go of. Bare non-blocking sockets on an edge-triggered epoll."""

from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Callable
from typing import NoReturn

from topolab.instrument.addresses import TcpAddress
from topolab.instrument.board import Fate
from topolab.instrument.clients import CLOSE_HARD, IP_BIND_ADDRESS_NO_PORT, source_address

# What a connection is doing. Whatever else epoll tells of is NOTHING.
NOTHING, BUSY, PARTIAL, IDLE, UNSENT = range(5)

READ = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
WRITE = READ | select.EPOLLOUT

# Connections are spread over so many source addresses: a connection that we close first keeps its port for a while, and
# a connect gets slow from 14,000 used ports of an address on.
SOURCES = 16

SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)


class Connections:
    """Those of one lap. A connection is known by its descriptor; a request by when it was due.

    The lists are by descriptor. The generator's loop reads them for each event, and writes `due` and `sent`.
    """

    def __init__(self, target: TcpAddress, request: bytes, epoll: select.epoll, descriptors: int) -> None:
        self._target = target.pair
        self.request = request  # what is sent from now on
        self._epoll = epoll
        self._on_loopback = target.host.startswith("127.")
        self._sockets: list[socket.SocketType | None] = [None] * descriptors
        self._first_due = [0] * descriptors
        self._unsent: dict[int, bytes] = {}
        self.state = [NOTHING] * descriptors
        self.receive: list[Callable[[bytearray], int]] = [_closed] * descriptors
        self.send: list[Callable[[bytes], int]] = [_closed] * descriptors
        self.due = [0] * descriptors
        self.sent = [0] * descriptors
        self.open: dict[int, None] = {}  # those that have a request, and those that are idle
        self.idle: dict[int, None] = {}  # last in, first out: the fewest connections are used
        self.opened = 0
        self._held_ns = 0  # for each that was closed, plus when; for each that was opened, minus when

    def held_ns(self, now: int) -> int:
        """The sum of the times that connections have been open so far."""
        return self._held_ns + len(self.open) * now

    def ask_anew(self, due: int) -> Fate:
        """Opens a connection for a request: SENT, CONNECTING, or or its end (NOT_OPENED: for lack of something)."""
        try:
            connection = socket.SocketType(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError:
            return Fate.NOT_OPENED
        fd = connection.fileno()
        fate = Fate.SENT
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._on_loopback:
                connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                connection.bind((source_address(self.opened % SOURCES), 0))
            if (error := connection.connect_ex(self._target)) not in (0, errno.EINPROGRESS):
                raise OSError(error, "connect")
            now = time.monotonic_ns()
            # On loopback the handshake is done by now, as a rule: try, and ask epoll only where it is not.
            self.sent[fd] = 0
            try:
                taken = connection.send(self.request)
                self.sent[fd] = now
            except BlockingIOError:
                taken, fate = 0, Fate.CONNECTING
            if taken == len(self.request):
                self.state[fd] = BUSY
                self._epoll.register(fd, READ)
            else:
                self.state[fd] = UNSENT
                self._unsent[fd] = self.request[taken:]
                self._epoll.register(fd, WRITE)
        except (OSError, IndexError) as error:  # IndexError: more descriptors than there are lists for
            connection.close()
            return fate_of(error)
        self._sockets[fd] = connection
        self.receive[fd], self.send[fd] = connection.recv_into, connection.send
        self.due[fd] = self._first_due[fd] = due
        self.open[fd] = None
        self.opened += 1
        self._held_ns -= now
        return fate

    def ask(self, fd: int, due: int, now: int) -> bool:
        """Sends a request on an idle connection; false where it turns out that the server has closed it."""
        self.due[fd], self.sent[fd] = due, now
        self.state[fd] = BUSY
        try:
            taken = self.send[fd](self.request)
        except OSError:
            return False
        if taken < len(self.request):
            self.rest(fd, taken)
        return True

    def rest(self, fd: int, taken: int) -> None:
        """Only so much of its request was taken: `send_rest` when epoll says so."""
        self.state[fd] = UNSENT
        self._unsent[fd] = self.request[taken:]
        self._epoll.modify(fd, WRITE)

    def send_rest(self, fd: int, now: int) -> None:
        """The handshake is done, or there is room again. OSError where it has failed."""
        connection = self._sockets[fd]
        assert connection
        if error := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, "connect")
        try:
            taken = connection.send(self._unsent[fd])
        except BlockingIOError:
            return
        self.sent[fd] = self.sent[fd] or now
        self._unsent[fd] = self._unsent[fd][taken:]
        if not self._unsent[fd]:
            del self._unsent[fd]
            self.state[fd] = BUSY
            self._epoll.modify(fd, READ)

    def was_closed_before(self, fd: int) -> bool:
        """Whether the server had closed this kept connection before our request came. Asked where nothing came of it.

        Then our kernel has its FIN, and for our request it got a reset: EPIPE. A server that took the request and then
        closed leaves no error; one that closed with the request unread leaves ECONNRESET.
        """
        connection = self._sockets[fd]
        assert connection
        reused = self.due[fd] != self._first_due[fd]
        return reused and connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.EPIPE

    def keep(self, fd: int) -> None:
        """Its request has been answered, and the next can go by it."""
        self.state[fd] = IDLE
        self.idle[fd] = None

    def close(self, fd: int, now: int, *, hard: bool = False) -> None:
        """At once, in whatever state it is.

        Hard, by RST, only where the server has closed before and everything has been read: it leaves nothing in the
        kernel's tables, and nobody who minds.
        """
        self._leave(fd, now)
        self.state[fd] = NOTHING
        connection = self._sockets[fd]
        assert connection
        if hard:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_HARD)
        connection.close()

    def close_all(self) -> None:
        for fd in [*self.open]:
            self.close(fd, 0)

    def _leave(self, fd: int, now: int) -> None:
        del self.open[fd]
        self.idle.pop(fd, None)
        self._unsent.pop(fd, None)
        self._held_ns += now


def fate_of(error: BaseException) -> Fate:
    """How a connection ended by this error. NOT_OPENED where it is this machine that lacks something."""
    number = error.errno if isinstance(error, OSError) else errno.EMFILE
    if number in SHORT:
        return Fate.NOT_OPENED
    return {errno.ECONNREFUSED: Fate.REFUSED, errno.ETIMEDOUT: Fate.TIMED_OUT}.get(number or 0, Fate.RESET)


def _closed(_buffer: object) -> NoReturn:
    raise OSError(errno.ENOTCONN, "there is no such connection")
