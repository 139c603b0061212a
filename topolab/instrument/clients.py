"""The held clients: bare non-blocking sockets on epoll, opened on a timerfd's schedule.

A client connects, sends its prebuilt request as soon as the kernel lets it, and waits. It follows its request to
the end, whatever that is, and says nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import time

from topolab.instrument import wire
from topolab.instrument.addresses import TcpAddress
from topolab.instrument.board import PENDING, Board, Fate
from topolab.instrument.processes import Orders
from topolab.instrument.timer import Timer

OPEN = b"o"
LEAVE = b"l"
PER_ADDRESS = 14_000  # a connect costs 43 us up to so many ports of a source address, then 800 us
CLOSE_HARD = struct.pack("ii", 1, 0)  # leaves no TIME_WAIT, see gate.py
IP_BIND_ADDRESS_NO_PORT = 24  # the port is picked at connect(), so that it need be unique per destination only

_FATE_OF_ERROR = {
    errno.ECONNREFUSED: Fate.REFUSED,
    errno.ETIMEDOUT: Fate.TIMED_OUT,
    errno.EMFILE: Fate.NOT_OPENED,
    errno.ENFILE: Fate.NOT_OPENED,
    errno.ENOBUFS: Fate.NOT_OPENED,
    errno.ENOMEM: Fate.NOT_OPENED,
    errno.EADDRNOTAVAIL: Fate.NOT_OPENED,
}


def source_address(process: int) -> str:
    """Each process of clients has an address of its own; 127.0.0.1 is left to everybody else."""
    return f"127.0.0.{2 + process}"


class Clients:
    """One process of clients: those of `range(index, requests, step)`, at `rate / step` per second."""

    def __init__(
        self, board: Board, target: TcpAddress, path: str, *, rate: float, index: int, step: int, hard: bool = True
    ) -> None:
        self._board = board
        self._hard = hard  # whether to hang up by RST, or by FIN as a person's browser does
        self._target = target.pair
        self._source = (source_address(index), 0)
        self._requests = iter(range(index, board.requests, step))
        self._mine = range(index, board.requests, step)
        self._offset_ns = int(index * 1e9 / rate)
        self._interval_ns = int(step * 1e9 / rate)
        self._before_id, self._after_id = wire.request(wire.with_id(path, "\0"), str(target)).split(b"\0")
        self._sockets: dict[int, socket.socket] = {}  # by descriptor
        self._request_of: dict[int, int] = {}  # by descriptor
        self._received: dict[int, bytes] = {}  # by descriptor, until the answer is whole

    def run(self, orders: Orders) -> None:
        self._epoll = select.epoll()
        self._timer = Timer()
        self._epoll.register(orders, select.EPOLLIN)
        self._epoll.register(self._timer, select.EPOLLIN)
        while True:
            for fd, events in self._epoll.poll():
                if fd == self._timer.fileno():
                    self._open_due()
                elif fd == orders.fileno():
                    order = orders.recv(1)
                    if order == OPEN:
                        self._timer.start(self._board.start_ns[0] + self._offset_ns, self._interval_ns)
                    elif order == LEAVE:
                        self._leave()
                    else:
                        return
                elif fd not in self._sockets:
                    continue  # it left in this very round
                elif events & select.EPOLLOUT:
                    self._connected(fd)
                else:
                    self._read(fd)

    def _open_due(self) -> None:
        for _ in range(self._timer.expirations()):
            request = next(self._requests, None)
            if request is None:
                self._timer.stop()
                return
            self._open(request)

    def _open(self, request: int) -> None:
        board = self._board
        board.opened_ns[request] = time.monotonic_ns()
        try:
            client = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            self._end(request, _FATE_OF_ERROR.get(error.errno or 0, Fate.NOT_OPENED))
            return
        try:
            client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            if self._hard:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_HARD)
            client.bind(self._source)
            with contextlib.suppress(BlockingIOError):
                client.connect(self._target)
            board.port[request] = client.getsockname()[1]
        except OSError as error:
            client.close()
            self._end(request, _FATE_OF_ERROR.get(error.errno or 0, Fate.RESET))
            return
        fd = client.fileno()
        self._sockets[fd] = client
        self._request_of[fd] = request
        board.fate[request] = Fate.CONNECTING
        # On loopback the handshake is usually done by now: try, and ask epoll only where it is not.
        waits_for = select.EPOLLIN if self._send(fd) else select.EPOLLOUT
        if fd in self._sockets:
            self._epoll.register(fd, waits_for)

    def _send(self, fd: int) -> bool:
        """Whether the request is out of our hands; false while the handshake is unanswered."""
        request = self._request_of[fd]
        try:
            self._sockets[fd].send(b"%b%d%b" % (self._before_id, request, self._after_id))
        except BlockingIOError:
            return False
        except OSError as error:
            self._close(fd, _FATE_OF_ERROR.get(error.errno or 0, Fate.RESET))
            return True
        self._board.fate[request] = Fate.SENT
        return True

    def _connected(self, fd: int) -> None:
        if error := self._sockets[fd].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._close(fd, _FATE_OF_ERROR.get(error, Fate.RESET))
        elif self._send(fd) and fd in self._sockets:
            self._epoll.modify(fd, select.EPOLLIN)

    def _read(self, fd: int) -> None:
        try:
            data = self._sockets[fd].recv(65536)
        except BlockingIOError:
            return
        except OSError:
            self._close(fd, Fate.RESET)
            return
        received = self._received.get(fd, b"") + data
        fate = wire.outcome(received, closed=not data)
        if not data:
            self._close(fd, fate or Fate.CLOSED, wire.status(received))
            return
        self._received[fd] = received
        if fate is not None:  # the server closes first, so that no hard close of ours leaves a side in TIME_WAIT
            self._end(self._request_of[fd], fate, wire.status(received))

    def _leave(self) -> None:
        fd_of = {request: fd for fd, request in self._request_of.items()}
        for request in self._mine:
            if self._board.leaving[request] and self._board.fate[request] in PENDING:
                self._close(fd_of[request], Fate.LEFT)

    def _close(self, fd: int, fate: Fate, status: int = 0) -> None:
        self._sockets.pop(fd).close()
        self._received.pop(fd, None)
        self._end(self._request_of.pop(fd), fate, status)

    def _end(self, request: int, fate: Fate, status: int = 0) -> None:
        """The first end counts; what follows a whole answer is only its connection's."""
        if self._board.fate[request] in (Fate.NOT_YET, *PENDING):
            self._board.status[request] = status if fate in (Fate.ANSWERED, Fate.ERROR) else 0
            self._board.ended_ns[request] = time.monotonic_ns()
            self._board.fate[request] = fate
