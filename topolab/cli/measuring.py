"""Verbs that measure, and that print what was measured: capacity, compare, proof."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from topolab import paths, store
from topolab.cli import campaigning, on_hosts, repeating
from topolab.cli.console import err, out, say
from topolab.cli.each import Storing
from topolab.cli.options import Wanted, hold_option, hosts_option, json_option, run_options
from topolab.cli.plans import caution, prepare, runtime_for, runtime_on_hosts
from topolab.cli.reporting import status, write_report
from topolab.comparison import Comparison
from topolab.errors import LabError, NotRunnable
from topolab.experiments.capacity import capacity as measure_capacity
from topolab.experiments.cells import require_taken
from topolab.experiments.compare import compare as measure_all
from topolab.experiments.proof import cells
from topolab.plan import Plan
from topolab.results import CapacityRun, NotRun, to_json
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
    storing = Storing()
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
    return status(Comparison(tuple(runs)))


@click.command()
@click.argument("topologies", nargs=-1, metavar="[TOPOLOGY...]")
@hold_option
@run_options
@json_option
@hosts_option
@repeating.campaign_options
@repeating.load_options
def compare(
    topologies: tuple[str, ...], wanted: Wanted, as_json: bool, inventory: Inventory | None, typed: repeating.Typed,
    load: dict[str, Any],
) -> int:  # fmt: skip
    """Measure several topologies side by side.

    Without names: the standard ones; `all`: all. Prints the table and writes the report. With --experiments or
    --repeats it is a campaign: medians with intervals, and what is finished is kept (results/campaigns).
    """
    from topolab.reports.terminal import Progress, table

    if typed.campaign:
        if inventory:
            raise LabError("--experiments and --repeats measure on this machine only. Leave --hosts out.")
        return campaigning.compare(topologies, typed, as_json=as_json)
    require_taken(["capacity"], load)
    plans = wanted.plans(Catalog().chosen(topologies))
    if inventory:
        return _on_hosts(inventory, wanted, plans, as_json=as_json, detailed=False)
    runtime = runtime_for(wanted)
    caution(plans)
    storing = Storing()
    with Progress(err) as progress:
        results = _measured(runtime, plans, progress, storing)
    comparison = _comparison(results)
    if as_json:
        click.echo(json.dumps([to_json(result) for result in results], indent=1))
    else:
        out.print(table(comparison))
    storing.check()
    if comparison.runs:
        write_report(comparison, paths.RESULTS)
    return status(comparison)


@click.command()
@click.argument("topologies", nargs=-1, metavar="[TOPOLOGY...]")
@click.option("--output", type=click.Path(path_type=Path), help="Also write proof.json and proof.md to this folder.")
def proof(topologies: tuple[str, ...], output: Path | None) -> int:
    """Prove every prediction.

    Each topology at its defaults, at other settings, and under other limits. Needs a container engine.
    """
    from topolab.reports import markdown, words
    from topolab.reports.terminal import Progress, table

    catalog = Catalog()
    todo = list(cells(catalog, catalog.chosen(topologies or ["all"])))
    for name in dict.fromkeys(cell.runtime for cell in todo):
        choose(name)  # before hours of work: is it here?
    results: list[CapacityRun | NotRun] = []
    storing = Storing()
    with Progress(err) as progress:
        for runtime in dict.fromkeys(RUNTIMES[cell.runtime] for cell in todo):
            plans = [cell.plan for cell in todo if cell.runtime == runtime.name]
            results += _measured(runtime, plans, progress, storing)
    results.sort(key=lambda result: result.topology)
    comparison = _comparison(results)
    if output:
        lines = ",\n".join(json.dumps(to_json(result), separators=(",", ":")) for result in results)
        store.write_text(output / "proof.json", f"[\n{lines}\n]\n")
        store.write_text(output / "proof.md", PROOF.format(table=markdown.proof(comparison)))
    else:
        out.print(table(comparison))
    out.print(f"{len(results)} cells: {words.tally(comparison)}", markup=False)
    storing.check()
    return status(comparison)


def _on_hosts(inventory: Inventory, wanted: Wanted, plans: Sequence[Plan], *, as_json: bool, detailed: bool) -> int:
    """Topologies one after the other, each on all hosts at once: results as for this machine, and a report of all."""
    from topolab.reports.terminal import ledger, table

    caution(plans)
    on_hosts.build_here(wanted, plans)
    storing = Storing()
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
        write_report(comparison, paths.RESULTS)
    return status(comparison)


def _measured(
    runtime: Runtime, plans: Sequence[Plan], progress: Progress, storing: Storing
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


def _comparison(results: Sequence[CapacityRun | NotRun]) -> Comparison:
    return Comparison(
        tuple(result for result in results if isinstance(result, CapacityRun)),
        tuple(result for result in results if isinstance(result, NotRun)),
    )


VERBS = (capacity, compare, proof)
