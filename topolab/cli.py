"""The command `topolab`: reads what was typed, calls the lab, prints. Only this module exits.

Results go to stdout, commentary to stderr.
Exit code 0: done and VALID; 1: done but SUSPECT; 2: could not be done, or was interrupted.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console

from topolab import paths, show, store
from topolab.errors import LabError
from topolab.experiments.capacity import capacity as measure_capacity
from topolab.experiments.compare import compare as measure_all
from topolab.experiments.proof import cells
from topolab.options import Wanted, hold_option, json_option, plan_options, run_options
from topolab.plan import Plan
from topolab.results import Comparison, NotRun, Run, to_json
from topolab.runtimes import interrupts, lifecycle, state
from topolab.runtimes.base import Event, Runtime
from topolab.runtimes.choice import RUNTIMES, choose
from topolab.topology import Catalog

DONE, SUSPECT, COULD_NOT = 0, 1, 2

PROOF = """\
# Every prediction, proved

Written by `make proof`. Each line is one stack that was brought up, measured and taken down again. Bounds (`10-40`)
stand where the server itself is random; `topolab show` tells why.

{table}"""
WIDTH = 120  # where there is no terminal to ask

out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
err = Console(stderr=True, highlight=False)


def main() -> NoReturn:
    """The entry point: runs a verb, turns every `LabError` into one clear line."""
    interrupts.install()
    try:
        status = cli.main(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else DONE)
    except LabError as error:
        say(f"topolab: {error}")
        for line in error.details:
            say(f"  {line}")
        sys.exit(COULD_NOT)
    except click.ClickException as error:
        error.show()
        sys.exit(COULD_NOT)
    except (click.Abort, KeyboardInterrupt):
        say("topolab: interrupted; everything that it had started is stopped. Finished runs are stored.")
        sys.exit(COULD_NOT)
    except OSError as error:
        if error.errno != errno.EPIPE:  # a reader of our output that has gone needs no word
            say(f"topolab: {error.filename or 'output'}: {error.strerror}.")
        sys.stdout = None  # what is left in it can't be written
        sys.exit(COULD_NOT)
    except Exception as error:
        if os.environ.get("TOPOLAB_DEBUG"):
            raise
        say(f"topolab: this is a bug of topolab's: {type(error).__name__}: {error}. TOPOLAB_DEBUG=1 shows where.")
        sys.exit(COULD_NOT)


def say(line: str) -> None:
    """One line of commentary."""
    err.print(line, markup=False, soft_wrap=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="topolab")
def cli() -> None:
    """Where are N requests? Topolab brings up any way of serving a Flask app, predicts from the settings
    where N requests will stand, measures it, and says where the two differ.

    It does not rank web frameworks. Exit code 0: done and VALID. 1: done but SUSPECT. 2: could not be done.
    """


@cli.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the topologies."""
    catalog = Catalog()
    topologies, problems = [], []
    for name in catalog.names:
        try:
            topologies.append(catalog.topology(name))
        except LabError as error:  # one that is broken does not hide the others
            problems.append(error)
    if as_json:
        click.echo(json.dumps([{"topology": each.name, "summary": each.summary} for each in topologies], indent=1))
    else:
        out.print(show.topologies(topologies))
    for problem in problems:
        raise problem


@cli.command("show")
@click.argument("topology")
@plan_options
@json_option
def show_(topology: str, wanted: Wanted, as_json: bool) -> None:
    """Show a topology's plan and its predicted ledger; start nothing."""
    plan = wanted.plan(topology)
    _caution([plan])
    if as_json:
        click.echo(json.dumps(show.as_json(plan), indent=1))
    else:
        out.print(show.plan(plan))


@cli.command()
@click.argument("topologies", nargs=-1, required=True, metavar="TOPOLOGY...")
@hold_option
@run_options
@json_option
def capacity(topologies: tuple[str, ...], wanted: Wanted, as_json: bool) -> int:
    """Measure where N requests stand, in a stack of its own that is gone afterwards."""
    from topolab.reports.terminal import Progress, ledger

    plans = wanted.plans(Catalog().chosen(topologies))
    runtime = _runtime(wanted)
    checked = [runtime.check(plan) for plan in plans]
    _caution(checked)
    _prepare(runtime, checked)
    runs = []
    storing = _Storing()
    with Progress(err) as progress:
        for number, plan in enumerate(checked, 1):
            progress.start(plan.name, number, len(checked))
            run = measure_capacity(runtime, plan, _into(progress))
            progress.finish(run)
            storing.run(run)
            runs.append(run)
            if not as_json:
                out.print(ledger(run))
    if as_json:
        documents = [to_json(run) for run in runs]
        click.echo(json.dumps(documents[0] if len(documents) == 1 else documents, indent=1))
    storing.check()
    return _status(Comparison(tuple(runs)))


