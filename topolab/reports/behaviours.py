"""What a server does with a request, as tables: the same rows for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from topolab.behaviours import BurstRun, DeadWorkRun, EndingsRun, Fared, IdentityRun, IsolationRun, SensitivityRun
from topolab.comparison import Comparison
from topolab.ledger import Ledger
from topolab.reports import loads, words
from topolab.reports.tables import Cells, Sheet
from topolab.results import NotRun, Run, SettingValue


def _identity(run: IdentityRun) -> list[Cells]:
    one, many, cross = run.identity.successive, run.identity.concurrent, run.identity.crossing
    spread = "/".join(map(str, many.per_process[:6])) + (" ..." if len(many.per_process) > 6 else "")
    waited = f"{cross.misplaced} of {cross.waited} that waited" if cross else "-"
    worst = f"{cross.wait_max_s * 1000:,.0f} ms" if cross else "-"
    return [
        (run.seen, f"{one.units} for {one.answered}", f"{many.units} for {many.answered}", spread, waited, worst)
    ]  # fmt: skip


def _crossing(run: IdentityRun) -> list[Cells]:
    cross = run.identity.crossing
    release = next((f"{name} {run.versions[name]}" for name in run.versions if name == run.plan["SERVER"]), "")
    if not cross:
        return [(release, "-", "-", "-", "-")]
    waits = (cross.wait_p50_s, cross.wait_p99_s, cross.wait_max_s)
    return [
        (release, words.number(cross.requests), words.number(cross.waited), words.number(cross.misplaced),
         " · ".join(f"{seconds * 1000:,.0f} ms" for seconds in waits))
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
        (f"{knob.name} {_plain(knob.value)} -> {_plain(knob.other)}",
         words.phrase(Ledger(knob.places), with_service=False))
        for knob in run.knobs
        if knob.moved
    ]  # fmt: skip
    still = [knob.name for knob in run.knobs if knob.tried and not knob.moved]
    untried = [knob.name for knob in run.knobs if not knob.tried]
    rows = [*moved, *([("not moved by", ", ".join(still))] if still else [])]
    rows += [("could not be changed here", ", ".join(untried))] if untried else []
    first = (words.number(run.asked.requests), run.bound_by or "nothing")
    return [(*(first if number == 0 else ("", "")), *cells) for number, cells in enumerate(rows)]


def _plain(value: SettingValue) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:,}" if isinstance(value, int) else value


def _endings(run: EndingsRun) -> list[Cells]:
    """One row for each signal: what those in a handler got, those that waited, one that came later; and the server."""
    return [
        (
            f"{ending.signal} to a worker" if ending.signal == "SIGKILL" else ending.signal,
            *(
                _fates([fared for fared in ending.fared if (fared.place == "handler") == held])
                for held in (True, False)
            ),
            _fate(ending.newcomer),
            "lives on" if ending.ended_s is None else f"ends after {ending.ended_s:.1f} s",
            ("by a new process" if ending.by_others else "yes") if ending.serves_after else "no",
        )
        for ending in run.endings
    ]


def _fates(fared: Sequence[Fared]) -> str:
    return ", ".join(f"{words.number(one.count)} {_fate(one)}" for one in fared) or "-"


def _fate(fared: Fared) -> str:
    return f"status {fared.status}" if fared.fate == "error" else fared.fate


SHEETS: dict[str, Sheet] = {
    "identity": Sheet(
        "Who serves a request",
        "Units are threads or greenlets that a view can tell apart: one by one 30 requests, then 40 at once, "
        "or as many as were asked for. Then short and long requests are mixed, at 60 % of what the handlers could "
        "serve: a request that waits at least 50 ms for its view while another process has a handler free waits "
        "behind a busy worker (gunicorn issue 3433).",
        ("Served by", "One by one", "At once", "Per process", "Behind a busy worker beside a free one", "Longest wait"),
        _identity,
    ),
    "crossing": Sheet(
        "Who waits for a busy worker beside a free one",
        "Four handlers each. Nine of ten requests take 2 ms, one takes 400 ms; they come one by one at 60 % of what "
        "the handlers could serve. The table counts those that waited at least 50 ms for their view, and of them those "
        "that did while another process had a handler free for as long. gunicorn's threaded workers accept "
        "connections while all their threads are busy, and a request that is accepted can't change its worker "
        "(gunicorn issue 3433). A sync worker and uWSGI's threads accept only when they are free.",
        ("Release", "Requests", "Waited 50 ms or more", "Beside a free handler", "Wait p50 · p99 · longest"),
        _crossing,
        of="",
    ),
    "isolation": Sheet(
        "What stays a request's own",
        "200 requests at once. Each leaves its id in the request, g, session, current_app, a Werkzeug Local and "
        "LocalStack and a context variable, waits 50 ms, half of them inside of a context of another app, and looks "
        "again: which app is found inside, which one afterwards? And in a module global, of which nobody "
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
        "Each number of the servers and limits doubled (halved, where twice as much can't be had), and each switch "
        "turned, one at a time, and the ledger measured again; with 300 requests, or up to 3,000 if it takes so many "
        "for a limit to bind.",
        ("Requests", "Bound by", "Changed", "The ledger then"),
        _sensitivity,
    ),
    "endings": Sheet(
        "How a server ends",
        "12 requests whose view takes 1.2 s; 0.3 s after the last of them a signal to the first process of the "
        "program that clients come to, or SIGKILL to a process that serves. One more request comes 0.3 s after the "
        "signal, and one when all have ended. Reset: RST. Closed: FIN without an answer. Silence: nothing in 15 s.",
        ("Signal", "In a handler", "Waiting", "Came later", "First process", "Serves afterwards"),
        _endings,
    ),
}
ALL: dict[str, Sheet] = {**SHEETS, **loads.SHEETS}


def results(experiment: str, comparison: Comparison) -> list[Run | NotRun]:
    """The runs of one experiment in a comparison, and what it went on without."""
    runs = [run for run in comparison.others if run.experiment == experiment]
    return [*runs, *comparison.missing(experiment)]


def terminal(experiment: str, results: Sequence[Run | NotRun]) -> RenderableType:
    """The table, then the doubts, then what was not run."""
    sheet = ALL[experiment]
    grid = Table(title=sheet.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("Topology", *sheet.columns, "Verdict"):
        grid.add_column(column, no_wrap=column == "Topology")
    parts: list[RenderableType] = [grid]
    for name, result in _named(results):
        if isinstance(result, NotRun):
            line = f"{words.absence(result).upper()}  {words.clean(name)}: {words.clean(result.reason)}"
            parts.append(Text(f"{line} Type: {words.clean(result.remedy)}"))
            continue
        for row in _rows(sheet, name, result):
            grid.add_row(*(Text(words.clean(cell)) for cell in row))
        parts += [Text(f"SUSPECT  {words.clean(name)}  {found.code}: {found.message}") for found in result.findings]
    return Group(*parts)


def markdown(experiment: str, results: Sequence[Run | NotRun]) -> str:
    """The same as a Markdown table, and below it the doubts."""
    sheet = ALL[experiment]
    columns = ("Topology", *sheet.columns, "Verdict")
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    for name, result in _named(results):
        if isinstance(result, NotRun):
            cells = [_cell(name), f"{words.absence(result)}: {_cell(result.reason)}"]
            lines.append(f"| {' | '.join(cells)} |{' |' * (len(columns) - 2)}")
            continue
        lines += [f"| {' | '.join(map(_cell, row))} |" for row in _rows(sheet, name, result)]
    doubts = [
        f"- **SUSPECT** {_cell(name)}: {_cell(found.message)} (`{found.code}`)"
        for name, result in _named(results)
        if isinstance(result, Run)
        for found in result.findings
    ]
    return "\n".join([*lines, *([""] if doubts else []), *doubts]) + "\n"


def _named(results: Sequence[Run | NotRun]) -> Iterator[tuple[str, Run | NotRun]]:
    """Each with all that sets it apart from the others."""
    runs = tuple(result for result in results if isinstance(result, Run))
    gaps = tuple(result for result in results if isinstance(result, NotRun))
    beside = Comparison((), gaps, runs)
    return ((words.label(result, beside), result) for result in results)


def _rows(sheet: Sheet, name: str, run: Run) -> Iterator[Cells]:
    """A run's rows with its name before the first, and its verdict behind that, or behind each its own."""
    for number, cells in enumerate(sheet.rows(run)):
        verdict = () if len(cells) > len(sheet.columns) else (run.verdict if number == 0 else "",)
        yield (name if number == 0 else "", *cells, *verdict)


def page(experiment: str, results: Sequence[Run | NotRun]) -> str:
    """A page of its own."""
    sheet = ALL[experiment]
    runs = [result for result in results if isinstance(result, Run)]
    runtimes = " and ".join(dict.fromkeys(run.runtime for run in runs))
    hosts = "; and on ".join(words.machine(host) for host in dict.fromkeys(run.host for run in runs))
    where = f"Measured in the {runtimes} runtime on {hosts}." if runs else ""
    made = f"Written by `topolab {experiment}{sheet.of} --output docs/behaviours`."
    return f"# {sheet.title}\n\n{made} {sheet.why}\n\n{where}\n\n{markdown(experiment, results)}"


def _cell(text: str) -> str:
    return words.one_line(text).replace("|", "\\|").replace("_", "\\_")
