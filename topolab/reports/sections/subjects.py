"""What was measured in one way, once or several times: the repeats of a topology with its settings, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Generic, TypeVar

from topolab.comparison import Comparison
from topolab.loads import LoadRun
from topolab.reports import words

Kind = TypeVar("Kind", bound=LoadRun)
Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Subject(Generic[Kind]):
    """`about`: what its requests asked for, where the experiment has one kind of them."""

    label: str
    about: str
    runs: tuple[Kind, ...]

    @property
    def topology(self) -> str:
        return self.runs[0].topology

    @property
    def commands(self) -> tuple[str, ...]:
        """What to type, each once."""
        return tuple(dict.fromkeys(run.command for run in self.runs))

    @property
    def repeats(self) -> str:
        """`median of 3 repeats`, or nothing."""
        return f"median of {len(self.runs)} repeats" if len(self.runs) > 1 else ""

    def aligned(self, parts: Callable[[Kind], Sequence[Part]]) -> list[tuple[Part, ...]]:
        """The first parts of all repeats, then the second ones ...; a repeat that was cut short lacks the last."""
        columns = zip_longest(*(parts(run) for run in self.runs))
        return [tuple(part for part in column if part is not None) for column in columns]


def subjects(
    comparison: Comparison, kind: type[Kind], about: Callable[[Kind], str] = lambda _run: ""
) -> list[Subject[Kind]]:
    """The runs of one kind, repeats together, in the order in which each first came; without those that saw nothing."""
    found: dict[tuple[str, str], list[Kind]] = {}
    runs = [run for run in comparison.of(kind) if _saw(run)]
    name = words.namer(runs, comparison)
    for run in runs:
        found.setdefault((name(run), about(run)), []).append(run)
    return [Subject(label, what, tuple(runs)) for (label, what), runs in found.items()]


def _saw(run: LoadRun) -> bool:
    return all(getattr(run, laps, True) for laps in ("plateaus", "points", "steps"))