@cli.command()
@click.argument("topologies", nargs=-1, metavar="[TOPOLOGY...]")
@hold_option
@run_options
@json_option
def compare(topologies: tuple[str, ...], wanted: Wanted, as_json: bool) -> int:
    """Measure several topologies (without names: the standard ones; `all`: all), print the table, write the report."""
    from topolab.reports.terminal import Progress, table

    plans = wanted.plans(Catalog().chosen(topologies))
    runtime = _runtime(wanted)
    _caution(plans)
    results: list[Run | NotRun] = []
    storing = _Storing()
    with Progress(err) as progress:
        for result in measure_all(runtime, plans, say=say, on_start=progress.start, on_event=_into(progress)):
            progress.finish(result)
            results.append(result)
            if isinstance(result, Run):
                storing.run(result)
    comparison = _comparison(results)
    if as_json:
        click.echo(json.dumps([to_json(result) for result in results], indent=1))
    else:
        out.print(table(comparison))
    storing.check()
    if comparison.runs:
        _write_report(comparison, paths.RESULTS)
    return _status(comparison)


@cli.command()
@click.argument("topologies", nargs=-1, metavar="[TOPOLOGY...]")
@click.option(
    "--output", type=click.Path(path_type=Path), default=paths.HOME / "docs", help="Folder for proof.json, .md."
)
def proof(topologies: tuple[str, ...], output: Path) -> int:
    """Prove every prediction: each topology at its defaults, at other settings, and under other limits."""
    from topolab.reports import markdown, words
    from topolab.reports.terminal import Progress

    catalog = Catalog()
    todo = list(cells(catalog, catalog.chosen(topologies or ["all"])))
    results: list[Run | NotRun] = []
    storing = _Storing()
    with Progress(err) as progress:
        for name in dict.fromkeys(cell.runtime for cell in todo):
            runtime, _ = choose(name)
            plans = [cell.plan for cell in todo if cell.runtime == name]
            for result in measure_all(runtime, plans, say=say, on_start=progress.start, on_event=_into(progress)):
                progress.finish(result)
                results.append(result)
                if isinstance(result, Run):
                    storing.run(result)
    results.sort(key=lambda result: result.topology)
    comparison = _comparison(results)
    lines = ",\n".join(json.dumps(to_json(result), separators=(",", ":")) for result in results)
    store.write_text(output / "proof.json", f"[\n{lines}\n]\n")
    store.write_text(output / "proof.md", PROOF.format(table=markdown.proof(comparison)))
    out.print(f"{len(results)} cells: {words.tally(comparison)}", markup=False)
    storing.check()
    return _status(comparison)


@cli.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--output", type=click.Path(path_type=Path), default=paths.RESULTS, help="Folder for page and picture.")
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
@click.option("--into", type=click.Path(path_type=Path), help="Put that table between the marks in a Markdown file.")
def report(runs: tuple[Path, ...], output: Path, markdown: bool, into: Path | None) -> int:
    """Rebuild the table, the page and the picture from stored runs."""
    from topolab.reports import markdown as as_markdown
    from topolab.reports.terminal import table

    comparison = store.load(runs)
    if markdown:
        click.echo(as_markdown.table(comparison), nl=False)
    else:
        out.print(table(comparison))
    if into:
        store.replace_text(into, lambda text: as_markdown.insert(text, comparison))
        say(f"wrote the table into {paths.shown(into)}")
    if comparison.runs:
        _write_report(comparison, output)
    return _status(comparison)


@cli.command()
@click.argument("topology")
@run_options
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="Port on 127.0.0.1.")
def up(topology: str, wanted: Wanted, port: int) -> None:
    """Bring a topology up and leave it running."""
    plan = wanted.plan(topology)
    runtime = _runtime(wanted)
    plan = runtime.check(plan)
    _caution([plan])
    _prepare(runtime, [plan])
    record, started = lifecycle.up(RUNTIMES, runtime, plan, port=port)
    already = "" if started else "already "
    out.print(f"{topology} is {already}up at http://127.0.0.1:{record.port}/ ({record.runtime})", markup=False)
    say(f"`topolab logs {topology}` shows its output, `topolab down {topology}` stops it.")


