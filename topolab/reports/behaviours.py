"""What a server does with a request, as tables: the same rows for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from topolab.behaviours import BurstRun, DeadWorkRun, IdentityRun, IsolationRun, SensitivityRun
from topolab.ledger import Ledger
from topolab.reports import words
from topolab.results import NotRun, Run

Cells = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """How the runs of one experiment are shown: a title, the columns after the topology's name, and a run's rows."""

    title: str
    why: str
    columns: Cells
    rows: Callable[[Any], Sequence[Cells]]


def _identity(run: IdentityRun) -> list[Cells]:
    one, many, cross = run.identity.successive, run.identity.concurrent, run.identity.crossing
    spread = "/".join(map(str, many.per_process[:6])) + (" ..." if len(many.per_process) > 6 else "")
    waited = f"{cross.misplaced} of {cross.waited} that waited" if cross else "-"
    worst = f"{cross.wait_max_s * 1000:,.0f} ms" if cross else "-"
    return [
        (run.seen, f"{one.units} for {one.answered}", f"{many.units} for {many.answered}", spread, waited, worst)
    ]  # fmt: skip


def _isolation(run: IsolationRun) -> list[Cells]:
    kept = {place.place: place for place in run.isolation.kept}
    own = [name for name in kept if name not in SHARED]
    lost = [name for name in own if kept[name].kept < kept[name].checked]
    shared = kept.get("module_global")
    return [
        (
            f"{run.isolation.answered} of {run.isolation.requests}",
            f"{run.isolation.at_once} in {run.isolation.counters}",
            "all" if not lost else f"not {', '.join(lost)}",
            f"{shared.checked - shared.kept} overwritten" if shared else "-",
        )
    ]


SHARED = ("module_global", "thread_local")


def _dead_work(run: DeadWorkRun) -> list[Cells]:
    return [
        (left.place.replace("_", " "), words.number(left.left), words.number(left.ran), words.number(left.finished))
        for left in run.dead_work.left
    ]


def _burst(run: BurstRun) -> list[Cells]:
    return [
        (words.number(at.backlog), f"{at.burst.answered} of {at.burst.requests}", f"{at.burst.p50_s * 1000:,.0f} ms",
         f"{at.burst.p99_s * 1000:,.0f} ms", f"{at.burst.max_s * 1000:,.0f} ms", words.number(at.burst.slow))
        for at in run.bursts
    ]  # fmt: skip


def _sensitivity(run: SensitivityRun) -> list[Cells]:
    """The numbers that moved the ledger; those that did not, in one line; and those that could not be tried."""
    moved = [
        (f"{knob.name} {knob.value:,} -> {knob.doubled:,}", words.phrase(Ledger(knob.places), with_service=False))
        for knob in run.knobs
        if knob.moved
    ]
    still = [knob.name for knob in run.knobs if knob.tried and not knob.moved]
    untried = [knob.name for knob in run.knobs if not knob.tried]
    rows = [*moved, *([("not moved by", ", ".join(still))] if still else [])]
    rows += [("could not be doubled here", ", ".join(untried))] if untried else []
    return [(run.bound_by or "nothing" if number == 0 else "", *cells) for number, cells in enumerate(rows)]


SHEETS: dict[str, Sheet] = {
    "identity": Sheet(
        "Who serves a request",
        "Units are threads or greenlets that a view can tell apart: one by one 30 requests, then 40 at once. Then "
        "short and long requests are mixed, at 60 % of what the handlers could serve: a request that waits at "
        "least 50 ms for its view while another process has a handler free waits behind a busy worker (gunicorn "
        "issue 3433).",
        ("Served by", "One by one", "At once", "Per process", "Behind a busy worker beside a free one", "Longest wait"),
        _identity,
    ),
    "isolation": Sheet(
        "What stays a request's own",
        "200 requests at once. Each leaves its id in the request, g, session, current_app, a Werkzeug Local and "
        "LocalStack and a context variable, waits 50 ms, and looks again; and in a module global, of which nobody "
        "promises anything: where two views of one process run at the same moment it has to be seen overwritten, "
        "or the check could see nothing.",
        ("Answered", "Views at once, processes", "Its own", "A module global"),
        _isolation,
    ),
    "deadwork": Sheet(
        "What runs for clients that have gone",
        "200 held requests; then every client hangs up, by FIN, and a second later the gate is opened. A view "
        "that ran had been running, or was started for nobody.",
        ("They left", "Clients", "Ran", "Finished"),
        _dead_work,
    ),
    "burst": Sheet(
        "How long a burst waits",
        "400 instant requests at once at an idle server. What finds the accept queue full has its handshake "
        "dropped, and the kernel repeats it after a second: a short backlog is a latency bug of a server that has "
        "nothing to do.",
        ("Backlog", "Answered", "p50", "p99", "Longest", "0.9 s or more"),
        _burst,
    ),
    "sensitivity": Sheet(
        "What moves the ledger",
        "Each number of the servers and limits doubled, one at a time, and the ledger measured again.",
        ("Bound by", "Doubled", "The ledger then"),
        _sensitivity,
    ),
}


def terminal(experiment: str, results: Sequence[Run | NotRun]) -> RenderableType:
    """The table, then the doubts, then what was not run."""
    sheet = SHEETS[experiment]
    grid = Table(title=sheet.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("Topology", *sheet.columns, "Verdict"):
        grid.add_column(column)
    parts: list[RenderableType] = [grid]
    for result in results:
        if isinstance(result, NotRun):
            line = f"{words.absence(result).upper()}  {words.clean(result.topology)}: {words.clean(result.reason)}"
            parts.append(Text(f"{line} Type: {words.clean(result.remedy)}"))
            continue
        for number, cells in enumerate(sheet.rows(result)):
            first = (words.clean(_name(result)), result.verdict) if number == 0 else ("", "")
            grid.add_row(*(Text(cell) for cell in (first[0], *cells, first[1])))
        parts += [Text(f"SUSPECT  {result.topology}  {found.code}: {found.message}") for found in result.findings]
    return Group(*parts)


def markdown(experiment: str, results: Sequence[Run | NotRun]) -> str:
    """The same as a Markdown table."""
    sheet = SHEETS[experiment]
    columns = ("Topology", *sheet.columns, "Verdict")
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    for result in results:
        if isinstance(result, NotRun):
            cells = [_cell(result.topology), f"{words.absence(result)}: {_cell(result.reason)}"]
            lines.append(f"| {' | '.join(cells)} |{' |' * (len(columns) - 2)}")
            continue
        for number, row in enumerate(sheet.rows(result)):
            first = (_name(result), result.verdict) if number == 0 else ("", "")
            lines.append(f"| {' | '.join(_cell(cell) for cell in (first[0], *row, first[1]))} |")
    return "\n".join(lines) + "\n"


def page(experiment: str, results: Sequence[Run | NotRun]) -> str:
    """A page of its own."""
    sheet = SHEETS[experiment]
    runs = [result for result in results if isinstance(result, Run)]
    runtimes = " and ".join(dict.fromkeys(run.runtime for run in runs))
    hosts = "; and on ".join(words.machine(host) for host in dict.fromkeys(run.host for run in runs))
    where = f"Measured in the {runtimes} runtime on {hosts}." if runs else ""
    made = f"Written by `topolab {experiment} TOPOLOGY... --output docs/behaviours`."
    return f"# {sheet.title}\n\n{made} {sheet.why}\n\n{where}\n\n{markdown(experiment, results)}"


def _name(run: Run) -> str:
    return f"{run.topology} {words.deviations(run.asked)}".rstrip()


def _cell(text: str) -> str:
    return words.one_line(text).replace("|", "\\|").replace("_", "\\_")
