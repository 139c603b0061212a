"""Tables made of blocks, with lines below: the same for the terminal and for Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from topolab.reports import words

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


@dataclass(frozen=True, slots=True)
class Block:
    """Rows under one title."""

    title: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """`right`: the columns of numbers. `lines`: what is said below the table, one finding or gap each."""

    title: str
    columns: tuple[str, ...]
    blocks: tuple[Block, ...]
    lines: tuple[str, ...] = ()
    right: frozenset[str] = frozenset()


def terminal(sheet: Sheet) -> RenderableType:
    """The title, the blocks with their columns below one another, the lines."""
    used = _used(sheet)
    parts = [Text(words.clean(sheet.title), "bold")] if sheet.title else []
    if sheet.blocks:
        widths = {number: max(map(len, _column(sheet, number))) for number in used}
        parts += [Text(), Text("  " + _line(sheet, sheet.columns, widths), "dim")]
        for block in sheet.blocks:
            parts.append(Text(words.clean(block.title), "bold"))
            parts += [Text("  " + _line(sheet, row, widths)) for row in block.rows]
        parts.append(Text())
    return Group(*parts, *(Text(words.clean(line)) for line in sheet.lines))


def _line(sheet: Sheet, cells: Sequence[str], widths: Mapping[int, int]) -> str:
    padded = [
        cells[number].rjust(width) if sheet.columns[number] in sheet.right else cells[number].ljust(width)
        for number, width in widths.items()
    ]
    return words.clean("  ".join(padded).rstrip())


def _column(sheet: Sheet, number: int) -> Iterator[str]:
    yield sheet.columns[number]
    yield from (row[number] for block in sheet.blocks for row in block.rows)


def markdown(sheet: Sheet) -> str:
    """The same; a table for each block, ending in a newline."""
    used = _used(sheet)
    parts = [f"**{escaped(sheet.title)}**"] if sheet.title else []
    for block in sheet.blocks:
        parts.append(f"*{escaped(block.title)}*\n\n" + "\n".join(_lines(sheet, block, used)))
    if sheet.lines:
        parts.append("\n".join(f"- {escaped(line)}" for line in sheet.lines))
    return "\n\n".join(parts) + "\n"


def _lines(sheet: Sheet, block: Block, used: Sequence[int]) -> Iterator[str]:
    names = [sheet.columns[number] for number in used]
    yield f"| {' | '.join(names)} |"
    yield f"| {' | '.join('---:' if name in sheet.right else '---' for name in names)} |"
    for row in block.rows:
        yield f"| {' | '.join(escaped(row[number]) for number in used)} |"


def _used(sheet: Sheet) -> list[int]:
    """The columns in which anything stands."""
    rows = [row for block in sheet.blocks for row in block.rows]
    return [number for number in range(len(sheet.columns)) if any(row[number] for row in rows)]


def escaped(text: str) -> str:
    """As Markdown shows it literally."""
    return _SPECIAL.sub(r"\\\1", words.one_line(text))
