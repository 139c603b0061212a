"""Memory: of a worker, of a request in flight, of an idle connection."""

from __future__ import annotations

from functools import partial

from topolab.comparison import Comparison
from topolab.loads import Footprint, Interval, MemoryRun
from topolab.reports import units
from topolab.reports.looks import MUTED, PARTS
from topolab.reports.sections.card import card, data_of, one_row
from topolab.reports.sections.doubts import Doubts
from topolab.reports.sections.shape import TOPOLOGY, Cell, Chart, Column, Key, Row, Section, Table, figure
from topolab.reports.sections.subjects import Subject, subjects
from topolab.reports.sheet import Segment, Sheet

Runs = Subject[MemoryRun]
Moment = tuple[str, str, Footprint]
Moments = tuple[Moment, ...]
_COLUMNS = (
    Column("At rest"), Column("In flight"), Column("With them"), Column("After"), Column("Idle connections"),
    Column("With those"), Column("Workers"), Column("A worker"), Column("A request"), Column("A connection"),
)  # fmt: skip
_MOMENT = Column("Moment", numeric=False)
_DATA = (Column("All processes"), Column("Processes"))


def section(comparison: Comparison, doubts: Doubts) -> Section | None:
    found = subjects(comparison, MemoryRun)
    if not found:
        return None
    wholes = [_whole(moments) for subject in found for moments in subject.aligned(_moments)]
    most = max(units.bounds(it)[1] for it in wholes if it) or 1.0
    return Section(
        name="memory",
        short="Memory",
        title="Memory at rest, full, and with idle connections",
        how="Each bar is the memory of all processes of the topology at one moment. One scale for all topologies.",
        why="Proportional set size: a page that processes share is divided among them, so that workers forked from one "
        "parent are not counted twice. Workers cost before anybody asks; a request in flight costs what its thread, "
        "greenlet or process needs to wait; an idle connection what the server keeps for it.",
        key=(
            Key(PARTS["workers"], "workers"), Key(PARTS["stack"], "everything else at rest"),
            Key(PARTS["requests"], "requests in flight"), Key(PARTS["connections"], "idle connections"),
        ),
        charts=tuple(_chart(subject, doubts, most) for subject in found),
        table=Table(
            TOPOLOGY, _COLUMNS, tuple(one_row(subject, _cells(subject), doubts.of(subject.runs)) for subject in found)
        ),
    )  # fmt: skip


def at_rest(subject: Runs) -> Interval | None:
    return units.spread(run.memory.at_rest.pss_bytes for run in subject.runs)


def per_request(subject: Runs) -> Interval | None:
    return units.spread(run.per_request_bytes for run in subject.runs)


def _moments(run: MemoryRun) -> list[Moment]:
    """What is measured when, and what comes on top of the memory at rest."""
    seen = run.memory
    return [
        ("at rest", "", seen.at_rest),
        (f"{seen.served:,} in flight", "requests", seen.full),
        ("after", "requests", seen.after),
        (f"{seen.idle_connections:,} idle connections", "connections", seen.idle),
    ]


def _whole(moments: Moments) -> Interval | None:
    """The memory of all processes at one moment, over repeats."""
    return units.spread(footprint.pss_bytes for _name, _part, footprint in moments)


def _cells(subject: Runs) -> tuple[Cell, ...]:
    seen = [run.memory for run in subject.runs]

    def sizes(of: list[int | None]) -> Cell:
        return figure(units.spread(of), units.size)

    return (
        figure(at_rest(subject), units.size), figure(units.spread(it.served for it in seen), units.count),
        sizes([it.full.pss_bytes for it in seen]), sizes([it.after.pss_bytes for it in seen]),
        figure(units.spread(it.idle_connections for it in seen), units.count),
        sizes([it.idle.pss_bytes for it in seen]),
        figure(units.spread(run.workers for run in subject.runs), units.count),
        sizes([run.per_worker_bytes for run in subject.runs]), figure(per_request(subject), units.size),
        sizes([run.per_connection_bytes for run in subject.runs]),
    )  # fmt: skip


def _chart(subject: Runs, doubts: Doubts, most: float) -> Chart:
    judged = doubts.of(subject.runs)
    rows = tuple(
        Row(
            Cell(moments[0][0]),
            (
                figure(_whole(moments), units.size),
                figure(units.spread(one.processes for _name, _part, one in moments), units.count),
            ),
        )
        for moments in subject.aligned(_moments)
    )
    return card(
        "memory", subject, judged, partial(_draw, subject, most), data_of(subject, _MOMENT, _DATA, rows),
        title="memory", told=_told(subject),
    )  # fmt: skip


def _told(subject: Runs) -> tuple[str, ...]:
    one = units.spread(run.per_connection_bytes for run in subject.runs)
    workers = units.spread(run.per_worker_bytes for run in subject.runs)
    count = subject.runs[0].workers
    parts = [f"{'1 worker' if count == 1 else f'{count:,} workers'}, {units.told(workers, units.size)} each"]
    parts += [f"{units.told(cost, units.size)} for {what}" for cost, what in (
        (per_request(subject), "a request in flight"), (one, "an idle connection"),
    ) if cost]  # fmt: skip
    return ("; ".join(parts) + ".",)


def _draw(subject: Runs, most: float, sheet: Sheet) -> None:
    rest = at_rest(subject)
    per_worker = units.spread(run.per_worker_bytes * run.workers for run in subject.runs)
    if not rest or not per_worker:
        return
    workers = min(max(per_worker.median, 0.0), rest.median)
    for moments in subject.aligned(_moments):
        name, part, _footprint = moments[0]
        whole = _whole(moments)
        if not whole:
            continue
        segments = [
            Segment(min(workers, whole.median), PARTS["workers"], f"{name}: workers {units.size(workers)}"),
            Segment(min(rest.median, whole.median) - workers, PARTS["stack"], f"{name}: everything else at rest"),
        ]
        if part and whole.median > rest.median:
            more = whole.median - rest.median
            segments.append(Segment(more, PARTS[part], f"{name}: {units.size(more)} more than at rest"))
        sheet.put(sheet.width, sheet.y + 12, units.told(whole, units.size), size=12, align="right")
        sheet.write(0, name, size=12, colour=MUTED, advance=2)
        sheet.lengths(segments, most, height=12)
        sheet.whisker(*units.bounds(whole), most, above=8)
        sheet.y += 4
