"""What changed from some runs to others: between two campaigns, or from a baseline to the other topologies of one.

Two numbers are only set beside each other where nothing else differs; what else differs is a reason, unless it is the
very thing that is compared (`across`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from topolab import statistics
from topolab.circumstances import both, differences
from topolab.comparison import Comparison
from topolab.figures import figures
from topolab.loads import Calibration, Change, LoadRun
from topolab.medians import Key, Median, grouped, medians
from topolab.results import CapacityRun, Run
from topolab.statistics import FEW, SMALLEST, Pair
from topolab.vanished import Vanished, vanished

MOVED = 0.15  # of what the null server answered: beyond it the machine itself may have been another one


@dataclass(frozen=True, slots=True)
class Moved:
    """A topology whose ledger changed: the places as they were and are, in a phrase each."""

    topology: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Diff:
    """`across`: what was allowed to differ, and does. `notes`: what a reader should know beside the numbers.

    `vanished`: what failed after, and did not before.
    """

    changes: tuple[Change, ...]
    ledgers: tuple[Moved, ...]
    across: tuple[str, ...]
    notes: tuple[str, ...]
    vanished: tuple[Vanished, ...] = ()

    @property
    def worse(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.verdict == "worse")


def against(baseline: str, found: Sequence[Median], *, smallest: float = SMALLEST) -> tuple[Change, ...]:
    """Every topology's figures against the baseline's. All were asked for the same: what differs is their own."""
    base = {(each.experiment, each.figure): each for each in found if each.topology == baseline}
    pairs = []
    for each in found:
        before = base.get((each.experiment, each.figure))
        if before and each.topology != baseline:
            pairs.append((before, each, ""))
    return _changes(pairs, smallest)


def between(before: Comparison, after: Comparison, *, across: Collection[str] = (), smallest: float = SMALLEST) -> Diff:
    """The figures that both have, and what became of them."""
    groups = grouped(before.measured), grouped(after.measured)
    reasons: dict[Key, dict[str, str]] = {
        key: dict(differences(groups[0][key], groups[1][key])) for key in groups[0] if key in groups[1]
    }
    second = {(each.experiment, each.topology, each.figure): each for each in medians(after.measured)}
    pairs, crossed = [], []
    for first in medians(before.measured):
        key = (first.experiment, first.topology)
        then = second.get((*key, first.figure))
        if then is None:
            continue
        differs = dict(reasons[key])
        if set(first.loads) != set(then.loads):
            differs["work"] = both(first.loads, then.loads)
        pairs.append((first, then, "; ".join(_said(differs, across))))
        crossed += [f"{what}: {text}" for what, text in differs.items() if what in across or "all" in across]
    gone = vanished(before, after)
    return Diff(
        changes=_changes(pairs, smallest),
        ledgers=tuple(_ledgers(groups[0], groups[1])),
        across=tuple(dict.fromkeys(crossed)),
        notes=(*_few(pairs), *_one_sided(*groups, gone), *_calibrations(before.measured, after.measured)),
        vanished=gone,
    )


def _changes(pairs: Sequence[tuple[Median, Median, str]], smallest: float) -> tuple[Change, ...]:
    """What became of each: before, after, and why they are not to be compared."""
    found = statistics.changes([_pair(*each) for each in pairs], smallest=smallest)
    return tuple(
        replace(change, unit=after.unit, suspect="SUSPECT" in (before.verdict, after.verdict))
        for change, (before, after, _because) in zip(found, pairs, strict=True)
    )


def _pair(before: Median, after: Median, because: str) -> Pair:
    exact = before.exact and after.exact
    names = (after.experiment, after.topology, after.figure)
    return Pair(*names, after.higher_is_better, before.values, after.values, exact, because, after.counted)


def _said(differs: dict[str, str], across: Collection[str]) -> Iterator[str]:
    """The reasons that stand in the way, each with what to type when it is what one wants to know."""
    for what, text in differs.items():
        if what not in across and "all" not in across:
            yield f"other {what}: {text} (--across {what})"


def _ledgers(before: dict[Key, list[Run]], after: dict[Key, list[Run]]) -> Iterator[Moved]:
    for key in before:
        first = _places(before[key])
        second = _places(after.get(key, []))
        if first and second and not set(first) & set(second):
            yield Moved(key[1], first, second)


def _places(runs: Sequence[Run]) -> tuple[str, ...]:
    """The ledgers of capacity runs, each once."""
    found = []
    for run in runs:
        if isinstance(run, CapacityRun):
            places = [f"{each.count:,} {each.service} {each.place.replace('_', ' ')}" for each in run.measured.places]
            found.append(" · ".join(places))
    return tuple(dict.fromkeys(found))


def _few(pairs: Sequence[tuple[Median, Median, str]]) -> Iterator[str]:
    """Where so little was measured that "no difference" says next to nothing."""
    noisy = [
        max(len(before.values), len(after.values))
        for before, after, because in pairs
        if not because and not before.exact
    ]
    if noisy and min(noisy) < FEW:
        yield f"With fewer than {FEW} repeats hardly any difference can be told from noise: measure with --repeats 5."


def _one_sided(
    before: dict[Key, list[Run]], after: dict[Key, list[Run]], gone: Sequence[Vanished]
) -> Iterator[str]:  # fmt: skip
    """What only one side has, because the other did not try it: nothing is said of it, and that is said."""
    told = {(one.experiment, one.topology, one.figure) for one in gone}
    for have, lack, where in ((before, after, "before"), (after, before, "after")):
        only = [f"{key[0]} on {key[1]}" for key in have if key not in lack and (*key, "") not in told]
        for key in (key for key in have if key in lack):
            missing = _names(have[key]) - _names(lack[key])
            only += [f"{name} of {key[0]} on {key[1]}" for name in sorted(missing) if (*key, name) not in told]
        if only:
            yield f"Only {where}: {', '.join(only)}."


def _names(runs: Sequence[Run]) -> set[str]:
    return {figure.name for run in runs for figure in figures(run)}


def _calibrations(before: Sequence[Run], after: Sequence[Run]) -> Iterator[str]:
    """Whether the machine itself answered as fast as it did then."""
    first, second = _calibration(before), _calibration(after)
    if first and second and abs(second.keepalive_rate / first.keepalive_rate - 1) > MOVED:
        yield (
            f"The instrument itself reached {first.keepalive_rate:,.0f} requests/s before and "
            f"{second.keepalive_rate:,.0f} after: the machine was not as fast as it had been, whatever is said here of "
            "a server."
        )


def _calibration(runs: Sequence[Run]) -> Calibration | None:
    return next((run.calibration for run in runs if isinstance(run, LoadRun) and run.calibration), None)
