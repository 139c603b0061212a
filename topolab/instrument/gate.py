"""The gate: the downstream service that handlers call. It answers when the experiment says so.

A handler connects, sends `HOLD <id> <pid> <thread-ident>` and blocks until it reads `GO`: the number of handlers
is the number of connections held here. `SLEEP ...` announces a handler that sleeps by itself.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
from collections.abc import Iterator

from topolab.errors import LabError
from topolab.instrument.addresses import TcpAddress
from topolab.instrument.board import Board
from topolab.instrument.processes import Orders

GO = b"GO\n"
RELEASE, SOME = b"r", b"s"  # orders: to let all go that wait, or `SOME_AT_ONCE` of them
SOME_AT_ONCE = 32
# Ours is always the second end to close; closing it hard then leaves no TIME_WAIT on either side, so that
# 10,000 requests don't cost the next run 10,000 ports. Accepted sockets inherit it from the listener.
CLOSE_HARD = struct.pack("ii", 1, 0)
ACCEPT_AT_ONCE = 128
# So many callers are heard before the next are taken: the kernel keeps somaxconn + 1 of them, maybe nine, and whom it
# turns away tries again after a second.
HEAR_AT_ONCE = 32


def listen(address: TcpAddress) -> socket.socket:
    """The gate's listener. LabError when the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_HARD)
        listener.bind(address.pair)
        listener.listen(65535)  # the kernel caps this at net.core.somaxconn
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise LabError(f"The gate's port is in use: {address}. Give it a free one with --gate.") from None
        raise LabError(f"The gate can't listen on {address}: {error.strerror}.") from None
    return listener


def callers(listener: socket.socket) -> Iterator[socket.socket | None]:
    """Those who have come, `ACCEPT_AT_ONCE` at most; a None as the last where there is no descriptor for the next."""
    for _ in range(ACCEPT_AT_ONCE):
        try:
            caller, _address = listener.accept()
        except BlockingIOError:
            return
        except ConnectionAbortedError:
            continue
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            yield None
            return
        yield caller


class Gate:
    """One process of the gate. Several share the listener where one could not hold all callers."""

    def __init__(self, listener: socket.socket, board: Board, index: int) -> None:
        self._listener = listener
        self._board = board
        self._index = index
        self._callers: dict[int, socket.socket] = {}  # by descriptor
        self._lines: dict[int, bytes] = {}  # of those of them whose line is not whole yet: what they said so far
        self._waiting: set[int] = set()  # callers that wait for GO
        self._held: dict[int, int] = {}  # those of them that came on behalf of one of our requests, and which
        self._request: dict[int, int] = {}  # of each caller that came on behalf of one of ours, which
        self._let_go_fds: set[int] = set()
        self._released = False
        self._deaf = True  # whether the listener is left alone

    def run(self, orders: Orders) -> None:
        self._epoll = select.epoll()
        self._epoll.register(orders, select.EPOLLIN)
        self._hear_callers()
        while True:
            for fd, _ in self._epoll.poll(maxevents=HEAR_AT_ONCE):
                if fd == orders.fileno():
                    order = orders.recv(1)
                    if order not in (RELEASE, SOME):
                        return
                    self._release(len(self._waiting) if order == RELEASE else SOME_AT_ONCE)
                elif fd != self._listener.fileno():
                    self._read(fd)
            if not self._deaf:
                self._accept()  # whatever woke us

    def _hear_callers(self) -> None:
        # exclusive: a caller wakes one of the processes, not all
        self._epoll.register(self._listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        self._deaf = False

    def _accept(self) -> None:
        for caller in callers(self._listener):
            if caller is None:
                # Out of descriptors: leave the others in the kernel's queue, where the census counts them.
                self._epoll.unregister(self._listener)
                self._deaf = True
                self._board.short[self._index] = 1
                return
            self._callers[caller.fileno()] = caller
            self._lines[caller.fileno()] = b""
            self._board.unread[self._index] = len(self._lines)
            self._epoll.register(caller, select.EPOLLIN)

    def _read(self, fd: int) -> None:
        try:
            heard = self._callers[fd].recv(256)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        if not heard:
            self._hang_up(fd)
        elif fd in self._lines:  # after its line, a caller has nothing more to say
            line = self._lines[fd] = self._lines[fd] + heard
            if line.endswith(b"\n"):
                self._take(fd, line.split())
            elif len(line) >= 256:
                self._hang_up(fd)

    def _take(self, fd: int, words: list[bytes]) -> None:
        board, index = self._board, self._index
        board.arrived[index] += 1
        request = int(words[1]) if len(words) > 1 and words[1].isdigit() else -1
        ours = 0 <= request < board.requests
        if not ours:
            board.strangers[index] += 1
        else:
            board.called[request] = 1
            self._request[fd] = request
        if words[:1] == [b"SLEEP"]:
            if ours:
                board.asleep[request] = board.in_handler[request] = 1
        elif self._released:
            self._let_go(fd)
        else:
            self._waiting.add(fd)
            if ours:
                self._held[fd] = request
                board.in_handler[request] = 1
                board.held[index] += 1
        del self._lines[fd]
        board.unread[index] = len(self._lines)  # after `held`: at no moment is a call at neither

    def _let_go(self, fd: int) -> None:
        with contextlib.suppress(OSError):  # it is gone: its end arrives as an event
            self._callers[fd].send(GO)
            self._let_go_fds.add(fd)

    def _release(self, most: int) -> None:
        self._released = True
        self._board.held[self._index] = 0
        self._held.clear()
        for _ in range(min(most, len(self._waiting))):
            self._let_go(self._waiting.pop())

    def _hang_up(self, fd: int) -> None:
        self._callers.pop(fd).close()
        self._lines.pop(fd, None)
        self._board.unread[self._index] = len(self._lines)
        self._waiting.discard(fd)
        request = self._request.pop(fd, None)
        if fd in self._let_go_fds:
            self._let_go_fds.discard(fd)
            if request is not None:
                self._board.let_go[request] = 1
        self._board.departed[self._index] += 1
        if fd in self._held:
            self._board.in_handler[self._held.pop(fd)] = 0
            self._board.held[self._index] -= 1
        if self._deaf:
            self._hear_callers()
