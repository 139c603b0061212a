"""Latency: how long do requests take that come at a given rate, and up to which rate does that hold?"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from topolab.experiments.capacity import OnEvent
from topolab.experiments.ceilings import most_kept
from topolab.experiments.stand import patience_s, stand, usual
from topolab.loads import Arrivals, Calibration, Ceiling, Lap, LatencyRun, Offered, RawLap, Work
from topolab.offers import Rate
from topolab.plan import Plan
from topolab.runtimes.base import Runtime

# Light to busy. The lowest gets p99's thousand requests in three seconds where the ceiling is 875/s or more.
RATES = (Rate(0.4, of_ceiling=True), Rate(0.55, of_ceiling=True), Rate(0.7, of_ceiling=True))
PERCENTILE, SAMPLES = 0.99, 1050  # p99 needs 1,000
LEAST_S, MOST_S, WARMUP_S = 0.8, 3.0, 0.2
NAMED_S = 30.0  # at most, for a rate that somebody named; shares of the ceiling are for comparisons, which have to end
SERVICE_TIMES = 5.0
KNEE = 10.0  # times the median at the lowest rate


def run(
    runtime: Runtime, plan: Plan, on_event: OnEvent, *,
    work: Work | None = None, rates: Sequence[Rate] = RATES, seconds: float | None = None,
    connections: int | None = None, arrivals: Arrivals = "constant", keepalive: bool | None = None,
    calibration: Calibration | None = None, kept: list[RawLap] | None = None,
) -> LatencyRun:  # fmt: skip
    """One client alone, which gives the ceiling; then each rate, lowest first.

    `seconds` None: as long as p99 needs, up to three seconds, or thirty for a rate that is named. `connections`: the
    most that may be open; None: as many as it takes, but of those that are kept no more than the server takes, as those
    outside would wait for ever behind idle ones.
    """
    work = work or usual(plan, Work())[0]
    with stand(runtime, plan, on_event, calibration=calibration, kept=kept) as it:
        (limit,), keeps = it.alone([work], keepalive=keepalive)
        most = connections or (most_kept(it.plan) if keeps else 0)
        offered = [
            Offered(
                work, "open", seconds or _long_enough(rate, most_s, limit), connections=most, rate=rate,
                arrivals=arrivals, keepalive=keeps, warmup_s=WARMUP_S, timeout_s=patience_s(limit), label=label,
            )
            for rate, label, most_s in sorted(
                (asked.per_second(limit.rate), str(asked), MOST_S if asked.of_ceiling else NAMED_S) for asked in rates
            )
        ]  # fmt: skip
        points = tuple(it.judge(raw, limit, percentile=PERCENTILE) for raw in it.load(offered))
    asked = {
        "work": work, "rates": rates, "seconds": seconds, "connections": connections, "arrivals": arrivals,
        "keepalive": keepalive,
    }  # fmt: skip
    return LatencyRun(**it.envelope("latency", points, **asked), ceiling=limit, points=points, knee=knee(points))


def knee(points: Sequence[Lap]) -> float | None:
    """The highest rate up to which p99 is below ten times the median at the lowest rate; None where there is none."""
    lowest = points[0].answered
    below = itertools.takewhile(
        lambda lap: lowest and lap.answered and lap.answered.p99_s < KNEE * lowest.p50_s, points
    )
    return max((lap.offered.rate for lap in below), default=None)


def _long_enough(rate: float, most_s: float, limit: Ceiling) -> float:
    """As p99 needs, up to `most_s`; but always several times what a request takes."""
    return round(max(min(most_s, max(LEAST_S, SAMPLES / rate)), SERVICE_TIMES * limit.service_s), 3)
