"""Claims of others, checked again: a card each."""

from __future__ import annotations

from topolab.claims import Checked, ClaimsRun
from topolab.comparison import Comparison
from topolab.reports.claims import tally
from topolab.reports.sections.shape import Cell, Chart, Column, Group, Judged, Row, Section, Table


def section(comparison: Comparison) -> Section | None:
    if not comparison.claims:
        return None
    return Section(
        name="claims",
        short="Claims",
        title="What the articles found, checked again",
        how="; ".join(f"{tally(run)}, in {run.seconds:.0f} s" for run in comparison.claims) + ".",
        why="Each is a finding of the articles that this project starts from, measured with the releases that are "
        "named with it. The verdict is computed from the figures; what could not be measured is not checked, and "
        "counts neither for the claim nor against it.",
        charts=tuple(_card(one, run) for run in comparison.claims for one in run.checked),
    )


def _card(one: Checked, run: ClaimsRun) -> Chart:
    figures = tuple(
        Row(Cell(name.replace("_", " ")), (Cell(f"{value:,}" if isinstance(value, int | float) else value),))
        for name, value in one.figures.items()
    )
    versions = ", ".join(f"{name} {version}" for name, version in sorted(one.versions.items()))
    return Chart(
        topology="",
        label=one.text,
        about="",
        judged=Judged(one.verdict),
        drawing="",
        told=(one.reason, f"Cause: {one.source}.", f"With {versions}." if versions else ""),
        data=Table(Column("Figure", numeric=False), (Column("Measured"),), (Group("", figures),)),
        commands=one.commands or (f"topolab claims {one.name}",),
    )
