"""Cost per request: the CPU time that server and instrument spend."""

from __future__ import annotations

from functools import partial

from topolab.comparison import Comparison
from topolab.figures import work as work_of
from topolab.loads import Interval, Plateau, ThroughputRun, Work
from topolab.reports import units
from topolab.reports.looks import MUTED, PARTS
from topolab.reports.sections.card import card, data_of
from topolab.reports.sections.doubts import Doubts
from topolab.reports.sections.shape import TOPOLOGY, Cell, Chart, Column, Key, Row, Section, Table, figure
from topolab.reports.sections.subjects import Subject, subjects
from topolab.reports.sections.throughput import by_work, judged, rows
from topolab.reports.sheet import Segment, Sheet

_WORK = Column("Work", numeric=False)
_COLUMNS = (Column("Server, CPU s"), Column("Instrument, CPU s"), Column("Server, a request"))


def section(comparison: Comparison, doubts: Doubts) -> Section | None:
    found = subjects(comparison, ThroughputRun)
    if not found:
        return None
    groups = rows(found, _cells, doubts)
    most = _most(found)
    return Section(
        name="cost",
        short="Cost",
        title="CPU seconds for 1,000 requests",
        how="Of all processes of the topology, a front's included, and under them of the instrument that asked. One "
        "scale for all topologies.",
        why="Requests per second say what a machine can do when it does nothing else; the CPU time of a request says "
        "what it costs, and stays the same when the machine is shared. Read from the kernel's count for each process.",
        key=(Key(PARTS["server"], "server"), Key(PARTS["instrument"], "instrument")),
        charts=tuple(_chart(subject, doubts, most) for subject in found),
        table=Table(TOPOLOGY, (_WORK, *_COLUMNS), groups),
    )


def server(plateaus: list[Plateau]) -> Interval | None:
    """CPU seconds per 1,000 good answers."""
    return units.spread(plateau.server_cpu_s for plateau in plateaus)


def _instrument(plateaus: list[Plateau]) -> Interval | None:
    return units.spread(plateau.instrument_cpu_s for plateau in plateaus)


def _most(found: list[Subject[ThroughputRun]]) -> float:
    works = [plateaus for subject in found for plateaus in by_work(subject).values()]
    ends = [units.bounds(it)[1] for plateaus in works for it in (server(plateaus), _instrument(plateaus)) if it]
    return max(ends, default=0.0) or 1.0


def _cells(plateaus: list[Plateau]) -> tuple[Cell, ...]:
    spent = server(plateaus)
    one = Cell(units.duration(spent.median / 1000), spent.median) if spent else Cell("-")
    return figure(spent), figure(_instrument(plateaus)), one


def _chart(subject: Subject[ThroughputRun], doubts: Doubts, most: float) -> Chart:
    rows = tuple(
        Row(Cell(work_of(work)), _cells(plateaus), judged(subject, plateaus, doubts))
        for work, plateaus in by_work(subject).items()
    )
    return card(
        "cost", subject, doubts.of(subject.runs), partial(_draw, by_work(subject), most),
        data_of(subject, _WORK, _COLUMNS, rows), title="CPU seconds for 1,000 requests",
    )  # fmt: skip


def _draw(works: dict[Work, list[Plateau]], most: float, sheet: Sheet) -> None:
    for work, plateaus in works.items():
        name, spent, ours = work_of(work), server(plateaus), _instrument(plateaus)
        below = f"instrument {units.told(ours)} s"
        text = f"server {units.told(spent)} s" if spent else "server: not known"
        sheet.write(0, f"{name}: {text}", size=12, bold=True, advance=3)
        if spent:
            sheet.lengths([Segment(spent.median, PARTS["server"], f"{name}: {text}")], most, height=15)
            sheet.whisker(*units.bounds(spent), most, above=9)
        if ours:
            sheet.lengths([Segment(ours.median, PARTS["instrument"], f"{name}: {below}")], most, height=6)
            sheet.write(0, below, size=12, colour=MUTED, advance=0)
        sheet.y += 8
