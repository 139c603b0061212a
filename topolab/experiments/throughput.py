"""Throughput: how many requests per second come out at most, and what is full then?"""

from __future__ import annotations

from collections.abc import Sequence

from topolab.experiments.capacity import OnEvent
from topolab.experiments.ceilings import enough, outside
from topolab.experiments.stand import patience_s, stand, usual
from topolab.figures import work as named
from topolab.loads import Calibration, Ceiling, Lap, Offered, Plateau, RawLap, ThroughputRun, Work
from topolab.plan import Plan
from topolab.runtimes.base import Runtime

WORKS = (Work(), Work("io", io_ms=20.0), Work("cpu", cpu_ms=5.0))
SECONDS, WARMUP_S = 1.5, 0.4
TIMES, MOST_S = 16, 60.0  # what one request takes alone: under load it takes four times that, and there are to be a few


def run(
    runtime: Runtime, plan: Plan, on_event: OnEvent, *,
    works: Sequence[Work] | None = None, seconds: float | None = None, connections: int | None = None,
    keepalive: bool | None = None, calibration: Calibration | None = None, kept: list[RawLap] | None = None,
) -> ThroughputRun:  # fmt: skip
    """One client alone for each work, which gives the ceilings; then as many as it takes to reach them.

    `seconds` None: as long as requests need. `keepalive` None: connections are kept where the server keeps them. `kept`
    gets every lap's samples.
    """
    works = works or usual(plan, *WORKS)
    with stand(runtime, plan, on_event, calibration=calibration, kept=kept) as it:
        limits, keeps = it.alone(works, keepalive=keepalive)
        offered = [
            Offered(
                work, "closed", seconds or _long_enough(limit),
                connections=connections or enough(it.plan, limit, kept=keeps), keepalive=keeps,
                warmup_s=WARMUP_S, timeout_s=patience_s(limit), label=named(work),
            )
            for work, limit in zip(works, limits, strict=True)
        ]  # fmt: skip
        laps = [
            it.judge(raw, limit, plateau=True, outside=outside(it.plan, raw.offered.connections, kept=keeps))
            for raw, limit in zip(it.load(offered), limits, strict=True)
        ]
    plateaus = tuple(_plateau(limit, lap) for limit, lap in zip(limits, laps, strict=True))
    asked = {"work": works, "seconds": seconds, "connections": connections, "keepalive": keepalive}
    return ThroughputRun(**it.envelope("throughput", laps, **asked), plateaus=plateaus)


def _long_enough(limit: Ceiling) -> float:
    return round(min(MOST_S, max(SECONDS, TIMES * limit.service_s)), 3)


def _plateau(limit: Ceiling, lap: Lap) -> Plateau:
    """CPU seconds of 1,000 good answers; None where there were none, or the server's processes were not found."""
    thousands = lap.achieved * lap.machine.wall_s / 1000
    server = lap.machine.server_cpu_s
    instrument = lap.instrument.cpu_s + lap.instrument.gate_cpu_s
    return Plateau(
        work=lap.offered.work,
        ceiling=limit,
        lap=lap,
        server_cpu_s=round(server / thousands, 6) if server is not None and thousands else None,
        instrument_cpu_s=round(instrument / thousands, 6) if thousands else 0.0,
    )
