"""What changed between two campaigns, or between two topologies: each figure's ratio with its interval."""

from __future__ import annotations

import math
from functools import partial

from topolab.comparison import Comparison
from topolab.loads import Change
from topolab.reports import units
from topolab.reports.looks import INK, MUTED, STROKES
from topolab.reports.plot import GRID
from topolab.reports.quantities import factor, quantity
from topolab.reports.sections.card import drawn
from topolab.reports.sections.shape import TOPOLOGY, Cell, Chart, Column, Group, Judged, Row, Section, Table, figure
from topolab.reports.sheet import Sheet

_FIGURE = Column("Figure", numeric=False)
_MARKS = {"better": "o", "worse": "X", "no difference": "D", "not comparable": "D"}


def section(comparison: Comparison) -> Section | None:
    if not comparison.changes:
        return None
    by_topology: dict[str, list[Change]] = {}
    for change in comparison.changes:
        by_topology.setdefault(change.topology, []).append(change)
    widest = max((_width(change) for change in comparison.changes), default=0.0) or math.log(1.1)
    baseline = comparison.campaign.baseline if comparison.campaign else None
    columns = (Column(baseline or "Before"), Column("Itself" if baseline else "After"), Column("Ratio"))
    return Section(
        name="changes",
        short="Changes",
        title=f"Beside {baseline}" if baseline else "What changed",
        how=f"Each line is one figure{f' over that of {baseline}' if baseline else ', after over before'}, with the "
        "interval that holds the true ratio. Left of the middle it is smaller, right of it larger. A disc: better; a "
        "cross: worse; a diamond: no difference.",
        why="No difference is said where the interval holds 1, or the change is too small to matter: not that both are "
        "equal, but that these repeats can't tell them apart.",
        charts=tuple(_card(topology, changes, widest, columns) for topology, changes in by_topology.items()),
        table=Table(
            TOPOLOGY,
            (_FIGURE, *columns),
            tuple(
                Group(one.topology, (Row(Cell(one.topology), (Cell(_named(one)), *_cells(one)), _judged(one)),))
                for one in comparison.changes
            ),
        ),
    )


def _named(change: Change) -> str:
    return f"{change.experiment}: {change.figure}"


def _judged(change: Change) -> Judged:
    doubt = "SUSPECT" if change.suspect else ""
    return Judged(change.verdict, tuple(filter(None, (doubt, change.because))))


def _cells(change: Change) -> tuple[Cell, ...]:
    def unit(value: float) -> str:
        return quantity(value, change.unit) if change.unit else units.plain(value)

    return figure(change.before, unit), figure(change.after, unit), figure(change.ratio, factor)


def _width(change: Change) -> float:
    """How far its interval reaches from no change at all, as a logarithm."""
    if not change.ratio:
        return 0.0
    ends = [change.ratio.median, *units.bounds(change.ratio)]
    return min(max(abs(math.log(end)) for end in ends if end > 0), math.log(10))


def _card(topology: str, changes: list[Change], widest: float, columns: tuple[Column, ...]) -> Chart:
    rows = tuple(Row(Cell(_named(change)), _cells(change), _judged(change)) for change in changes)
    data = Table(_FIGURE, columns, (Group(topology, rows),))
    verdicts = [change.verdict for change in changes]
    counts = [(verdict, verdicts.count(verdict)) for verdict in ("worse", "better", "not comparable", "no difference")]
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts if count)
    svg = drawn(
        partial(_draw, changes, widest), place=f"changes-{topology}", title=f"{topology}: what changed",
        told=(f"{told}.",), data=data,
    )  # fmt: skip
    first = next(verdict for verdict, count in counts if count)
    return Chart(topology, topology, "", Judged(first), svg, (f"{told}.",), data, ())


def _draw(changes: list[Change], widest: float, sheet: Sheet) -> None:
    middle, stroke = sheet.width / 2, STROKES["p99"]

    def place(ratio: float) -> float:
        return middle + max(-1.0, min(1.0, math.log(ratio) / widest)) * (middle - 8) if ratio > 0 else 8.0

    for change in changes:
        said = change.verdict if not change.ratio else f"{factor(change.ratio.median)} times, {change.verdict}"
        sheet.put(sheet.width, sheet.y + 12, said, size=12, align="right", bold=change.verdict == "worse")
        sheet.write(0, change.figure, size=12, colour=MUTED, advance=0, width=sheet.width * 0.55)
        at = sheet.y + 8
        sheet.line([0, sheet.width], [at, at], GRID, 1)
        sheet.line([middle, middle], [at - 7, at + 7], INK, 1)
        if change.ratio:
            ends = [place(end) for end in units.bounds(change.ratio)]
            sheet.line(ends, [at, at], stroke.colour, 2.4)
            sheet.marks([place(change.ratio.median)], [at], _MARKS[change.verdict], 9, stroke.colour, stroke.colour)
        sheet.y += 22
