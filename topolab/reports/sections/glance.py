"""All topologies at a glance: the one or two figures of each experiment that say most, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from topolab.behaviours import BurstRun, IdentityRun
from topolab.comparison import Comparison
from topolab.figures import work as work_of
from topolab.loads import Interval, MemoryRun, OverloadRun, Plateau, ThroughputRun, Work
from topolab.reports import units, words
from topolab.reports.sections import cost, latency, memory, overload, throughput
from topolab.reports.sections.doubts import Doubts
from topolab.reports.sections.shape import TOPOLOGY, Cell, Column, Group, Row, Section, Table, count
from topolab.reports.sections.subjects import subjects
from topolab.results import CapacityRun, Run

Works = dict[Work, list[Plateau]]
Kind = TypeVar("Kind", bound=Run)
Figures = dict[str, Cell]  # by the label of the topology
_WORKS = 2  # kinds of work that get a column
_NONE = Cell("-")


def section(comparison: Comparison, doubts: Doubts) -> Section | None:
    """None where there is little to be put side by side: the experiment's own table says it all."""
    if len({run.experiment for run in comparison.measured}) < 2:
        return None
    found = [(column, figures) for column, figures in _columns(comparison) if figures]
    if len(found) < 2:
        return None
    runs: dict[str, list[Run]] = {}
    for run in comparison.measured:
        runs.setdefault(words.label(run, comparison), []).append(run)
    groups = []
    for label, own in runs.items():
        cells = tuple(figures.get(label, _NONE) for _column, figures in found)
        groups.append(
            Group(own[0].topology, (Row(_head(own[0], comparison), cells, replace(doubts.of(own), codes=())),))
        )
    return Section(
        name="glance",
        short="At a glance",
        title="At a glance",
        how="One line for each topology, the median where there are repeats. Every figure is told in full, with its "
        "interval and its picture, in the section that it comes from.",
        why="",
        table=Table(TOPOLOGY, tuple(column for column, _figures in found), tuple(groups)),
    )


def _columns(comparison: Comparison) -> Iterator[tuple[Column, Figures]]:
    yield Column("In a handler"), _of(comparison, CapacityRun, _handled)
    yield Column("Served by", numeric=False), _of(comparison, IdentityRun, lambda run: Cell(run.seen))
    yield Column("p99 of a burst"), _of(comparison, BurstRun, _waited)
    plateaus = {subject.label: throughput.by_work(subject) for subject in subjects(comparison, ThroughputRun)}
    works = list(dict.fromkeys(work for own in plateaus.values() for work in own))[:_WORKS]
    for work in works:
        yield Column(f"Requests/s, {work_of(work)}"), _medians(plateaus, work, throughput.rate, units.plain)
    for work in works[:1]:
        yield Column(f"CPU s for 1,000, {work_of(work)}"), _medians(plateaus, work, cost.server, units.plain)
    rates = latency.latencies(comparison)
    p99 = latency.PERCENTILES["p99"]
    yield Column("p99, lowest rate"), {
        subject.label: _median(latency.percentile(latency.steps(subject)[0], p99), units.duration)
        for subject in rates if latency.steps(subject)
    }  # fmt: skip
    yield Column("Knee/s"), {subject.label: _median(latency.knee(subject), units.plain) for subject in rates}
    loads = subjects(comparison, OverloadRun)
    yield Column("Good/s, overloaded"), {
        subject.label: _median(overload.goodput(overload.staircase(subject)[-1]), units.plain)
        for subject in loads if overload.staircase(subject)
    }  # fmt: skip
    yield Column("Recovered after"), {subject.label: replace(overload.recovered(subject), more="") for subject in loads}
    sizes = subjects(comparison, MemoryRun)
    yield Column("Memory at rest"), {subject.label: _median(memory.at_rest(subject), units.size) for subject in sizes}
    yield Column("A request"), {subject.label: _median(memory.per_request(subject), units.size) for subject in sizes}


def _head(run: Run, comparison: Comparison) -> Cell:
    return Cell(words.name(run, comparison), more=words.changed(run))


def _of(comparison: Comparison, kind: type[Kind], shown: Callable[[Kind], Cell]) -> Figures:
    return {words.label(run, comparison): shown(run) for run in comparison.of(kind)}


def _median(it: Interval | None, unit: units.Unit) -> Cell:
    return Cell(unit(it.median), it.median) if it else _NONE


def _medians(
    found: dict[str, Works], work: Work, of: Callable[[list[Plateau]], Interval | None], unit: units.Unit
) -> Figures:
    return {label: _median(of(own[work]), unit) for label, own in found.items() if work in own}


def _waited(run: BurstRun) -> Cell:
    """At its own backlog, which is the first."""
    return count(run.bursts[0].burst.p99_s, units.duration) if run.bursts else _NONE


def _handled(run: CapacityRun) -> Cell:
    return count(run.measured.ledger.at("app", "handler").count)
