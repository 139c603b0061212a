"""Claims as a table: for the terminal, and as a page in Markdown."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from topolab.claims import HELD, ClaimsRun
from topolab.reports import words

PAGE = """\
# What the articles found, checked again

Written by `make claims`, from one run. Each line is a finding of the articles that this project starts from, measured
with the releases named below. The verdict is computed from the figures; what could not be measured is "not checked",
and says why.

{tally}. {seconds:.0f} s on {machine}, {started}.

| Claim | What was found | Verdict | What was measured |
| --- | --- | --- | --- |
{rows}

## The figures

{details}"""


def terminal(run: ClaimsRun) -> RenderableType:
    """One table, and what it adds up to."""
    grid = Table(
        title="What the articles found, checked again", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
        pad_edge=False,
    )  # fmt: skip
    for column in ("Claim", "Verdict", "What was measured"):
        grid.add_column(column, no_wrap=column != "What was measured")
    grid.add_column("Time", justify="right", no_wrap=True)
    for one in run.checked:
        said = Text.assemble((words.clean(one.text), "bold"), "\n", words.clean(one.reason))
        grid.add_row(Text(one.name), Text(one.verdict), said, Text(f"{one.seconds:.1f} s"))
    return Group(grid, Text(f"{tally(run)}, in {run.seconds:.0f} s"))


def tally(run: ClaimsRun) -> str:
    """`12 still true, 2 no longer true`; without zeros."""
    counts = {held: sum(one.verdict == held for one in run.checked) for held in HELD}
    return ", ".join(f"{count} {held}" for held, count in counts.items() if count)


def markdown(run: ClaimsRun) -> str:
    """The page of all claims."""
    rows = [
        f"| [{one.name}](#{one.name}) | {_cell(one.text)} | **{one.verdict}** | {_cell(one.reason)} |"
        for one in run.checked
    ]
    details = []
    for one in run.checked:
        figures = ", ".join(f"{key} {value}" for key, value in one.figures.items()) or "none"
        versions = ", ".join(f"{name} {version}" for name, version in sorted(one.versions.items()))
        lines = [f"### {one.name}", "", f"`{words.one_line(figures)}`", ""]
        about = [f"Cause: {one.source}", f"with {versions}" if versions else "", f"{one.seconds:.1f} s"]
        lines += [_cell("; ".join(part for part in about if part)) + "."]
        if one.commands:
            lines += ["", "```console", *(f"$ {command}" for command in one.commands), "```"]
        details.append("\n".join(lines))
    return PAGE.format(
        tally=tally(run), seconds=run.seconds, machine=words.machine(run.host), started=run.started[:10],
        rows="\n".join(rows), details="\n\n".join(details) + "\n",
    )  # fmt: skip


def _cell(text: str) -> str:
    return words.one_line(text).replace("|", "\\|").replace("_", "\\_")
