"""What the reports are made from: runs side by side, what could not be run, claims, and changes between campaigns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from topolab.claims import ClaimsRun
from topolab.loads import Campaign, Change
from topolab.results import CapacityRun, NotRun, Run

AnyKind = TypeVar("AnyKind", bound=Run)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`runs` are of the experiment capacity, `others` of all others; `campaign`: which they belong to, if to one."""

    runs: tuple[CapacityRun, ...]
    not_run: tuple[NotRun, ...] = ()
    others: tuple[Run, ...] = ()
    claims: tuple[ClaimsRun, ...] = ()
    changes: tuple[Change, ...] = ()
    campaign: Campaign | None = None

    @property
    def measured(self) -> tuple[Run, ...]:
        """All runs, of whatever experiment."""
        return (*self.runs, *self.others)

    @property
    def ledgers(self) -> tuple[tuple[CapacityRun, int], ...]:
        """The capacity runs; those of one topology that came out the same once, with how many they are."""
        found: list[tuple[CapacityRun, int]] = []
        for run in self.runs:
            at = next((at for at, (one, _times) in enumerate(found) if _alike(one, run)), None)
            if at is None:
                found.append((run, 1))
            else:
                found[at] = (found[at][0], found[at][1] + 1)
        return tuple(found)

    def of(self, kind: type[AnyKind]) -> tuple[AnyKind, ...]:
        """The runs of one kind."""
        return tuple(run for run in self.measured if isinstance(run, kind))

    def missing(self, experiment: str) -> tuple[NotRun, ...]:
        """What one experiment went on without."""
        return tuple(gap for gap in self.not_run if gap.experiment == experiment)


def _alike(one: CapacityRun, other: CapacityRun) -> bool:
    """Whether the second says nothing that the first does not: the same stack, ledger, and doubts."""

    def said(run: CapacityRun) -> tuple[object, ...]:
        after = run.after_release
        return (
            run.topology, run.runtime, run.asked, run.host, run.predicted, run.measured.places, run.findings,
            after.answered, after.failed, after.left,
        )  # fmt: skip

    return said(one) == said(other)
