"""What a server does with a request: the tables of `reports.behaviours`, as sections of the page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from topolab.comparison import Comparison
from topolab.reports import words
from topolab.reports.behaviours import SHEETS
from topolab.reports.sections.doubts import Doubts
from topolab.reports.sections.shape import TOPOLOGY, Cell, Column, Command, Group, Row, Section, Table
from topolab.reports.tables import Sheet
from topolab.results import Run

_SHORT = {
    "identity": "Who serves", "isolation": "Isolation", "deadwork": "Dead work", "burst": "Burst",
    "sensitivity": "Sensitivity", "crossing": "Crossing", "endings": "Endings",
}  # fmt: skip
_QUANTITY = re.compile(r"([\d,]+(?:\.\d+)?)(?: m?s)?(?: of [\d,]+)?$")


def sections(comparison: Comparison, doubts: Doubts) -> Iterator[Section]:
    for experiment, sheet in SHEETS.items():
        runs = [run for run in comparison.others if run.experiment == experiment]
        if runs:
            yield Section(
                name=experiment,
                short=_SHORT.get(experiment, sheet.title),
                title=sheet.title,
                how="",
                why=sheet.why,
                table=_table(sheet, runs, comparison, doubts),
                commands=tuple(Command(run.topology, words.label(run, comparison), run.command) for run in runs),
            )


def _table(sheet: Sheet, runs: Sequence[Run], comparison: Comparison, doubts: Doubts) -> Table:
    rows = [(run, sheet.rows(run)) for run in runs]
    every = [cells for _run, found in rows for cells in found]
    columns = tuple(
        Column(name, numeric=all(_value(cells[at]) is not None or cells[at] == "-" for cells in every))
        for at, name in enumerate(sheet.columns)
    )
    # what a run says in its first line only, its lines share: they stay together
    shared = any(not cells[0] for cells in every)
    groups = []
    for run, found in rows:
        label, judged = words.label(run, comparison), doubts.of([run])
        lines = [
            Row(
                Cell(label if number == 0 or not shared else ""),
                tuple(Cell(text, _value(text)) for text in cells),
                judged if number == 0 or not shared else None,
            )
            for number, cells in enumerate(found)
        ]
        groups += [Group(run.topology, tuple(lines))] if shared else [Group(run.topology, (line,)) for line in lines]
    return Table(TOPOLOGY, columns, tuple(groups))


def _value(text: str) -> float | None:
    """The number that a cell begins with, where it is a quantity: `1,306 ms`, `399 of 400`."""
    match = _QUANTITY.match(text)
    return float(match[1].replace(",", "")) if match else None
