"""Famous artefacts: as a table, and one page each."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from topolab.artefacts import ArtefactRun
from topolab.ledger import Ledger
from topolab.loads import Lap
from topolab.reports import words
from topolab.results import NotRun

INDEX = """\
# Numbers that the harness had made itself

Written by `topolab artefact --output docs`, from one run of each. Four kinds of figures that were published of servers
and say more of the harness that measured them. Each is made again on a real server with a naive harness of a few lines
(`topolab/experiments/artefacts/`, one module each, which marks the line that is the flaw), beside what the instrument
measures on the same server a moment later; and the naive harness's own numbers go through the same
[checks](method.md) as every lap here. `make artefact` does all four in under a minute.

{table}
"""

PAGE = """\
# {title}

Written by `topolab artefact {name} --output docs`.

{published}

**Made again.** {again}

{table}

**What catches it.** Its own numbers, by the checks that every lap goes through:

{findings}

**Instead.** {instead}

The server is {server}, the naive harness `topolab/experiments/artefacts/{name}.py`. Measured on {machine}, {started}.
"""


def terminal(results: Sequence[ArtefactRun | NotRun]) -> RenderableType:
    """One line for each, its doubts, and what could not be run."""
    grid = Table(
        title="Numbers that the harness had made itself", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
        pad_edge=False,
    )  # fmt: skip
    for column in ("Artefact", "Figure", "Naive harness", "So it is", "Off by", "Caught by", "Verdict"):
        grid.add_column(column)
    parts: list[RenderableType] = [grid]
    for result in results:
        if isinstance(result, NotRun):
            parts.append(Text(f"{words.absence(result).upper()}  {words.clean(result.reason)} {result.remedy}"))
            continue
        grid.add_row(*(Text(cell) for cell in (result.artefact, *_cells(result), result.verdict)))
        named = [found for found in result.naive.findings if found.code in result.caught_by]
        parts += [Text(f"{result.artefact}: {found.code}: {found.message}") for found in named]
        parts += [Text(f"SUSPECT  {result.artefact}  {found.code}: {found.message}") for found in result.findings]
    return Group(*parts)


def index(results: Sequence[ArtefactRun | NotRun]) -> str:
    """The page of all."""
    lines = ["| Artefact | Figure | Naive harness | So it is | Off by | Caught by |", "|" + " --- |" * 6]
    for result in results:
        if isinstance(result, NotRun):
            lines.append(f"| {_plain(result.reason)} |" + " |" * 5)
        else:
            cells = (_plain(cell) for cell in _cells(result))
            lines.append(f"| [{_plain(result.title)}](artefacts/{result.artefact}.md) | {' | '.join(cells)} |")
    return INDEX.format(table="\n".join(lines))


def page(run: ArtefactRun) -> str:
    """One artefact: what was published, how it is made again, both numbers, and what catches it."""
    rows = ["| | naive harness | topolab |", "| --- | --- | --- |"]
    pairs = (
        (run.figure, amount(run, run.naive_says), amount(run, run.so_it_is)),
        *((name, _told(run.naive, name), _told(run.ours, name)) for name in LAP),
    )
    rows += [f"| {name} | {naive} | {ours} |" for name, naive, ours in pairs]
    if run.places:
        stood = words.phrase(Ledger(run.places), with_service=False)
        rows.append(f"| where {Ledger(run.places).total} of them stand that hold | not asked | {stood} |")
    server = " ".join([run.topology, words.deviations(run.asked)]).strip()
    return PAGE.format(
        title=run.title, name=run.artefact, published=run.published, again=run.again, instead=run.instead,
        table="\n".join(rows), server=f"`{server}`", machine=words.machine(run.host), started=run.started[:10],
        findings="\n".join(f"- `{found.code}`: {_plain(found.message)}" for found in run.naive.findings),
    )  # fmt: skip


def amount(run: ArtefactRun, value: float) -> str:
    """A figure with its unit."""
    if run.quantity == "seconds":
        return f"{value * 1000:,.1f} ms"
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


LAP = (
    "good answers per second",
    "no good answer",
    "latency p50 · p99 · longest",
    "connections opened",
    "under way (rate times latency)",
    "its own doubts",
)


def _told(lap: Lap, name: str) -> str:
    seen = lap.answered
    told = {
        LAP[0]: f"{lap.achieved:,.1f}",
        LAP[1]: f"{lap.requests - lap.good:,} of {lap.requests:,}",
        LAP[2]: " · ".join(f"{s * 1000:,.1f} ms" for s in (seen.p50_s, seen.p99_s, seen.max_s)) if seen else "-",
        LAP[3]: f"{lap.instrument.connections_opened:,}",
        LAP[4]: f"{lap.in_flight:,.1f} of {lap.offered.connections}"
        if lap.offered.connections
        else f"{lap.in_flight:,.1f}",
        LAP[5]: ", ".join(f"`{found.code}`" for found in lap.findings) or "none",
    }
    return told[name]


def _cells(run: ArtefactRun) -> tuple[str, ...]:
    off = f"{run.off_by:,.0f} times" if run.off_by >= 10 else f"{run.off_by:,.1f} times"
    caught = ", ".join(run.caught_by) or "nothing"
    return (run.figure, amount(run, run.naive_says), amount(run, run.so_it_is), off, caught)


def _plain(text: str) -> str:
    return words.one_line(text).replace("|", "\\|").replace("_", "\\_")
