"""The one shape of all sections of the page: pictures, why, a table, and what to type."""

from __future__ import annotations

from dataclasses import dataclass

from topolab.loads import Interval
from topolab.reports import units
from topolab.reports.looks import Look
from topolab.results import Verdict

_CODES = 2  # of findings that are told beside a verdict


@dataclass(frozen=True, slots=True)
class Cell:
    """What is shown, and the value that it is sorted by where that is not its text; `more` stands under it."""

    text: str
    value: float | None = None
    more: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, with the codes of its findings and the name of the place in the page where they are told."""

    verdict: str
    codes: tuple[str, ...] = ()
    doubt: str = ""

    @property
    def shown(self) -> tuple[str, ...]:
        """The first codes; all are told where the doubts are."""
        more = len(self.codes) - _CODES
        return self.codes if more <= 0 else (*self.codes[:_CODES], f"and {more} more")

    @property
    def tone(self) -> str:
        """`good`, `bad`, or neither: its colour, beside its word."""
        if self.verdict in ("VALID", "still true", "better"):
            return "good"
        return "bad" if "SUSPECT" in self.verdict or self.verdict in ("no longer true", "worse") else "plain"


@dataclass(frozen=True, slots=True)
class Row:
    head: Cell
    cells: tuple[Cell, ...]
    judged: Judged | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that stay together when the table is sorted (by their first), and what the filter knows them by."""

    topology: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    numeric: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """`head` is over the first column; a column of verdicts comes last where there are any."""

    head: Column
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]

    @property
    def judged(self) -> bool:
        return any(row.judged for group in self.groups for row in group.rows)

    @property
    def grouped(self) -> bool:
        return any(len(group.rows) > 1 for group in self.groups)


@dataclass(frozen=True, slots=True)
class Command:
    """What to type for a topology's runs, for sections whose charts don't say it."""

    topology: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One topology's drawing (an SVG element), with sentences, its figures as a table, and the commands behind it."""

    topology: str
    label: str
    about: str
    judged: Judged
    drawing: str
    told: tuple[str, ...]
    data: Table
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """What a colour means."""

    look: Look
    name: str
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """`name` is its place in the page, `short` its word in the list of sections; `how` to read the charts; `why`."""

    name: str
    short: str
    title: str
    how: str
    why: str
    key: tuple[Key, ...] = ()
    charts: tuple[Chart, ...] = ()
    table: Table | None = None
    commands: tuple[Command, ...] = ()


TOPOLOGY = Column("Topology", numeric=False)


def figure(interval: Interval | None, unit: units.Unit = units.plain) -> Cell:
    """An interval as a cell, sorted by its median, the ends under it."""
    if not interval:
        return Cell("-")
    return Cell(unit(interval.median), interval.median, units.ends(interval, unit))


def count(value: float, unit: units.Unit = units.count) -> Cell:
    return Cell(unit(value), float(value))


def verdict(verdicts: list[Verdict]) -> str:
    """`VALID`; `SUSPECT`; of several `1 of 3 SUSPECT`."""
    doubted = verdicts.count("SUSPECT")
    if not doubted:
        return "VALID"
    return "SUSPECT" if doubted == len(verdicts) else f"{doubted} of {len(verdicts)} SUSPECT"
