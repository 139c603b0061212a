"""What was measured before and could not be again: it failed, or nobody was answered. Worse than any number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from topolab.comparison import Comparison
from topolab.figures import figures
from topolab.loads import Lap, Latency, LatencyRun, OverloadRun
from topolab.medians import Key, grouped
from topolab.results import Run

_NONE = Latency("answered", 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, "")


@dataclass(frozen=True, slots=True)
class Vanished:
    """A figure, or with an empty name all of them, of one experiment on one topology; `because`: why it has none."""

    experiment: str
    topology: str
    figure: str
    because: str


def vanished(before: Comparison, after: Comparison) -> tuple[Vanished, ...]:
    """What the first has, and the second tried and has not, be it in some repeats only. What it did not try is not
    among it; nor is a percentile that some repeats of the first did not have either, as where at times nobody is
    answered.
    """
    return tuple(_vanished(before, after))


def _vanished(before: Comparison, after: Comparison) -> Iterator[Vanished]:
    failed = {(gap.experiment, gap.topology): gap.reason for gap in after.not_run if gap.failed}
    failures = Counter((gap.experiment, gap.topology) for gap in after.not_run if gap.failed)
    steady = {(gap.experiment, gap.topology) for gap in before.not_run if gap.failed}.isdisjoint
    groups = grouped(after.measured)
    for key, runs in grouped(before.measured).items():
        now = groups.get(key, [])
        if not now:
            if key in failed:
                yield Vanished(*key, "", failed[key])
            continue
        gone = list(_gone(key, runs, now, failed.get(key)))
        yield from gone
        if key in failed and not gone and steady([key]):
            of = failures[key] + len(now)
            yield Vanished(*key, "", f"{failures[key]} of {of} repeats failed: {failed[key]}")


def _gone(key: Key, runs: Sequence[Run], now: Sequence[Run], failed: str | None) -> Iterator[Vanished]:
    """The figures that one experiment on one topology has no more."""
    tried = {name for run in now for name in _tried(run)}
    unsteady = {name for run in runs for name in _tried(run) if name not in _names([run])}
    for name in _names(runs):
        if name not in _names(now):
            if name in tried and name not in unsteady:
                yield Vanished(*key, name, "nobody was answered")
            elif failed:
                yield Vanished(*key, name, failed)


def _names(runs: Sequence[Run]) -> dict[str, None]:
    return dict.fromkeys(figure.name for run in runs for figure in figures(run))


def _tried(run: Run) -> dict[str, None]:
    """The figures that it would have if somebody had been answered in each lap."""
    if isinstance(run, LatencyRun):
        run = replace(run, points=tuple(map(_answered, run.points)))
    elif isinstance(run, OverloadRun):
        run = replace(run, steps=tuple(replace(step, lap=_answered(step.lap)) for step in run.steps))
    return _names([run])


def _answered(lap: Lap) -> Lap:
    return lap if lap.answered else replace(lap, latencies=(_NONE,))
