"""Runs of the same thing, put together: each figure once, with its median over the repeats and what to trust of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from topolab import doubts, statistics
from topolab.figures import SCATTER, USUAL_SCATTER, Figure, Unit, figures
from topolab.loads import Interval
from topolab.results import Finding, Run, Verdict

Key = tuple[str, str]  # experiment and topology
Named = Callable[[Run], str]


@dataclass(frozen=True, slots=True)
class Median:
    """One figure of one topology. `values` are the repeats in their order, `loads` what was offered in them.

    SUSPECT where no more than half of the repeats are VALID, or where they disagree (`findings`).
    """

    experiment: str
    topology: str
    figure: str
    unit: Unit
    higher_is_better: bool
    exact: bool
    values: tuple[float, ...]
    interval: Interval
    verdict: Verdict
    findings: tuple[Finding, ...]
    loads: tuple[str, ...]

    @property
    def counted(self) -> bool:
        """Whether these are numbers of events, which scatter as chance does at least."""
        return _counted(self.unit, exact=self.exact)


def _topology(run: Run) -> str:
    return run.topology


def medians(runs: Iterable[Run], named: Named = _topology) -> tuple[Median, ...]:
    """Every figure of every experiment on every topology, in the order in which they first appear.

    `named`: what else sets runs of one topology apart (settings, a runtime), where they are not repeats of one thing.
    """
    return tuple(median for key, group in grouped(runs, named).items() for median in _of_group(key, group))


def grouped(runs: Iterable[Run], named: Named = _topology) -> dict[Key, list[Run]]:
    """Runs by experiment and topology, or whatever they are called by."""
    groups: dict[Key, list[Run]] = {}
    for run in runs:
        groups.setdefault((run.experiment, named(run)), []).append(run)
    return groups


def of_repeats(verdicts: Iterable[Verdict]) -> Verdict:
    """Of a median over repeats: VALID where most of them are, because it then lies among the VALID ones."""
    told = list(verdicts)
    return "VALID" if told.count("VALID") > len(told) / 2 else "SUSPECT"


def _of_group(key: Key, group: Sequence[Run]) -> Iterable[Median]:
    by_name: dict[str, list[Figure]] = {}
    for run in group:
        for figure in figures(run):
            by_name.setdefault(figure.name, []).append(figure)
    for name, found in by_name.items():
        first, values = found[0], tuple(figure.value for figure in found)
        exact = all(figure.exact for figure in found)
        disagree = tuple(_disagree(first, values))
        verdict = "SUSPECT" if disagree else of_repeats(figure.verdict for figure in found)
        yield Median(
            experiment=key[0],
            topology=key[1],
            figure=name,
            unit=first.unit,
            higher_is_better=first.higher_is_better,
            exact=exact,
            values=values,
            interval=statistics.interval(values, counted=_counted(first.unit, exact=exact)),
            verdict=verdict,
            findings=disagree,
            loads=tuple(dict.fromkeys(figure.load for figure in found)),
        )


def _disagree(figure: Figure, values: Sequence[float]) -> Iterator[Finding]:
    """What repeats say of each other. What is nothing at times has no scatter in proportion: of a count that is chance,
    of a rate that collapses in some of the repeats it is not.
    """
    if min(values) > 0:
        yield from doubts.repeats(figure.name, values, SCATTER.get(figure.unit, USUAL_SCATTER))
    elif max(values) > 0 and figure.unit != "requests":
        none = sum(value <= 0 for value in values)
        yield Finding(
            "repeats_disagree",
            f"{figure.name}: {none} of {len(values)} repeats {'is' if none == 1 else 'are'} 0, and another is "
            f"{max(values):,.4g}. Look at each of them, and measure more often.",
        )


def _counted(unit: Unit, *, exact: bool) -> bool:
    return unit == "requests" and not exact
