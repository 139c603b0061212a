"""Throughput against its predicted ceiling: what a closed loop got out of each topology."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median

from topolab.comparison import Comparison
from topolab.figures import work as work_of
from topolab.loads import Interval, Plateau, ThroughputRun, Work
from topolab.reports import units
from topolab.reports.looks import MUTED, PARTS
from topolab.reports.sections.card import card, data_of, one_row
from topolab.reports.sections.doubts import Doubts
from topolab.reports.sections.shape import (
    TOPOLOGY,
    Cell,
    Chart,
    Column,
    Group,
    Judged,
    Key,
    Row,
    Section,
    Table,
    count,
    figure,
)
from topolab.reports.sections.subjects import Subject, subjects
from topolab.reports.sheet import Segment, Sheet

Runs = Subject[ThroughputRun]
_WORK = Column("Work", numeric=False)
_COLUMNS = (
    Column("Requests/s"), Column("Ceiling"), Column("of it"), Column("Bound by", numeric=False), Column("Clients"),
    Column("p50"), Column("p99"), Column("Not answered"),
)  # fmt: skip


def section(comparison: Comparison, doubts: Doubts) -> Section | None:
    found = subjects(comparison, ThroughputRun)
    if not found:
        return None
    groups = rows(found, _cells, doubts)
    return Section(
        name="throughput",
        short="Throughput",
        title="Requests per second, against the ceiling",
        how="Upper bar: good answers per second. Thin bar under it: the most that the model predicts. Each kind of "
        "work has a scale of its own, the same in all topologies.",
        why="As many clients as it takes ask again as soon as they are answered. What can come out is the number of "
        "slots over the time of one request, or the CPUs over its CPU time, whichever is less; both times are measured "
        "on an idle server first. A rate far below its ceiling means that something else is full, one above it that "
        "something else was measured.",
        key=(Key(PARTS["measured"], "measured"), Key(PARTS["ceiling"], "predicted ceiling")),
        charts=tuple(_chart(subject, doubts, _most(found)) for subject in found),
        table=Table(TOPOLOGY, (_WORK, *_COLUMNS), groups),
    )


def rows(found: list[Runs], cells: Callable[[list[Plateau]], tuple[Cell, ...]], doubts: Doubts) -> tuple[Group, ...]:
    """A subject's row for each work, in a table of all."""
    return tuple(
        one_row(subject, (Cell(work_of(work)), *cells(plateaus)), judged(subject, plateaus, doubts))
        for subject in found
        for work, plateaus in by_work(subject).items()
    )


def by_work(subject: Runs) -> dict[Work, list[Plateau]]:
    """The plateaus of all repeats, by what their requests asked for."""
    found: dict[Work, list[Plateau]] = {}
    for run in subject.runs:
        for plateau in run.plateaus:
            found.setdefault(plateau.work, []).append(plateau)
    return found


def rate(plateaus: list[Plateau]) -> Interval | None:
    return units.spread(plateau.lap.achieved for plateau in plateaus)


def _ceiling(plateaus: list[Plateau]) -> Interval | None:
    return units.spread(plateau.ceiling.rate for plateau in plateaus)


def _most(found: list[Runs]) -> dict[Work, float]:
    """The longest bar of each kind of work."""
    most: dict[Work, float] = {}
    for subject in found:
        for work, plateaus in by_work(subject).items():
            ends = [units.bounds(it)[1] for it in (rate(plateaus), _ceiling(plateaus)) if it]
            most[work] = max([most.get(work, 0.0), *ends]) or 1.0
    return most


def _cells(plateaus: list[Plateau]) -> tuple[Cell, ...]:
    got, ceiling = rate(plateaus), _ceiling(plateaus)
    answered = [plateau.lap.answered for plateau in plateaus]
    of_it = got.median / ceiling.median if got and ceiling and ceiling.median else None
    return (
        figure(got), figure(ceiling), Cell("-" if of_it is None else units.share(of_it), of_it),
        Cell(_bound_by(plateaus)), _clients(plateaus),
        figure(units.spread(one.p50_s if one else None for one in answered), units.duration),
        figure(units.spread(one.p99_s if one else None for one in answered), units.duration),
        figure(units.spread(plateau.lap.requests - plateau.lap.good for plateau in plateaus), units.count),
    )  # fmt: skip


def _bound_by(plateaus: list[Plateau]) -> str:
    """`slots`; where repeats differ all of them, the most frequent first: `slots or CPUs`."""
    return " or ".join(name for name, _times in Counter(each.ceiling.bound_by for each in plateaus).most_common())


def _clients(plateaus: list[Plateau]) -> Cell:
    """The median of what was offered in the repeats, and from where to where it went: nothing is estimated."""
    offered = [plateau.lap.offered.connections for plateau in plateaus]
    low, high = min(offered), max(offered)
    return replace(count(median(offered)), more="" if low == high else f"{low:,} to {high:,}")


def judged(subject: Runs, plateaus: list[Plateau], doubts: Doubts) -> Judged:
    """What is to be thought of the laps of one kind of work."""
    return doubts.of_laps(subject.runs, [plateau.lap for plateau in plateaus])


def _chart(subject: Runs, doubts: Doubts, most: dict[Work, float]) -> Chart:
    rows = tuple(
        Row(Cell(work_of(work)), _cells(plateaus), judged(subject, plateaus, doubts))
        for work, plateaus in by_work(subject).items()
    )
    return card(
        "throughput", subject, doubts.of(subject.runs), partial(_draw, subject=subject, most=most),
        data_of(subject, _WORK, _COLUMNS, rows),
        title="requests per second against the ceiling",
    )  # fmt: skip


def _draw(sheet: Sheet, subject: Runs, most: dict[Work, float]) -> None:
    for work, plateaus in by_work(subject).items():
        got, ceiling = rate(plateaus), _ceiling(plateaus)
        if not got or not ceiling:
            continue
        name, text, predicted = work_of(work), units.told(got), units.plain(ceiling.median)
        sheet.write(0, f"{name}: {text}/s", size=12, bold=True, advance=3)
        sheet.lengths([Segment(got.median, PARTS["measured"], f"{name}: measured {text}/s")], most[work], height=15)
        sheet.whisker(*units.bounds(got), most[work], above=9)
        below = Segment(ceiling.median, PARTS["ceiling"], f"{name}: predicted at most {predicted}/s")
        sheet.lengths([below], most[work], height=6)
        sheet.write(0, f"of {predicted}/s at most, by {_bound_by(plateaus)}", size=12, colour=MUTED, advance=8)
