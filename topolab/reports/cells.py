"""Rows of text as a Markdown table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from topolab.reports.words import one_line


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, ending in a newline; what Markdown would take for its own is escaped."""
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return one_line(text).replace("|", "\\|").replace("_", "\\_")
