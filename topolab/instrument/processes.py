"""The instrument's own processes: forked early and small, and never left behind.

Gate and clients live apart because each held request costs a descriptor on both sides, and a process may hold
only so many. A child takes one-byte orders from a socket pair; its end is the child's order to go, so that the
children of a coordinator that was killed with -9 end as well.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, Self

from topolab.errors import LabError

SPARE_DESCRIPTORS = 24  # per process: standard streams, epoll, timer, board, orders, and some air
MAX_PROCESSES = 32  # of a kind: up to so many a descriptor limit is worked around, beyond that it is reported
STOP_S = 2.0  # a child that has not ended by itself after this time is killed

Orders = socket.socket
Work = Callable[[Orders], None]


class Stopped(Exception):
    """Somebody told the instrument to stop. Exits with `code`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def raise_descriptor_limit() -> int:
    """Raises the soft limit to the hard one, for this process and those it forks; returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def processes_for(connections: int, descriptor_limit: int, at_most: int | None = None) -> int:
    """How many processes it takes to hold them all, `at_most` connections each, as far as that is sensible."""
    usable = max(1, descriptor_limit - SPARE_DESCRIPTORS)
    each = min(usable, at_most) if at_most else usable
    # the coordinator has a descriptor for each, of two kinds, and needs some itself
    return min(MAX_PROCESSES, max(1, usable // 4), -(-connections // each))


def require_opened(opened: int, of: int) -> None:
    """Raises `LabError` where not all clients could be opened: what is seen of fewer says nothing of so many."""
    if opened < of:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        raise LabError(
            f"Only {opened} of {of} connections could be opened for want of descriptors (the limit is {limit} per "
            "process). Raise `ulimit -Hn`, or ask for fewer requests."
        )


@dataclass(frozen=True, slots=True)
class Child:
    """A forked process: `tell` it what to do."""

    name: str
    pid: int
    orders: Orders

    def tell(self, order: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # it died: `Team.pause` says so
            self.orders.sendall(order)


class Team:
    """The children of the coordinator, and what can stop it. Leaving the context ends them all."""

    def __init__(self, *, watch_stdin: bool = False) -> None:
        self.children: list[Child] = []
        self._signal = 0
        self._before: dict[int, Any] = {}  # who heard the signals
        self._poll = select.poll()
        self._watch_stdin = watch_stdin

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        if self._watch_stdin:
            self._poll.register(sys.stdin.fileno(), select.POLLIN)
        return self

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._signal = number

    def fork(self, name: str, work: Work) -> Child:
        """Starts `work` in a child; it must end when its orders do."""
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._be_child(name, work, theirs)
        theirs.close()
        child = Child(name, pid, ours)
        self.children.append(child)
        self._poll.register(ours.fileno(), select.POLLIN)
        return child

    def _be_child(self, name: str, work: Work, orders: Orders) -> None:
        status = 1
        try:
            # Ctrl-C reaches the whole process group; the coordinator decides, and the end of the orders tells.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            for sibling in self.children:
                sibling.orders.close()
            gc.freeze()
            gc.disable()
            work(orders)
            status = 0
        except OSError as error:
            print(f"{name}: {error}", file=sys.stderr, flush=True)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def pause(self, seconds: float) -> None:
        """Sleeps at most this long. Raises Stopped when told to stop, LabError when a child has died."""
        ready = self._poll.poll(seconds * 1000)
        if self._signal:
            raise Stopped(128 + self._signal, signal.Signals(self._signal).name)
        for fd, _ in ready:
            if self._watch_stdin and fd == sys.stdin.fileno():
                if not os.read(fd, 4096):
                    raise Stopped(128 + signal.SIGTERM, "standard input ended")
            else:
                name = next(child.name for child in self.children if child.orders.fileno() == fd)
                raise LabError(f"The instrument's {name} ended too early. Its reason is on standard error.")

    def wait_until(self, condition: Callable[[], bool], *, deadline_s: float, tick_s: float = 0.01) -> bool:
        """Pauses until the condition holds; false when the deadline came first."""
        deadline = time.monotonic() + deadline_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.pause(tick_s)
        return True

    @property
    def pids(self) -> list[int]:
        """Of the coordinator and its children."""
        return [os.getpid(), *(child.pid for child in self.children)]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for child in self.children:
            child.orders.close()
        deadline = time.monotonic() + STOP_S
        for child in self.children:
            while os.waitpid(child.pid, os.WNOHANG) == (0, 0):
                if time.monotonic() > deadline:
                    os.kill(child.pid, signal.SIGKILL)
                    os.waitpid(child.pid, 0)
                    break
                time.sleep(0.002)
        self.children.clear()
        for number, before in self._before.items():
            signal.signal(number, before)
