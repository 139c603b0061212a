"""The downstream service that views of the work `io` and `mixed` call: it answers each of them by a timer.

A view connects, sends `WAIT <lap> <milliseconds>` and blocks until it reads `GO`. One process answers several times as
many calls as the fastest server here makes.
"""

from __future__ import annotations

import contextlib
import heapq
import select
import socket
import time

from topolab.instrument.gate import GO, callers
from topolab.instrument.processes import Orders
from topolab.instrument.timer import Timer

MAX_WAIT_MS = 60_000.0  # the app's own bound (app/work.py)
LINE_BYTES = 256


class Downstream:
    """Its process. `calls[lap]` counts the calls of a lap's views; it is the only one who writes there."""

    def __init__(self, listener: socket.socket, calls: memoryview[int]) -> None:
        self._listener = listener
        self._calls = calls
        self._callers: dict[int, socket.socket] = {}  # by descriptor
        self._silent: set[int] = set()  # those of them that have not said their line yet
        self._due: list[tuple[int, int]] = []  # a heap: when to answer whom
        self._armed_ns = 0
        self._deaf = False

    def run(self, orders: Orders) -> None:
        # A caller is of interest once it has said its line, so that most are accepted and heard in one go.
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
        with select.epoll() as self._epoll, contextlib.closing(Timer()) as self._timer:
            for source in (orders, self._timer, self._listener):
                self._epoll.register(source, select.EPOLLIN)
            while True:
                for fd, _ in self._epoll.poll():
                    if fd == self._listener.fileno():
                        self._accept()
                    elif fd == self._timer.fileno():
                        self._timer.expirations()
                        self._armed_ns = 0
                    elif fd == orders.fileno():
                        return
                    else:
                        self._read(fd)
                self._answer()

    def _accept(self) -> None:
        for caller in callers(self._listener):
            if caller is None:
                self._epoll.unregister(self._listener)  # until one hangs up
                self._deaf = True
                return
            fd = caller.fileno()
            self._callers[fd] = caller
            if not self._hear(fd):
                self._silent.add(fd)
                self._epoll.register(fd, select.EPOLLIN)

    def _read(self, fd: int) -> None:
        if fd not in self._silent:
            self._hang_up(fd)
        elif self._hear(fd):
            self._silent.discard(fd)
            self._epoll.unregister(fd)

    def _hear(self, fd: int) -> bool:
        """Whether it has said its line. One that says something else is none of ours, and is answered at once."""
        lap, milliseconds = -1, 0.0
        try:
            words = self._callers[fd].recv(LINE_BYTES, socket.MSG_DONTWAIT).split()
            if words[:1] == [b"WAIT"]:
                lap, milliseconds = int(words[1]), float(words[2])
        except BlockingIOError:
            return False
        except (OSError, ValueError, IndexError):
            pass
        if 0 <= lap < len(self._calls):
            self._calls[lap] += 1
        due_ns = time.monotonic_ns() + int(min(max(milliseconds, 0.0), MAX_WAIT_MS) * 1e6)
        heapq.heappush(self._due, (due_ns, fd))
        return True

    def _answer(self) -> None:
        """Answers all that are due, and sets the timer to the next."""
        due, now = self._due, time.monotonic_ns()
        while due and due[0][0] <= now:
            _, fd = heapq.heappop(due)
            with contextlib.suppress(OSError):  # it has gone
                self._callers[fd].send(GO)
            self._epoll.register(fd, select.EPOLLIN)  # it hangs up first, and then we do, hard: see gate.py
        if due and due[0][0] != self._armed_ns:
            self._armed_ns = due[0][0]
            self._timer.once(self._armed_ns)

    def _hang_up(self, fd: int) -> None:
        self._callers.pop(fd).close()
        if self._deaf:
            self._epoll.register(self._listener, select.EPOLLIN)
            self._deaf = False
