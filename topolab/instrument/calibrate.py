"""What the instrument can do on this machine, against a server that does nothing: the ceiling of every figure."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from topolab.errors import LabError
from topolab.instrument.addresses import TcpAddress
from topolab.instrument.asked import CalibrateAsked
from topolab.instrument.events import Events
from topolab.instrument.handover import Handover
from topolab.instrument.loops import LOOPS
from topolab.instrument.nullserver import NullServer
from topolab.instrument.processes import Orders, Team, raise_descriptor_limit
from topolab.instrument.proctable import process_cpu_s
from topolab.instrument.tally import summary
from topolab.instrument.tracking import wait_for_room
from topolab.instrument.work import request
from topolab.loads import Calibration, Offered, Work

CONNECTIONS = 64
ROUNDS = 2  # the better one counts: whatever else runs on the machine can only make the instrument slower
CLOSED_S, OPEN_S, WARMUP_S = 0.5, 0.4, 0.1
LATE_S = 0.001
SHARES = (0.8, 0.65, 0.5, 0.35, 0.2, 0.1)  # of the closed loop's rate: tried in the open loop until one is in time
PATIENCE_S = 20.0


def calibrate(asked: CalibrateAsked, events: Events) -> Calibration:
    """Takes some five seconds. Stopped when somebody says so."""
    limit = raise_descriptor_limit()
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener, Team(watch_stdin=asked.watch_stdin) as team:
        listener.setblocking(False)
        null = team.fork("null server", NullServer(listener).run)
        bench = functools.partial(lap, team, TcpAddress(*listener.getsockname()), limit)
        wait_for_room(team)
        with apart(null.pid):
            closed = Offered(Work(), "closed", CLOSED_S, CONNECTIONS, warmup_s=WARMUP_S)
            kept, anew = [], []
            for done in range(ROUNDS):
                events.progress("calibrating", done, ROUNDS + 1)
                kept.append(bench(closed))
                anew.append(bench(replace(closed, keepalive=False)))
            events.progress("calibrating", ROUNDS, ROUNDS + 1)
            rate = max(one.rate for one in kept)
            open_rate = next(_in_time(bench, rate), 0.0)
            events.progress("calibrating", ROUNDS + 1, ROUNDS + 1)
    return Calibration(
        keepalive_rate=round(rate, 1),
        keepalive_cpu_s=round(min(one.cpu_s for one in kept), 6),
        reconnect_rate=round(max(one.rate for one in anew), 1),
        reconnect_cpu_s=round(min(one.cpu_s for one in anew), 6),
        open_rate=round(open_rate, 1),
    )


def _in_time(bench: Callable[[Offered], Pace], rate: float) -> Iterator[float]:
    """The rates at which the open loop sends in time, highest first; tried twice: the machine may have stood still."""
    for share in SHARES * ROUNDS:
        offered = Offered(Work(), "open", OPEN_S, rate=share * rate, arrivals="poisson", warmup_s=WARMUP_S)
        if bench(offered).lateness_p99_s < LATE_S:
            yield offered.rate


@dataclass(frozen=True, slots=True)
class Pace:
    """One lap: answers per second, CPU seconds per 1,000 of them, and how late it sent."""

    rate: float
    cpu_s: float
    lateness_p99_s: float


@contextlib.contextmanager
def apart(server: int) -> Iterator[None]:
    """The server's process and this one with its children on CPUs of their own, where there are two."""
    allowed = os.sched_getaffinity(0)
    ours = {max(allowed)}
    others = (allowed if len(allowed) > 1 else set(range(os.cpu_count() or 1))) - ours
    try:
        with contextlib.suppress(OSError):  # no other, or none that our cgroup allows
            os.sched_setaffinity(server, others)
            os.sched_setaffinity(0, ours)
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def lap(team: Team, target: TcpAddress, descriptors: int, offered: Offered) -> Pace:
    """One lap by a process of its own."""
    handover = Handover()

    def generate(orders: Orders) -> None:
        asked = request(offered.work, 0, str(target), keepalive=offered.keepalive)
        generator = LOOPS[offered.loop](offered, target, asked, descriptors=descriptors, orders=orders)
        if generator.run(handover.begin):
            handover.give(summary(generator.tally, generator.span))
            orders.recv(1)

    child = team.fork("load generator", generate)
    _until(team, lambda: handover.begun == 1)
    used_s = []
    for moment_ns in (handover.span.from_ns, handover.span.to_ns):
        while (left_s := (moment_ns - time.monotonic_ns()) / 1e9) > 0:
            team.pause(left_s)
        used_s.append(process_cpu_s(child.pid))
    _until(team, lambda: handover.done == 1)
    seen = handover.take()
    if not seen.responses:
        raise LabError("The instrument could not be calibrated: not one answer came on loopback. Look at the firewall.")
    return Pace(
        rate=seen.responses / offered.seconds,
        cpu_s=(used_s[1] - used_s[0]) / seen.responses * 1000,
        lateness_p99_s=seen.lateness_p99_s,
    )


def _until(team: Team, condition: Callable[[], bool]) -> None:
    if not team.wait_until(condition, deadline_s=PATIENCE_S):
        raise LabError(f"The instrument could not be calibrated within {PATIENCE_S:g} s. Is the machine busy?")
