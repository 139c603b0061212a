"""What a table shows of one experiment: the same for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Cells = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """How the runs of one experiment are shown: a title, the columns after the topology's name, and a run's rows.

    A row that has one cell more than there are columns ends in a verdict of its own.
    """

    title: str
    why: str
    columns: Cells
    rows: Callable[[Any], Sequence[Cells]]
    of: str = " TOPOLOGY..."  # what its command is given
