"""Results in a terminal: a comparison as a table, and one run in detail. No colour carries a meaning alone."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from topolab.comparison import Comparison
from topolab.reports import words
from topolab.reports.progress import Progress
from topolab.results import CapacityRun, Finding, InstrumentReport, NotRun

__all__ = ["Progress", "ledger", "table"]

_WIDE = 112  # columns from which "bound by" gets its own; below, it stands under the topology's name
_NARROW_NAME = 19  # the longest of the lab's own names; with it the table just fits 80 columns
_WIDE_NAME = 24


def table(comparison: Comparison) -> RenderableType:
    """All runs side by side, then the findings and what was not run. Adapts to the width it is printed at."""
    parts: list[RenderableType] = [_Runs(comparison)] if comparison.runs else []
    parts += [_doubts(words.label(run, comparison), run.findings) for run in comparison.runs if run.findings]
    parts += [_not_run(missing, comparison) for missing in comparison.missing("capacity")]
    parts.append(Text(words.tally(comparison) or "nothing was run"))
    if comparison.runs:
        parts[-1] = Group(parts[-1], Text(words.clean(words.machines(comparison)), "dim"))
    return _spaced(parts)


def ledger(run: CapacityRun) -> RenderableType:
    """One run: place by place, the listeners, what came after the release, and how far to trust it."""
    head = Text.assemble(
        (words.clean(run.topology), "bold"),
        f"  {words.number(run.asked.requests)} requests, {words.clean(run.runtime)} runtime, {run.seconds:.1f} s  ",
        _verdict(run),
    )
    if changes := words.changed(run):
        head.append(f"\nwith {words.clean(changes)}")
    parts: list[RenderableType] = [head, _places(run), _bound(run)]
    parts += [_listeners(run)] if run.measured.listeners else []
    parts += [_held(run)] if run.held else []
    parts += [_after(run), _honesty(run.instrument)]
    parts += [_doubts(run.topology, run.findings)] if run.findings else []
    parts.append(_Command("Again: ", run.command))
    return _spaced(parts)


class _Runs:
    """The table of the runs, laid out when the width is known."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        wide = options.max_width >= _WIDE
        grid = _grid(title=words.title(self.comparison))
        grid.add_column("Topology", no_wrap=True)
        grid.add_column("Place", min_width=12)
        grid.add_column("Predicted", justify="right", no_wrap=True)
        grid.add_column("Measured", justify="right", no_wrap=True)
        if wide:
            grid.add_column("Bound by")
        grid.add_column("After release", no_wrap=True)
        grid.add_column("Verdict", no_wrap=True)
        for position, run in enumerate(self.comparison.runs):
            if position:
                grid.add_row()
            for cells in _lines(run, self.comparison, wide=wide):
                grid.add_row(*cells)
        yield grid


class _Command:
    """A command that can still be copied where it does not fit on a line: continued, as a shell reads it."""

    def __init__(self, label: str, command: str) -> None:
        self.label = label
        self.command = words.one_line(command)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        width = max(options.max_width - len(self.label) - 2, 20)
        lines = textwrap.wrap(self.command, width, break_long_words=False, break_on_hyphens=False)
        indent = " " * len(self.label)
        yield Text.assemble((self.label, "dim"), f" \\\n{indent}".join(lines), overflow="fold")


def _lines(run: CapacityRun, comparison: Comparison, *, wide: bool) -> Iterator[list[Text]]:
    """A run's lines of the table: one per place, and as many more as the other columns need."""
    name = words.clean(words.name(run, comparison))
    rest = [words.clean(changes)] if (changes := words.changed(run)) else []
    width = _WIDE_NAME if wide else _NARROW_NAME
    below = [*rest, *([] if wide else [words.clean(words.bound_phrase(run))])]
    left = [Text(line, "bold") for line in textwrap.wrap(name, width)]
    left += [Text(line) for text in below for line in textwrap.wrap(text, width)]
    places = words.rows(run)
    columns: list[Iterable[Text]] = [
        left,
        [Text(row.name) for row in places],
        [Text(words.amount(row.predicted)) for row in places],
        [_measured(row) for row in places],
        *([[Text(words.clean(words.bound(run)))]] if wide else []),
        [Text(line) for line in words.released(run.after_release)],
        [_verdict(run)],
    ]
    for cells in zip_longest(*columns, fillvalue=Text()):
        yield list(cells)


