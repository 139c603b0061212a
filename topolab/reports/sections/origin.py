"""Where numbers come from: with which settings and versions each topology ran, when, and what to type."""

from __future__ import annotations

from dataclasses import dataclass

from topolab.comparison import Comparison
from topolab.reports import words
from topolab.results import CapacityRun, Run


@dataclass(frozen=True, slots=True)
class Origin:
    """One topology with its settings; `plans`: as started, with the experiments that ran on each of them.

    `commands` are those of ledgers; those of other experiments stand in their sections.
    """

    topology: str
    name: str
    changes: str
    runs: tuple[Run, ...]

    @property
    def label(self) -> str:
        return f"{self.name} {self.changes}".rstrip()

    @property
    def commands(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(run.command for run in self.runs if isinstance(run, CapacityRun)))

    @property
    def plans(self) -> list[tuple[str, dict[str, str]]]:
        found: list[tuple[list[str], dict[str, str]]] = []
        for run in self.runs:
            names = next((names for names, plan in found if plan == run.plan), None)
            if names is None:
                found.append(([run.experiment], run.plan))
            elif run.experiment not in names:
                names.append(run.experiment)
        return [(", ".join(names), plan) for names, plan in found]

    @property
    def experiments(self) -> str:
        """`capacity, latency (3)`: how often each, if more than once."""
        names = [run.experiment for run in self.runs]
        times = {name: names.count(name) for name in names}
        return ", ".join(f"{name} ({count})" if count > 1 else name for name, count in times.items())

    @property
    def runtime(self) -> str:
        return ", ".join(dict.fromkeys(run.runtime for run in self.runs))

    @property
    def versions(self) -> list[tuple[str, str]]:
        """Name and version, sorted; two lines where two runs had different ones."""
        return sorted({pair for run in self.runs for pair in run.versions.items()})

    @property
    def started(self) -> str:
        """The first of them."""
        return min(run.started for run in self.runs).replace("T", " ")

    @property
    def seconds(self) -> float:
        return sum(run.seconds for run in self.runs)


def origins(comparison: Comparison) -> list[Origin]:
    """Every topology with its settings, in the order in which each first came."""
    found: dict[str, list[Run]] = {}
    for run in comparison.measured:
        found.setdefault(words.label(run, comparison), []).append(run)
    return [
        Origin(runs[0].topology, words.name(runs[0], comparison), words.changed(runs[0]), tuple(runs))
        for runs in found.values()
    ]
