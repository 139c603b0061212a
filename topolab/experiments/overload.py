"""Overload: what do requests get when more of them come than can be served, and how long until all is well again?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from topolab.experiments.capacity import OnEvent
from topolab.experiments.stand import stand, usual
from topolab.loads import Calibration, Lap, Offered, OverloadRun, RawLap, Step, Work
from topolab.plan import Plan
from topolab.runtimes.base import Runtime
from topolab.samples import Samples, columns

WORK = Work("io", io_ms=20.0)
STEPS = (0.5, 1.0, 1.5, 2.0, 3.0)  # times the ceiling
# A client gives up after so long, or after so many times what an idle server takes. A queue in which requests wait
# longer than that serves nobody in the end: for that to show, a step has run a while before it counts.
TIMEOUT_S, TIMEOUT_TIMES = 0.4, 10.0
WARMUP_TIMES, STEP_TIMES = 1.25, 2.25  # times what a client waits
# Afterwards comes a light load: a tenth of the ceiling, or so many per second, but never more than half of the ceiling;
# until so many requests can tell how it is.
WATCHED_S, WATCHED_SHARE, WATCHED_LEAST, WATCHED_MOST, WATCHED_MANY, LONGEST_S = 2.5, 0.1, 20.0, 0.5, 20, 60.0
WELL = 2.0  # times the latency of an idle server
AT_ONCE = 5  # whose median says how it is: one alone may be the machine's doing


def run(
    runtime: Runtime, plan: Plan, on_event: OnEvent, *,
    work: Work | None = None, steps: Sequence[float] = STEPS, seconds: float | None = None,
    keepalive: bool | None = None,
    calibration: Calibration | None = None, kept: list[RawLap] | None = None,
) -> OverloadRun:  # fmt: skip
    """A staircase of steps, from below the ceiling to far above it, and then a light load.

    Each request has a connection of its own unless `keepalive` is true. `seconds` None: a little more than twice what a
    client waits.
    """
    work = work or usual(plan, WORK)[0]
    with stand(runtime, plan, on_event, calibration=calibration, kept=kept) as it:
        (limit,), keeps = it.alone([work], keepalive=bool(keepalive))
        timeout_s = round(max(TIMEOUT_S, TIMEOUT_TIMES * limit.service_s), 3)
        offered = [
            Offered(
                work, "open", seconds or STEP_TIMES * timeout_s, rate=round(times * limit.rate, 1), keepalive=keeps,
                timeout_s=timeout_s, warmup_s=WARMUP_TIMES * timeout_s, label=f"{times:g} times the ceiling",
            )
            for times in sorted(steps)
        ]  # fmt: skip
        light = round(min(max(WATCHED_LEAST, WATCHED_SHARE * limit.rate), WATCHED_MOST * limit.rate), 2)
        watched_s = min(LONGEST_S, max(WATCHED_S, round(WATCHED_MANY / light, 1)))
        patient_s = max(watched_s, round(TIMEOUT_TIMES * limit.service_s, 3))
        offered.append(
            Offered(work, "open", watched_s, rate=light, keepalive=keeps, timeout_s=patient_s, label="after it")
        )
        *stairs, last = it.load(offered)
        since_s = _drained_s(stairs[-1])
        laps = [it.judge(raw, limit, overload=True) for raw in stairs]
        after = it.judge(last, limit, overload=True)
    asked = {"work": work, "steps": steps, "seconds": seconds, "keepalive": keepalive}
    return OverloadRun(
        **it.envelope("overload", [*laps, after], **asked),
        ceiling=limit,
        steps=tuple(Step(times, lap, dead(lap)) for times, lap in zip(sorted(steps), laps, strict=True)),
        after=after,
        recovery_s=recovery_s(columns(last), idle_s=limit.service_s, since_s=since_s),
        watched_s=round(since_s + watched_s, 1),
    )


def dead(lap: Lap) -> int | None:
    """Views that were begun, less those whose client got a good answer."""
    return max(0, lap.views - lap.good) if lap.offered.work.io_ms else None  # they call the gate


def _drained_s(raw: RawLap) -> float:
    """From the end of a lap's load to the end of its last request, which is when the next lap begins."""
    return max(0.0, float(columns(raw).ended_ns.max(initial=0)) / 1e9 - raw.offered.seconds)


def recovery_s(seen: Samples, *, idle_s: float, since_s: float = 0.0) -> float | None:
    """From the end of the load until latencies stayed below twice those of an idle server; None where they did not.

    `seen` begin `since_s` after that end, so that is the least that can be told.
    """
    order = np.argsort(seen.due_ns, kind="stable")
    well = (seen.of("answered") & (seen.latency_s < WELL * idle_s))[order]
    if len(well) < AT_ONCE:
        return None
    median = np.convolve(well, np.ones(AT_ONCE), mode="valid") > AT_ONCE / 2
    ill = np.flatnonzero(~median)
    if not len(ill):
        return round(since_s, 3)
    if ill[-1] == len(median) - 1:
        return None
    return round(since_s + float(seen.due_ns[order][ill[-1] + AT_ONCE]) / 1e9, 3)
