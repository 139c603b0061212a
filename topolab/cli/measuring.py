"""Verbs that measure, and that print what was measured: capacity, compare, proof, report."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from topolab import paths, store
from topolab.cli import on_hosts
from topolab.cli.console import COULD_NOT, DONE, SUSPECT, err, out, say
from topolab.cli.options import Wanted, hold_option, hosts_option, json_option, run_options
from topolab.cli.plans import caution, prepare, runtime_for, runtime_on_hosts
from topolab.errors import LabError, NotRunnable
from topolab.experiments.capacity import capacity as measure_capacity
from topolab.experiments.compare import compare as measure_all
from topolab.experiments.proof import cells
from topolab.plan import Plan
from topolab.results import CapacityRun, Comparison, NotRun, to_json
from topolab.runtimes.base import Event, Runtime
from topolab.runtimes.choice import RUNTIMES, choose
from topolab.runtimes.plays import Inventory
from topolab.topology import Catalog

if TYPE_CHECKING:  # the reports are imported where they are needed: other verbs start sooner without them
    from topolab.reports.terminal import Progress

PROOF = """\
# Every prediction, proved

Written by `make proof`. Each line is one stack that was brought up, measured and taken down again. Bounds (`10-40`)
stand where the server itself is random; `topolab show` tells why.

{table}"""


@click.command()
@click.argument("topologies", nargs=-1, required=True, metavar="TOPOLOGY...")
@hold_option
@run_options
@json_option
@hosts_option
def capacity(topologies: tuple[str, ...], wanted: Wanted, as_json: bool, inventory: Inventory | None) -> int:
    """Measure where N requests stand.

    Each topology gets a stack of its own, which is gone afterwards.
    """
    from topolab.reports.terminal import Progress, ledger

    plans = wanted.plans(Catalog().chosen(topologies))
    if inventory:
        return _on_hosts(inventory, wanted, plans, as_json=as_json, detailed=True)
    runtime = runtime_for(wanted)
    checked = [runtime.check(plan) for plan in plans]
    caution(checked)
    prepare(runtime, checked)
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


@click.command()
@click.argument("topologies", nargs=-1, metavar="[TOPOLOGY...]")
@hold_option
@run_options
@json_option
@hosts_option
def compare(topologies: tuple[str, ...], wanted: Wanted, as_json: bool, inventory: Inventory | None) -> int:
    """Measure several topologies side by side.

    Without names: the standard ones; `all`: all. Prints the table and writes the report.
    """
    from topolab.reports.terminal import Progress, table

    plans = wanted.plans(Catalog().chosen(topologies))
    if inventory:
        return _on_hosts(inventory, wanted, plans, as_json=as_json, detailed=False)
    runtime = runtime_for(wanted)
    caution(plans)
    storing = _Storing()
    with Progress(err) as progress:
        results = _measured(runtime, plans, progress, storing)
    comparison = _comparison(results)
    if as_json:
        click.echo(json.dumps([to_json(result) for result in results], indent=1))
    else:
        out.print(table(comparison))
    storing.check()
    if comparison.runs:
        _write_report(comparison, paths.RESULTS)
    return _status(comparison)


@click.command()
@click.argument("topologies", nargs=-1, metavar="[TOPOLOGY...]")
@click.option(
    "--output", type=click.Path(path_type=Path), default=paths.HOME / "docs", help="Folder for proof.json, .md."
)
def proof(topologies: tuple[str, ...], output: Path) -> int:
    """Prove every prediction.

    Each topology at its defaults, at other settings, and under other limits. Needs a container engine.
    """
    from topolab.reports import markdown, words
    from topolab.reports.terminal import Progress

    catalog = Catalog()
    todo = list(cells(catalog, catalog.chosen(topologies or ["all"])))
    for name in dict.fromkeys(cell.runtime for cell in todo):
        choose(name)  # before hours of work: is it here?
    results: list[CapacityRun | NotRun] = []
    storing = _Storing()
    with Progress(err) as progress:
        for runtime in dict.fromkeys(RUNTIMES[cell.runtime] for cell in todo):
            plans = [cell.plan for cell in todo if cell.runtime == runtime.name]
            results += _measured(runtime, plans, progress, storing)
    results.sort(key=lambda result: result.topology)
    comparison = _comparison(results)
    lines = ",\n".join(json.dumps(to_json(result), separators=(",", ":")) for result in results)
    store.write_text(output / "proof.json", f"[\n{lines}\n]\n")
    store.write_text(output / "proof.md", PROOF.format(table=markdown.proof(comparison)))
    out.print(f"{len(results)} cells: {words.tally(comparison)}", markup=False)
    storing.check()
    return _status(comparison)


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--output", type=click.Path(path_type=Path), default=paths.RESULTS, help="Folder for page and picture.")
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
@click.option("--into", type=click.Path(path_type=Path), help="Put that table between the marks in a Markdown file.")
def report(runs: tuple[Path, ...], output: Path, markdown: bool, into: Path | None) -> int:
    """Rebuild table, page and picture from stored runs."""
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


def _on_hosts(inventory: Inventory, wanted: Wanted, plans: Sequence[Plan], *, as_json: bool, detailed: bool) -> int:
    """Topologies one after the other, each on all hosts at once: results as for this machine, and a report of all."""
    from topolab.reports.terminal import ledger, table

    caution(plans)
    on_hosts.build_here(wanted, plans)
    storing = _Storing()
    results: list[CapacityRun | NotRun] = []
    for plan in plans:
        try:
            found = on_hosts.measured(inventory, wanted, plan)
        except NotRunnable as error:
            found = [NotRun("capacity", plan.name, runtime_on_hosts(wanted), str(error), error.remedy, plan.asked)]
        for result in found:
            if isinstance(result, CapacityRun):
                storing.run(result)
                if detailed and not as_json:
                    out.print(ledger(result))
            results.append(result)
    comparison = _comparison(results)
    if as_json:
        documents = [to_json(result) for result in results]
        click.echo(json.dumps(documents[0] if len(documents) == 1 else documents, indent=1))
    elif len(results) > 1 or not comparison.runs:
        out.print(table(comparison))
    storing.check()
    if comparison.runs and not detailed:
        _write_report(comparison, paths.RESULTS)
    return _status(comparison)


def _measured(
    runtime: Runtime, plans: Sequence[Plan], progress: Progress, storing: _Storing
) -> list[CapacityRun | NotRun]:
    """Every plan's result, stored as it comes."""
    results = []
    for result in measure_all(runtime, plans, say=say, on_start=progress.start, on_event=_into(progress)):
        progress.finish(result)
        results.append(result)
        if isinstance(result, CapacityRun):
            storing.run(result)
    return results


def _into(progress: Progress) -> Callable[[Event], None]:
    def show_event(event: Event) -> None:
        if event["event"] == "progress":
            progress.event(event["phase"], event.get("done", 0), event.get("of", 0))

    return show_event


class _Storing:
    """Stores runs as they come; when that fails the measuring goes on, and what was measured is still printed."""

    def __init__(self) -> None:
        self.problem: LabError | None = None

    def run(self, run: CapacityRun) -> None:
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


def _comparison(results: Sequence[CapacityRun | NotRun]) -> Comparison:
    return Comparison(
        tuple(result for result in results if isinstance(result, CapacityRun)),
        tuple(result for result in results if isinstance(result, NotRun)),
    )


def _status(comparison: Comparison) -> int:
    if not comparison.runs or any(missing.failed for missing in comparison.not_run):
        return COULD_NOT
    return DONE if all(run.verdict == "VALID" for run in comparison.runs) else SUSPECT


VERBS = (capacity, compare, proof, report)
