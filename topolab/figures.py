"""The figures of a run: which of its numbers are compared, drawn and exported, and which way is better.

The one place that says so. A name is the same in every run of the experiment, whatever was measured; what the number
rests on (`load`) stands beside it, so that two runs under different loads are not compared by mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from topolab.behaviours import BurstRun, DeadWorkRun, IdentityRun, IsolationRun
from topolab.loads import Lap, LatencyRun, MemoryRun, Offered, OverloadRun, ThroughputRun, Work
from topolab.results import CapacityRun, Run, Verdict

Unit = Literal["1/s", "s", "CPU s", "bytes", "requests"]
SCATTER: dict[Unit, float] = {"s": 1.0}  # how far repeats lie apart, of their median, before they disagree: latencies
USUAL_SCATTER = 0.15  # all others
NOBODYS = ("module_global", "thread_local")  # what no request may call its own


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of one run, and how far to trust it.

    `load`: what was offered while it was measured. `exact`: it follows from the settings alone and does not scatter
    from run to run, so that any difference is one.
    """

    name: str
    value: float
    unit: Unit
    higher_is_better: bool
    verdict: Verdict
    load: str = ""
    exact: bool = False


def figures(run: Run) -> tuple[Figure, ...]:
    """All figures of a run; none of an experiment that has only verdicts. What could not be measured is left out."""
    found = _OF.get(run.experiment, lambda _run: iter(()))
    return tuple(found(run))


def work(asked: Work) -> str:
    """`cpu 10 ms`, `mixed 50 ms + 5 ms`, `large 65,536 bytes`, `path /products`."""
    times = " + ".join(f"{ms:g} ms" for ms in (asked.io_ms, asked.cpu_ms) if ms)
    size = f"{asked.size:,} bytes" if asked.size else ""
    return " ".join(part for part in (asked.name, times, size, asked.path) if part)


def load(offered: Offered) -> str:
    """What was offered in a lap, but for rate and connections: those are in the figure's name, or each server's own."""
    loop = "closed loop" if offered.loop == "closed" else f"{offered.arrivals} arrivals"
    kept = "keep-alive" if offered.keepalive else "a connection per request"
    return f"{work(offered.work)}, {loop}, {kept}"


def _throughput(run: ThroughputRun) -> Iterator[Figure]:
    names = _names([plateau.work for plateau in run.plateaus])
    for name, plateau in zip(names, run.plateaus, strict=True):
        verdict, under = plateau.lap.verdict, load(plateau.lap.offered)
        yield Figure(f"requests/s, {name}", plateau.lap.achieved, "1/s", True, verdict, under)
        if plateau.server_cpu_s is not None:
            yield Figure(f"CPU of 1,000 requests, {name}", plateau.server_cpu_s, "CPU s", False, verdict, under)


def _latency(run: LatencyRun) -> Iterator[Figure]:
    for lap in run.points:
        yield from _percentiles(lap, f"at {lap.offered.label or f'{lap.offered.rate:g}/s'}")
    yield Figure("ceiling", run.ceiling.rate, "1/s", True, run.verdict)
    yield Figure("knee", run.knee or 0.0, "1/s", True, run.verdict, load(run.points[0].offered))  # 0: no rate held


def _overload(run: OverloadRun) -> Iterator[Figure]:
    for step in run.steps:
        at, lap = f"at {step.times_ceiling:g} times the ceiling", step.lap
        yield Figure(f"good answers {at}", lap.achieved, "1/s", True, lap.verdict, load(lap.offered))
        yield from _percentiles(lap, at)
        if step.dead is not None:
            yield Figure(f"begun for nobody {at}", step.dead, "requests", False, lap.verdict, load(lap.offered))
    after = run.watched_s if run.recovery_s is None else run.recovery_s  # at least so long, where it was not seen
    yield Figure("recovery", after, "s", False, run.after.verdict, load(run.after.offered))


