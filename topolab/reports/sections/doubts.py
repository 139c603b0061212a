"""Why numbers are doubted: each run's findings and those of its laps, each with a place in the page to link to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from topolab.comparison import Comparison
from topolab.figures import work as work_of
from topolab.loads import Lap, LatencyRun, OverloadRun, ThroughputRun
from topolab.medians import medians
from topolab.reports import units, words
from topolab.reports.sections.shape import Judged, verdict
from topolab.results import Finding, Run

Reason = tuple[str, Finding]
Reasons = tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Doubted:
    """A run that is SUSPECT. `reasons`: where in it (empty: all of it), and what was found."""

    place: str
    run: Run
    label: str
    reasons: Reasons

    @property
    def by_code(self) -> list[tuple[Reason, Reasons]]:
        """The first reason of each code, with the others like it."""
        found: dict[str, list[Reason]] = {}
        for reason in self.reasons:
            found.setdefault(reason[1].code, []).append(reason)
        return [(first, tuple(others)) for first, *others in found.values()]


class Doubts:
    """All doubted runs of a comparison, in its order; and repeats that disagree, under the first of them."""

    def __init__(self, comparison: Comparison) -> None:
        self.entries: list[Doubted] = []
        self._places: dict[int, str] = {}
        several = any(getattr(run, "repeat", 1) > 1 for run in comparison.measured)
        groups: dict[tuple[str, str], list[Run]] = {}
        name = words.namer(comparison.measured, comparison)
        for run in comparison.measured:
            groups.setdefault((run.experiment, name(run)), []).append(run)
        for (_experiment, label), runs in groups.items():
            self._add(runs[0], f"{label}, all repeats", _disagreements(runs))
            for run in runs:
                repeat = f", repeat {getattr(run, 'repeat', 1)}" if several else ""
                self._add(run, f"{label}{repeat}", _reasons(run), doubted=run.verdict == "SUSPECT")

    def _add(self, run: Run, label: str, reasons: Reasons, *, doubted: bool = False) -> None:
        if reasons or doubted:
            place = f"doubt-{len(self.entries) + 1}"
            self._places.setdefault(id(run), place)
            self.entries.append(Doubted(place, run, label, reasons))

    def of(self, runs: Sequence[Run]) -> Judged:
        """What is to be thought of one run, or of its repeats."""
        disagreements = _disagreements(runs)
        codes = dict.fromkeys(finding.code for _where, finding in disagreements)
        codes |= dict.fromkeys(finding.code for run in runs for _where, finding in _reasons(run))
        said = "SUSPECT" if disagreements else verdict([run.verdict for run in runs])
        return Judged(said, tuple(codes), self._place(runs))

    def of_laps(self, runs: Sequence[Run], laps: Sequence[Lap]) -> Judged:
        """The same for single laps of them."""
        codes = dict.fromkeys(finding.code for lap in laps for finding in lap.findings)
        return Judged(verdict([lap.verdict for lap in laps]), tuple(codes), self._place(runs))

    def _place(self, runs: Sequence[Run]) -> str:
        return next((self._places[id(run)] for run in runs if id(run) in self._places), "")


def laps(run: Run) -> list[tuple[str, Lap]]:
    """The laps of a run under load, each with its name."""
    if isinstance(run, ThroughputRun):
        return [(work_of(plateau.work), plateau.lap) for plateau in run.plateaus]
    if isinstance(run, LatencyRun):
        return [(f"at {units.rate(lap.offered.rate)}/s", lap) for lap in run.points]
    if isinstance(run, OverloadRun):
        steps = [(f"at {step.times_ceiling:g} times the ceiling", step.lap) for step in run.steps]
        return [*steps, ("after the load", run.after)]
    return []


def _reasons(run: Run) -> Reasons:
    """Each finding once: those of laps, which a run repeats with the lap's own label before them, with its name."""
    found = laps(run)
    told = {f"{lap.offered.label}: {finding.message}" for _where, lap in found for finding in lap.findings}
    own = [finding for finding in run.findings if finding.message not in told]
    return (
        *(("", finding) for finding in own),
        *((where, finding) for where, lap in found for finding in lap.findings),
    )


def _disagreements(runs: Sequence[Run]) -> Reasons:
    """What repeats of one thing say of each other; runs of several things have nothing to say."""
    if len(runs) < 2:
        return ()
    return tuple(("", finding) for median in medians(runs) for finding in median.findings)
