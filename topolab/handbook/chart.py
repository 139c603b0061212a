"""Charts as SVG text: a row for each topology, a column for each figure, a bar in each cell. The same every time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from topolab.reports.looks import ALARM, INK, MUTED

FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
WIDTH, NAMES, ROW, BAR, GAP = (
    860,
    186,
    25,
    15,
    14,
)  # pixels: of all, of the names' column, of a row, its bar, between columns
BLUE, LIGHT = "#12355b", "#7fb0dc"


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a bar, as a share of the column's width; hatched where it is no good news."""

    share: float
    colour: str
    name: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A bar of one or more parts, and what is written after it."""

    parts: tuple[Part, ...]
    text: str
    doubted: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A figure: its title, and a cell for each row; None where it was not measured."""

    title: str
    cells: tuple[Cell | None, ...]
    weight: float = 1.0  # its share of the width


def svg(title: str, description: str, rows: Sequence[str], columns: Sequence[Column], notes: Sequence[str]) -> str:
    """The chart: names at the left, then the columns."""
    height = 64 + ROW * len(rows) + 18 * len(notes) + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'role="img" aria-labelledby="title desc" font-family={quoteattr(FONTS)}>',
        f'<title id="title">{escape(title)}</title><desc id="desc">{escape(description)}</desc>',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        _text(0, 20, title, size=17, bold=True),
    ]
    lines += [_text(0, 64 + ROW * number + 12, name, size=12.5, bold=True) for number, name in enumerate(rows)]
    total = sum(column.weight for column in columns)
    left = float(NAMES)
    for column in columns:
        width = (WIDTH - NAMES) * column.weight / total
        lines += _column(column, left, width - GAP)
        left += width
    below = 64 + ROW * len(rows) + 14
    lines += [_text(0, below + 18 * number, note, size=11, colour=MUTED) for number, note in enumerate(notes)]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _column(column: Column, left: float, width: float) -> list[str]:
    """Its title and its bars: half of the width is for the bars, the rest for what is written after them."""
    lines = [_text(left, 48, column.title, size=11.5, colour=MUTED)]
    full = width * (0.72 if any(len(cell.parts) > 1 for cell in column.cells if cell) else 0.5)
    for number, cell in enumerate(column.cells):
        top = 64 + ROW * number
        if cell is None:
            lines.append(_text(left, top + 12, "not measured", size=11, colour=MUTED))
            continue
        x = left
        for part in cell.parts:
            wide = max(part.share * full, 1.5) if part.share else 0.0
            lines.append(
                f'<rect x="{x:.1f}" y="{top}" width="{wide:.1f}" height="{BAR}" fill="{part.colour}">'
                f"<title>{escape(part.name)}</title></rect>"
            )
            x += wide
        colour = ALARM if cell.doubted else INK
        lines.append(
            _text(
                max(x, left + (full if len(cell.parts) > 1 else 0)) + 5, top + 12, cell.text, size=11.5, colour=colour
            )
        )
    return lines


def _text(x: float, y: float, text: str, *, size: float, bold: bool = False, colour: str = INK) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y}" font-size="{size}" fill="{colour}"{weight}>{escape(text)}</text>'
