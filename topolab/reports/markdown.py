"""A comparison as a Markdown table, for a README or a pull request."""

from __future__ import annotations

import re

from topolab.comparison import Comparison
from topolab.errors import LabError
from topolab.ledger import Ledger
from topolab.reports import behaviours, words
from topolab.results import CapacityRun, NotRun

BEGIN, END = "<!-- topolab -->", "<!-- /topolab -->"

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


def table(comparison: Comparison) -> str:
    """A heading line, the table, then findings and what was not run, ending in a newline."""
    blocks = [f"**{words.title(comparison)}.** {_escaped(words.machines(comparison))}".strip()]
    if comparison.runs:
        head = ["Topology", "Predicted", "Measured", "Bound by", "After release", "Verdict"]
        lines = [head, ["---"] * len(head), *(_row(run, comparison) for run in comparison.runs)]
        blocks.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    findings = [
        f"- **SUSPECT** {_escaped(words.label(run, comparison))}: {_escaped(finding.message)} (`{finding.code}`)"
        for run in comparison.runs
        for finding in run.findings
    ]
    missing = [_gap(gap, comparison) for gap in comparison.missing("capacity")]
    if findings or missing:
        blocks.append("\n".join(findings + missing))
    return "\n\n".join(blocks) + "\n"


def everything(comparison: Comparison) -> str:
    """A table for each experiment that there are runs of."""
    parts = [table(comparison)] if comparison.runs or not comparison.others else []
    for experiment, sheet in behaviours.ALL.items():
        if results := behaviours.results(experiment, comparison):
            parts.append(f"**{sheet.title}.** {sheet.why}\n\n{behaviours.markdown(experiment, results)}")
    return "\n".join(parts)


def proof(comparison: Comparison) -> str:
    """Every cell of a proof, one line each: what was asked, predicted, measured; then findings and what was not run."""
    head = ["Topology", "With", "N", "Runtime", "Predicted", "Measured", "Bound by", "Image", "Verdict"]
    lines = [head, ["---"] * len(head)]
    cells: list[CapacityRun | NotRun] = sorted((*comparison.runs, *comparison.not_run), key=lambda cell: cell.topology)
    for cell in cells:
        asked = cell.asked
        what = [
            _escaped(cell.topology),
            _escaped(words.deviations(asked)) if asked else "",
            str(asked.requests if asked else ""),
        ]
        if isinstance(cell, CapacityRun):
            row = _row(cell, comparison)
            image = ", ".join(f"{size / 1e6:.0f} MB" for size in cell.image_bytes.values())
            lines.append([*what, cell.runtime, *row[1:4], image, row[-1]])
        else:
            lines.append([*what, cell.runtime, _escaped(cell.reason), "", "", "", words.absence(cell)])
    notes = [
        f"- **SUSPECT** {_escaped(f'{run.topology} {words.changed(run)}')}: {_escaped(finding.message)}"
        for run in comparison.runs
        for finding in run.findings
    ]
    blocks = [f"{words.tally(comparison)}. {_escaped(words.machines(comparison))}."]
    blocks.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join([*blocks, *(["\n".join(notes)] if notes else [])]) + "\n"


def insert(document: str, comparison: Comparison) -> str:
    """A Markdown document with the table between its marks, `<!-- topolab -->` and `<!-- /topolab -->`."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise LabError(f"The document has no place for the table. Write {BEGIN} and {END} on lines of their own.")
    return f"{before}{begin}\n{table(comparison)}{end}{after}"


def _row(run: CapacityRun, comparison: Comparison) -> list[str]:
    return [
        _escaped(words.label(run, comparison)),
        _places(run.predicted.ledger, run),
        _places(run.measured.ledger, run),
        _escaped(words.bound(run)),
        ", ".join(words.released(run.after_release)),
        run.verdict if run.verdict == "VALID" else f"**{run.verdict}**",
    ]


def _gap(gap: NotRun, comparison: Comparison) -> str:
    what = words.absence(gap).capitalize()
    label, reason = _escaped(words.label(gap, comparison)), _escaped(gap.reason)
    return f"- **{what}** {label}: {reason} Type: {_code(gap.remedy)}"


def _places(ledger: Ledger, run: CapacityRun) -> str:
    return words.phrase(ledger, with_service=words.fronted(run))


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", words.one_line(text))


def _code(text: str) -> str:
    """A code span: its fence is longer than any run of backticks inside; a bar would end the table's cell."""
    line = words.one_line(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    pad = " " if "`" in line else ""
    return f"{fence}{pad}{line}{pad}{fence}"