def _places(run: CapacityRun) -> Table:
    grid = _grid()
    grid.add_column("Place", no_wrap=True)
    grid.add_column("Predicted", justify="right", no_wrap=True)
    grid.add_column("Measured", justify="right", no_wrap=True)
    grid.add_column("What it means", style="dim")
    for row in words.rows(run):
        meaning = words.meaning(row.spot, with_service=words.fronted(run))
        grid.add_row(row.name, words.amount(row.predicted), _measured(row), meaning)
    predicted, measured = run.predicted.ledger.total, run.measured.ledger.total
    grid.add_row(
        "all", words.number(predicted), words.number(measured), f"{words.number(run.asked.requests)} were asked for"
    )
    return grid


def _listeners(run: CapacityRun) -> Table:
    grid = _grid()
    grid.add_column("Listener")
    grid.add_column("Recv-Q", justify="right", no_wrap=True)
    grid.add_column("Send-Q", justify="right", no_wrap=True)
    grid.add_column("Not accepted", justify="right", no_wrap=True)
    for queue in run.measured.listeners:
        mark = "" if queue.recv_q == queue.unaccepted else "!= "
        where = f"{queue.service} {words.clean(queue.address)}"
        counts = (words.number(queue.recv_q), words.number(queue.send_q), mark + words.number(queue.unaccepted))
        grid.add_row(Text(where), *counts)
    return grid


def _bound(run: CapacityRun) -> Text:
    because = f"\n{words.clean(run.predicted.because)}" if run.predicted.because else ""
    return Text.assemble(("Bound by: ", "dim"), words.clean(words.bound(run)), because)


def _held(run: CapacityRun) -> RenderableType:
    head = Text(f"Held for {run.asked.hold_s:g} s more; since they were opened they got:", "dim")
    return Group(head, *(_indented(words.outcome(outcome)) for outcome in run.held))


def _after(run: CapacityRun) -> Text:
    after = run.after_release
    text = ", ".join(words.released(after))
    last = f"; the last answer after {after.seconds_to_last:.1f} s" if after.answered else ""
    if after.recovered:
        last += (
            f"; {words.number(after.recovered)} of them had been unanswered, the last for {after.recovery_s:.1f} s more"
        )
    return Text.assemble(("After release: ", "dim"), text, last)


def _honesty(seen: InstrumentReport) -> Text:
    rest = f"at rest after {seen.seconds_to_rest:.1f} s" if seen.at_rest else "NOT at rest by the deadline"
    return Text.assemble(
        ("Instrument: ", "dim"),
        f"opened {seen.rate_got:,.0f} of {seen.rate_asked:,.0f} connections/s asked; "
        f"late by {seen.lateness_p99_s * 1000:.1f} ms (p99), {seen.lateness_max_s * 1000:.1f} ms at most; {rest}; "
        f"{seen.processes_seen} of {seen.processes_asked} server processes seen; "
        f"{seen.descriptors_short} short of descriptors (limit {seen.descriptor_limit} a process); "
        f"{seen.cpu_s:.1f} s CPU, {words.memory(seen.memory_bytes)}",
    )


def _doubts(label: str, findings: tuple[Finding, ...]) -> RenderableType:
    head = Text.assemble(("SUSPECT", "bold red"), f"  {words.clean(label)}")
    return Group(head, *(_indented(f"{finding.code}: {words.clean(finding.message)}") for finding in findings))


def _not_run(missing: NotRun, comparison: Comparison) -> RenderableType:
    head = Text.assemble(
        (words.absence(missing).upper(), "bold red" if missing.failed else "bold yellow"),
        f"  {words.clean(words.label(missing, comparison))}",
    )
    return Group(head, _indented(words.clean(missing.reason)), _indented(f"Type: {words.clean(missing.remedy)}"))


def _measured(row: words.Row) -> Text:
    return Text(words.number(row.measured)) if row.agrees else Text(f"!= {words.number(row.measured)}", "bold red")


def _verdict(run: CapacityRun) -> Text:
    return Text(run.verdict, "green" if run.verdict == "VALID" else "bold red")


def _indented(text: str) -> Padding:
    return Padding(Text(text), (0, 0, 0, 2))


def _grid(*, title: str | None = None) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def _spaced(parts: list[RenderableType]) -> Group:
    """Parts with an empty line between them."""
    return Group(*(piece for index, part in enumerate(parts) for piece in ([Text()] if index else []) + [part]))
