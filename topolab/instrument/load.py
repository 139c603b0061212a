"""Load on a stack, a lap after the other: what came of each request, and what server, instrument and machine spent."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import mmap
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from topolab.errors import LabError
from topolab.instrument.addresses import TcpAddress
from topolab.instrument.asked import LoadAsked
from topolab.instrument.downstream import Downstream
from topolab.instrument.events import Events
from topolab.instrument.gate import listen
from topolab.instrument.handover import Handover
from topolab.instrument.loops import LOOPS
from topolab.instrument.machine import Machine, Moment
from topolab.instrument.processes import Child, Orders, Team, raise_descriptor_limit
from topolab.instrument.proctable import process_cpu_s
from topolab.instrument.serving import Serving
from topolab.instrument.settling import until_settled
from topolab.instrument.tally import Summary, summary
from topolab.instrument.tracking import wait_for_room
from topolab.instrument.work import UNCOUNTED, path, request
from topolab.loads import Loaded, LoadReport, Offered, RawLap, Work

NEXT = b"n"
TICK_S = 0.2  # between two looks at the time while a lap runs: each takes the generator's CPU for a moment
PATIENCE_S = 60.0  # for what is prepared before a lap and counted after it
ASK_S = 10.0


def load(asked: LoadAsked, events: Events) -> Loaded:
    """Runs the laps. LabError where nothing can be measured, Stopped when somebody says so."""
    limit = raise_descriptor_limit()
    calls = memoryview(mmap.mmap(-1, 8 * len(asked.laps))).cast("q")
    handover = Handover()
    with listen(asked.stack.gate) as listener, Team(watch_stdin=asked.watch_stdin) as team:
        downstream = team.fork("downstream service", Downstream(listener, calls).run)
        generator = team.fork("load generator", functools.partial(generate, asked, handover, limit))
        pids: set[int] = set()
        until_settled(asked, team, events, pids.add)
        for offered in asked.laps:
            require_there(offered.work, asked.stack.entry)
        machine = Machine(Serving(pids, team.pids, asked.stack.listeners), team.pids)
        wait_for_room(team)
        bench = Bench(asked, team, events, machine, handover, generator, downstream)
        laps = [bench.lap(number) for number in range(len(asked.laps))]
        # Counted to the very end: views whose clients gave up in one lap may run during the next.
        return Loaded(tuple(replace(lap, views=views) for lap, views in zip(laps, calls, strict=True)))


def generate(asked: LoadAsked, handover: Handover, descriptors: int, orders: Orders) -> None:
    """The process that generates the load: a lap for each order."""
    entry = asked.stack.entry
    for number, offered in enumerate(asked.laps):
        if orders.recv(1) != NEXT:
            return
        counted, warmup = (
            request(offered.work, lap, str(entry), keepalive=offered.keepalive) for lap in (number, UNCOUNTED)
        )
        generator = LOOPS[offered.loop](offered, entry, counted, warmup=warmup, descriptors=descriptors, orders=orders)
        if not generator.run(handover.begin):
            return
        handover.give(summary(generator.tally, generator.span))
    orders.recv(1)


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU time so far: the machine's, and of our two busy processes in seconds."""

    machine: Moment
    generator_s: float
    gate_s: float


@dataclass(frozen=True, slots=True)
class Bench:
    """Follows the generator through its laps."""

    asked: LoadAsked
    team: Team
    events: Events
    machine: Machine
    handover: Handover
    generator: Child
    downstream: Child

    def lap(self, number: int) -> RawLap:
        """One lap; its views are counted later."""
        offered, handover = self.asked.laps[number], self.handover
        self.generator.tell(NEXT)
        self._until(lambda: handover.begun > number, PATIENCE_S)
        span = handover.span
        self._sleep(number, span.from_ns)
        before = self._spent()
        self._sleep(number, span.to_ns)
        after = self._spent()
        self._until(lambda: handover.done > number, offered.timeout_s + PATIENCE_S)
        return self._raw(offered, handover.take(), before, after)

    def _raw(self, offered: Offered, seen: Summary, before: Spent, after: Spent) -> RawLap:
        cpu_s = after.generator_s - before.generator_s
        machine = self.machine.use(before.machine, after.machine)
        return RawLap(
            offered=offered,
            count=seen.count,
            samples=base64.b64encode(zlib.compress(seen.columns, 1)).decode(),
            views=0,
            instrument=LoadReport(
                lateness_p50_s=seen.lateness_p50_s,
                lateness_p99_s=seen.lateness_p99_s,
                lateness_max_s=seen.lateness_max_s,
                cpu_s=round(cpu_s, 4),
                gate_cpu_s=round(after.gate_s - before.gate_s, 4),
                cpu_share=round(cpu_s / machine.wall_s, 4),
                connections_opened=seen.opened,
                connections_held=seen.held,
                responses=seen.responses,
                descriptors_short=seen.short,
            ),
            machine=machine,
        )

    def _spent(self) -> Spent:
        return Spent(self.machine.now(), process_cpu_s(self.generator.pid), process_cpu_s(self.downstream.pid))

    def _sleep(self, number: int, until_ns: int) -> None:
        """Until that moment, telling how far the laps are."""
        total_s = sum(lap.warmup_s + lap.seconds for lap in self.asked.laps)
        before_s = sum(lap.warmup_s + lap.seconds for lap in self.asked.laps[:number])
        while (left_s := (until_ns - time.monotonic_ns()) / 1e9) > 0:
            passed_s = (time.monotonic_ns() - self.handover.span.begin_ns) / 1e9
            self.events.progress("loading", int(before_s + max(0.0, passed_s)), round(total_s))
            self.team.pause(min(left_s, TICK_S))

    def _until(self, condition: Callable[[], bool], patience_s: float) -> None:
        if not self.team.wait_until(condition, deadline_s=patience_s):
            raise LabError("The instrument's load generator does not come to an end of its lap. Offer less.")


def require_there(work: Work, entry: TcpAddress) -> None:
    """Has the app make the file that a lap asks for; asks a person's own for its path. LabError where that fails."""
    if work.name == "path":
        status = _status(entry, path(work, UNCOUNTED))
        if status != 200:
            raise LabError(
                f"GET {work.path} of your app: {f'status {status}' if status else 'no answer'}. Load is measured with "
                "answers of status 200, to requests without a session. Name another path: --work path:/..."
            )
    if work.name not in ("static", "front-static"):
        return
    for wanted in (Work("static", size=work.size), work):
        status = _status(entry, path(wanted, UNCOUNTED))
        if status != 200:
            need = "a front that sends files, nginx or Apache" if wanted.name == "front-static" else "the lab's own app"
            raise LabError(f"{path(wanted, UNCOUNTED)}: {status or 'no answer'}. The work {wanted.name} needs {need}.")


def _status(entry: TcpAddress, asked: str) -> int:
    connection = http.client.HTTPConnection(*entry.pair, timeout=ASK_S)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", asked, headers={"Connection": "close"})
        return connection.getresponse().status
    return 0
