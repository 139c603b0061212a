"""Which request is sent when: the closed loop and the open one."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from topolab.instrument.arrivals import schedule
from topolab.instrument.board import Fate
from topolab.instrument.generator import AT_ONCE, MOST_DESCRIPTORS, NEVER, Generator
from topolab.loads import Loop, Offered

CLIENT_NS = 1_000_000  # from the first request of one client of the closed loop to that of the next, at most
REST_NS = 10_000_000  # a client of the closed loop that had no answer asks again after so long


class ClosedLoop(Generator):
    """So many clients, each of which asks again as soon as it is answered."""

    def __init__(self, offered: Offered, *others: Any, **more: Any) -> None:
        super().__init__(offered, *others, **more)
        self._resting: deque[int] = deque()  # when the clients ask that have no connection, soonest first

    def _begin(self) -> None:
        # One by one, all within half of the warm-up: at once, they overflow a short accept queue, and those outside
        # come back after a second.
        clients = self._offered.connections
        step_ns = min(CLIENT_NS, int(self._offered.warmup_s * 1e9 / 2 / clients))
        self._resting.extend(self.span.begin_ns + client * step_ns for client in range(clients))
        if self._keepalive:
            self._again_until = self.span.to_ns

    def _free(self, fd: int, now: int) -> None:
        if now < self.span.to_ns:
            self._ask_by(fd, now, now)
        else:
            self._connections.keep(fd)

    def _gone(self, now: int) -> None:
        if now < self.span.to_ns:
            self._ask_anew(now)

    def _unanswered(self, now: int, fate: Fate) -> None:
        if fate == Fate.TIMED_OUT:  # it has waited long enough
            self._resting.appendleft(now)
        else:
            self._resting.append(now + REST_NS)
        self._wake_ns = 0  # so that it is looked at once when the next is to ask

    def _not_opened(self, due: int) -> None:
        self.tally.short += 1  # for the rest of the lap there is a client less

    def _ask(self, now: int) -> int:
        resting = self._resting
        if now >= self.span.to_ns:
            resting.clear()
        for _ in range(AT_ONCE):
            if not resting or resting[0] > now:
                break
            resting.popleft()
            self._ask_anew(time.monotonic_ns())
        return resting[0] if resting else NEVER

    def _exhausted(self) -> bool:
        return True


class OpenLoop(Generator):
    """Requests at moments that nothing can move. What is due and can't be sent yet waits, the oldest first."""

    def __init__(self, offered: Offered, *others: Any, **more: Any) -> None:
        super().__init__(offered, *others, **more)
        self._arrivals = schedule(offered)
        self._arrived = 0
        self._waiting: deque[int] = deque()  # when they were due
        self._held_up = 0  # so many of those, the oldest, lack a connection: that they are late is not our doing
        self._most_open = offered.connections or MOST_DESCRIPTORS
        self._starved = False  # we could not open as many as that
        self._armed_ns = 0

    def _free(self, fd: int, now: int) -> None:
        self._connections.keep(fd)

    def _not_opened(self, due: int) -> None:
        self.tally.short += 1
        self._starved, self._most_open = True, max(1, len(self._connections.open))
        self._waiting.appendleft(due)
        self._held_up = len(self._waiting)

    def _ask(self, now: int) -> int:
        arrivals, begin_ns, waiting, connections = self._arrivals, self.span.begin_ns, self._waiting, self._connections
        while self._arrived < len(arrivals) and (due := begin_ns + arrivals[self._arrived]) <= now:
            waiting.append(due)
            self._arrived += 1
        for _ in range(min(len(waiting), AT_ONCE)):
            if not connections.idle and len(connections.open) >= self._most_open:
                if self._starved:
                    self.tally.short += len(waiting) - self._held_up
                self._held_up = len(waiting)
                break
            due, now = waiting.popleft(), time.monotonic_ns()
            if self._held_up:
                self._held_up -= 1
            elif due >= self.span.from_ns:
                self.tally.lateness.append(now - due)
            if connections.idle:
                self._ask_by(connections.idle.popitem()[0], due, now)
            else:
                self._ask_anew(due)
        if self._arrived < len(arrivals) and (next_ns := begin_ns + arrivals[self._arrived]) != self._armed_ns:
            self._armed_ns = next_ns
            self._timer.once(next_ns)  # it wakes us to the microsecond; a time-out of epoll's is in milliseconds
        return now if len(waiting) > self._held_up else NEVER

    def _give_up(self, due: int) -> None:
        now = time.monotonic_ns()
        while self._waiting and self._waiting[0] < due:
            self.tally.others.append((self._waiting.popleft(), 0, now, Fate.TIMED_OUT, 0))
            self._held_up = max(0, self._held_up - 1)

    def _exhausted(self) -> bool:
        return self._arrived == len(self._arrivals) and not self._waiting


LOOPS: dict[Loop, type[Generator]] = {"closed": ClosedLoop, "open": OpenLoop}
