"""Draws a chart: one topology's card, of one width for a phone and for two or three beside one another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from topolab.reports.sections.shape import Cell, Chart, Column, Group, Judged, Row, Table
from topolab.reports.sections.subjects import Subject
from topolab.reports.sheet import Sheet
from topolab.reports.svg import drawing
from topolab.reports.words import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[Sheet], None]
CARD = 372  # pixels between the margins: on a phone drawn at 0.87 of that, so text of 12 is one of 10.5


def card(
    section: str,
    subject: Subject[Any],
    judged: Judged,
    draw: Draw,
    data: Table,
    *,
    title: str,
    told: Sequence[str] = (),
) -> Chart:
    """The chart of one subject in a section, drawn by `draw` on a sheet of its own."""
    name = f"{subject.label} {subject.about}".strip()
    picture = drawn(
        draw,
        place=f"{section}-{name}",
        title=f"{subject.label}: {title}",
        told=(f"{judged.verdict}.", *told),
        data=data,
    )
    about = ", ".join(part for part in (subject.about, subject.repeats) if part)
    return Chart(subject.topology, subject.label, about, judged, picture, tuple(told), data, subject.commands)


def drawn(draw: Draw, *, place: str, title: str, told: Sequence[str], data: Table) -> str:
    """An SVG element whose ids are those of its `place` in the page, and whose description tells its table."""

    def paint(figure: Figure) -> dict[str, str]:
        sheet = Sheet(figure, CARD, 2)
        draw(sheet)
        sheet.finish()
        return sheet.names

    prefix = "c" + hashlib.blake2s(place.encode("utf-8", "replace"), digest_size=4).hexdigest() + "-"
    return drawing(paint, prefix=prefix, title=one_line(title), description=one_line(" ".join([*told, *_said(data)])))


def _said(data: Table) -> list[str]:
    """A chart's table as sentences."""
    names = [column.name for column in data.columns]
    rows = [row for group in data.groups for row in group.rows]
    told = [", ".join(_pairs(names, row)) for row in rows]
    return [f"{row.head.text}: {text}." for row, text in zip(rows, told, strict=True)]


def _pairs(names: Sequence[str], row: Row) -> list[str]:
    return [
        f"{name} {cell.text}{f' ({cell.more})' if cell.more else ''}"
        for name, cell in zip(names, row.cells, strict=True)
    ]


def data_of(subject: Subject[Any], head: Column, columns: tuple[Column, ...], rows: tuple[Row, ...]) -> Table:
    """The figures of one subject's chart."""
    return Table(head, columns, (Group(subject.topology, rows),))


def one_row(subject: Subject[Any], cells: tuple[Cell, ...], judged: Judged) -> Group:
    """A subject in a table of all."""
    return Group(subject.topology, (Row(Cell(subject.label, more=subject.about), cells, judged),))