@cli.command()
@json_option
def status(as_json: bool) -> None:
    """Show what is up."""
    stacks, problems = lifecycle.status(RUNTIMES)
    if as_json:
        click.echo(json.dumps([show.stack_as_json(stack) for stack in stacks], indent=1))
    elif stacks:
        out.print(show.stacks(stacks))
    elif not problems:
        out.print("Nothing is up. `topolab up TOPOLOGY` brings one up, `topolab list` names them.")
    for problem in problems:
        raise problem


@cli.command()
@click.argument("topology")
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C.")
def logs(topology: str, follow: bool) -> int:
    """Print the output of a stack's services."""
    record = state.read(topology)
    if record is None:
        Catalog().topology(topology)  # a misspelt name is told apart from one that is not up
        raise LabError(f"{topology} is not up. `topolab status` shows what is.")
    return RUNTIMES[record.runtime].logs(topology, follow=follow)


@cli.command()
@click.argument("topologies", nargs=-1, metavar="[TOPOLOGY...]")
@click.option("--force", is_flag=True, help="Whatever the records say, and even if they can't be read.")
def down(topologies: tuple[str, ...], force: bool) -> None:
    """Stop stacks (without names: all of them), also those that a killed topolab left behind."""
    if topologies:
        for name in topologies:
            _take_down(name, force=force)
        return
    if not force:
        lifecycle.sweep(RUNTIMES, say)
    problems = []
    names = state.names()
    for name in names:
        try:
            record = None if force else state.read(name)
            if record and record.temporary:
                say(f"{name} belongs to a measurement that is under way; it ends with it")
            else:
                _take_down(name, force=force)
        except LabError as error:
            problems.append(error)
    if not names:
        out.print("Nothing is up.")
    for problem in problems:
        raise problem


def _take_down(name: str, *, force: bool) -> None:
    if force:
        lifecycle.force_down(RUNTIMES, name)
    else:
        if state.read(name) is None:
            Catalog().topology(name)  # a misspelt name is told apart from one that is not up
        lifecycle.down(RUNTIMES, name)
    out.print(f"{name} is down", markup=False)


@cli.command()
@click.argument("what", type=click.Choice(["run", "topology", "server", "limits"]))
def schema(what: str) -> None:
    """Print the JSON Schema of a run, or of one of the YAML files."""
    click.echo(json.dumps(show.schema(what, Catalog()), indent=1))


@cli.command()
def setup() -> None:
    """Install what local processes need from the distribution (as root on Debian and Ubuntu)."""
    from topolab import packages

    packages.setup(Catalog().servers(), say)


def _runtime(wanted: Wanted) -> Runtime:
    runtime, why = choose(wanted.runtime_name)
    if why:
        say(why)
    lifecycle.sweep(RUNTIMES, say)
    return runtime


def _prepare(runtime: Runtime, plans: Sequence[Plan]) -> None:
    for error in runtime.prepare(plans, say).values():
        raise error


def _caution(plans: Sequence[Plan]) -> None:
    """Says which settings do nothing, or kill their server."""
    for plan in plans:
        for caution in plan.cautions():
            say(f"{plan.name}: {caution}")


def _into(progress: Any) -> Callable[[Event], None]:
    def show_event(event: Event) -> None:
        if event["event"] == "progress":
            progress.event(event["phase"], event.get("done", 0), event.get("of", 0))

    return show_event


class _Storing:
    """Stores runs as they come; when that fails the measuring goes on, and what was measured is still printed."""

    def __init__(self) -> None:
        self.problem: LabError | None = None

    def run(self, run: Run) -> None:
        try:
            say(f"stored {paths.shown(store.save(run, paths.RESULTS))}")
        except LabError as error:
            self.problem = error

    def check(self) -> None:
        if self.problem:
            raise self.problem


def _write_report(comparison: Comparison, directory: Path) -> None:
    from topolab.reports.page import page
    from topolab.reports.picture import svg

    for name, text in (("report.html", page(comparison)), ("report.svg", svg(comparison))):
        store.write_text(directory / name, text)
        say(f"wrote {paths.shown(directory / name)}")


def _comparison(results: Sequence[Run | NotRun]) -> Comparison:
    return Comparison(
        tuple(result for result in results if isinstance(result, Run)),
        tuple(result for result in results if isinstance(result, NotRun)),
    )


def _status(comparison: Comparison) -> int:
    if not comparison.runs or any(missing.failed for missing in comparison.not_run):
        return COULD_NOT
    return DONE if all(run.verdict == "VALID" for run in comparison.runs) else SUSPECT