def _percentiles(lap: Lap, at: str) -> Iterator[Figure]:
    """Of the good answers. Too few of them for p99 are enough for the median."""
    if lap.answered:
        middle: Verdict = "SUSPECT" if any(doubt.code != "too_few_samples" for doubt in lap.findings) else "VALID"
        yield Figure(f"p50 {at}", lap.answered.p50_s, "s", False, middle, load(lap.offered))
        yield Figure(f"p99 {at}", lap.answered.p99_s, "s", False, lap.verdict, load(lap.offered))


def _memory(run: MemoryRun) -> Iterator[Figure]:
    seen = run.memory
    sizes: dict[str, int | None] = {
        "memory at rest": seen.at_rest.pss_bytes,
        "memory at full": seen.full.pss_bytes,
        "memory of a worker": run.per_worker_bytes,
        "memory of a request in flight": run.per_request_bytes,
        "memory of an idle connection": run.per_connection_bytes,
    }
    for name, size in sizes.items():
        if size is not None:
            yield Figure(name, size, "bytes", False, run.verdict)


def _capacity(run: CapacityRun) -> Iterator[Figure]:
    """What the ledger comes to: exact, where the model gives no bounds."""
    places = run.measured.places
    exact = run.verdict == "VALID" and all(place.at_least is None for place in run.predicted.places)
    inside = sum(place.count for place in places if place.place == "handler")
    held = sum(place.count for place in places if place.service != "client")
    for name, count in (("in a handler", inside), ("held, in a handler or waiting", held)):
        yield Figure(name, count, "requests", True, run.verdict, f"{run.asked.requests} requests", exact)


def _identity(run: IdentityRun) -> Iterator[Figure]:
    if crossing := run.identity.crossing:
        under = f"{crossing.requests} short and long requests mixed"
        yield Figure("p99 of the wait for a view", crossing.wait_p99_s, "s", False, run.verdict, under)
        yield Figure("waited beside a free worker", crossing.misplaced, "requests", False, run.verdict, under)


def _isolation(run: IsolationRun) -> Iterator[Figure]:
    """Of all that a request leaves behind but in what nobody promises it: a single one is too many."""
    own = [place for place in run.isolation.kept if place.place not in NOBODYS]
    lost = sum(place.checked - place.kept for place in own)
    under = f"{run.isolation.requests} requests at once"
    yield Figure("found what was another's", lost, "requests", False, run.verdict, under, exact=True)


def _deadwork(run: DeadWorkRun) -> Iterator[Figure]:
    """Of those that had not begun when their client left: what ran already can't be helped."""
    ran = sum(left.ran for left in run.dead_work.left if left.place != "handler")
    yield Figure("begun for nobody", ran, "requests", False, run.verdict, f"{run.dead_work.requests} requests")


def _burst(run: BurstRun) -> Iterator[Figure]:
    for number, at in enumerate(run.bursts):
        where = f"backlog {at.backlog}" if number else "its own backlog"  # the first is the topology as it is
        under = f"{at.burst.requests} requests at once"
        yield Figure(f"p99 of a burst, {where}", at.burst.p99_s, "s", False, run.verdict, under)
        yield Figure(f"slow of a burst, {where}", at.burst.slow, "requests", False, run.verdict, under)


def _names(works: Sequence[Work]) -> list[str]:
    """Of each kind of work: its name alone, so that 10 ms and 12 ms of CPU can be set beside each other; more where
    that is not enough to tell two apart."""
    names = [asked.name for asked in works]
    return [work(asked) if names.count(asked.name) > 1 else asked.name for asked in works]


_OF: dict[str, Callable[[Any], Iterator[Figure]]] = {
    "throughput": _throughput, "latency": _latency, "overload": _overload, "memory": _memory, "capacity": _capacity,
    "identity": _identity, "isolation": _isolation, "deadwork": _deadwork, "burst": _burst,
}  # fmt: skip
