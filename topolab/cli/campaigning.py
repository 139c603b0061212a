"""`topolab compare` over experiments with repeats: a campaign, begun or gone on with."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import click

from topolab import campaigns, host, paths, store
from topolab.campaigns import Cell, Folder
from topolab.cli.console import COULD_NOT, DONE, SUSPECT, err, out, say
from topolab.cli.plans import caution, runtime_for
from topolab.cli.repeating import REPEATS, Typed, read, words
from topolab.cli.reporting import write_report
from topolab.errors import LabError
from topolab.experiments.calibration import calibrate
from topolab.experiments.campaign import ATTEMPTS, TimeLeft, run
from topolab.experiments.capacity import Clock
from topolab.experiments.cells import EXPERIMENTS, Terms, require_taken
from topolab.loads import Calibration, Campaign
from topolab.plan import Plan
from topolab.results import NotRun, to_json
from topolab.runtimes.base import Event, Runtime
from topolab.runtimes.choice import RUNTIMES, choose
from topolab.topology import Catalog
from topolab.yamlfile import nearest


def compare(topologies: tuple[str, ...], typed: Typed, *, as_json: bool) -> int:
    """Measures what is left of a campaign, new or begun, and shows all of it."""
    with _folder(click.get_current_context(), topologies, typed) as folder:
        campaign = folder.campaign
        (wanted, load), plans = read(campaign.words), _plans(campaign)
        runtime = runtime_for(replace(wanted, runtime_name=campaign.runtime))
        caution(list({plan.name: plan for plan in plans.values()}.values()))
        attempts = typed.attempts or ATTEMPTS
        again = len(folder.disturbed(attempts))
        todo = f"{len(folder.todo)} of {len(campaign.cells)} cells to measure" + (f", {again} again" if again else "")
        say(f"campaign {campaign.name}: {todo}, in {paths.shown(folder.path)}")
        try:
            _measure(folder, runtime, plans, load, attempts)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"everything that it had started is stopped. {len(campaign.cells) - len(folder.todo)} of "
                f"{len(campaign.cells)} cells are kept: `topolab compare --resume {campaign.name}` goes on."
            ) from None
        return _show(folder, as_json=as_json)


def _folder(context: click.Context, topologies: tuple[str, ...], typed: Typed) -> AbstractContextManager[Folder]:
    if typed.resume is None:
        return campaigns.begun(_begun(context, topologies, typed))
    return _resumed(context, topologies, typed)


def _begun(context: click.Context, topologies: tuple[str, ...], typed: Typed) -> Campaign:
    """What was typed, as a campaign; everything in it is checked before anything is touched."""
    names = _names(topologies)
    experiments = _experiments(typed.experiments or "capacity")
    repeats = typed.repeats or REPEATS
    seed = secrets.randbelow(10_000) if typed.seed is None else typed.seed
    further = words(context)
    require_taken(experiments, read(further)[1])
    runtime, _why = choose(context.params["runtime_name"])
    return _with_plans(
        Campaign(
            name=typed.name or time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
            runtime=runtime.name,
            topologies=names,
            experiments=experiments,
            repeats=repeats,
            seed=seed,
            words=further,
            started=Clock().started,
            baseline=_baseline(typed.baseline, names),
            host=host.fingerprint(),
            cells=campaigns.order(names, experiments, repeats, seed),
        )
    )


@contextlib.contextmanager
def _resumed(context: click.Context, topologies: tuple[str, ...], typed: Typed) -> Iterator[Folder]:
    """A campaign that was begun. What is typed again has to be as it was."""
    if typed.resume and typed.name not in (None, typed.resume):
        raise LabError(f"--resume {typed.resume} and --name {typed.name}: these are two campaigns. Leave one out.")
    name = typed.resume or typed.name or campaigns.latest(typed.attempts or ATTEMPTS, say)
    with campaigns.resumed(name) as folder:
        _require_known(folder)
        was = folder.campaign
        runtime = context.params["runtime_name"]
        now = replace(
            was,
            runtime=was.runtime if runtime == "auto" else runtime,
            topologies=_names(topologies) if topologies else was.topologies,
            experiments=_experiments(typed.experiments) if typed.experiments else was.experiments,
            repeats=was.repeats if typed.repeats is None else typed.repeats,
            seed=was.seed if typed.seed is None else typed.seed,
            words=words(context) or was.words,
            host=host.fingerprint(),
        )
        campaigns.require_as_typed(was, now)
        campaigns.require_same(was, _with_plans(now))
        if typed.baseline:
            folder.change(baseline=_baseline(typed.baseline, was.topologies))
        yield folder


def _require_known(folder: Folder) -> None:
    """What campaign.json names is there. `LabError` with file, key and value: somebody has changed it."""
    campaign, file = folder.campaign, paths.shown(folder.path / store.CAMPAIGN)
    for name in campaign.experiments:
        if name not in EXPERIMENTS:
            raise LabError(f'{file}: experiments: there is no "{name}" to compare.{nearest(name, EXPERIMENTS)}')
    if campaign.runtime not in RUNTIMES:
        raise LabError(f'{file}: runtime: there is no "{campaign.runtime}".{nearest(campaign.runtime, RUNTIMES)}')
    try:
        require_taken(campaign.experiments, read(campaign.words)[1])
    except click.ClickException as error:
        problem = error.format_message()
    except LabError as error:
        problem = str(error)
    else:
        return
    raise LabError(f'{file}: words: "{" ".join(campaign.words)}" can\'t be read: {problem}')


def _names(topologies: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(Catalog().chosen(topologies)))


def _experiments(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.replace(",", " ").split()))
    for name in names or ("",):
        if name not in EXPERIMENTS:
            raise LabError(
                f'--experiments: there is no "{name}" to compare.{nearest(name, EXPERIMENTS)} '
                f"There are {', '.join(EXPERIMENTS)}."
            )
    return names


def _baseline(name: str | None, topologies: tuple[str, ...]) -> str | None:
    if name and name not in topologies:
        raise LabError(f"--baseline {name} is not measured here. Name it among the topologies, or choose another.")
    return name


def _with_plans(campaign: Campaign) -> Campaign:
    plans = _plans(campaign).values()
    return replace(campaign, plans={plan.name: plan.environment() for plan in plans})


def _plans(campaign: Campaign) -> dict[tuple[str, str], Plan]:
    """Each experiment has its own number of requests, unless one was asked for."""
    wanted, _load = read(campaign.words)
    return {
        (experiment, name): (
            wanted if "--requests" in campaign.words else wanted.with_requests(EXPERIMENTS[experiment].requests)
        ).plan(name)
        for experiment in campaign.experiments
        for name in campaign.topologies
    }


def _measure(
    folder: Folder, runtime: Runtime, plans: dict[tuple[str, str], Plan], load: dict[str, Any], attempts: int
) -> None:
    from topolab.reports.progress import Progress, duration
    from topolab.reports.words import absence

    left, terms = TimeLeft(folder, attempts), Terms(_calibration(folder), load)
    measures = {name: experiment.measure for name, experiment in EXPERIMENTS.items()}
    with Progress(err) as progress:

        def start(cell: Cell, number: int, of: int) -> None:
            progress.start(f"{cell.experiment} {cell.topology} ({cell.repeat})", number, of)

        def show(event: Event) -> None:
            if event["event"] == "progress":
                progress.event(event["phase"], event.get("done", 0), event.get("of", 0))

        found = run(folder, runtime, measures, plans, terms, say=say, on_start=start, on_event=show, attempts=attempts)
        for _cell, result in found:
            if isinstance(result, NotRun):
                how = f"{absence(result).upper()}, {result.reason}"
            else:
                how = f"{result.verdict}, {result.seconds:.1f} s"
            remaining = left.seconds()
            progress.ended(how if remaining is None else f"{how}; {duration(remaining)} left")


def _calibration(folder: Folder) -> Calibration | None:
    """What the instrument itself can do: measured once for a campaign that offers load."""
    campaign = folder.campaign
    needed = folder.todo and any(EXPERIMENTS[experiment].takes for experiment in campaign.experiments)
    if needed and campaign.calibration is None:
        say("calibrating the instrument against a server that does nothing")
        folder.change(calibration=calibrate(lambda _event: None))
    return folder.campaign.calibration


def _show(folder: Folder, *, as_json: bool) -> int:
    from topolab.changes import against
    from topolab.medians import medians
    from topolab.reports import blocks
    from topolab.reports.campaigns import sheet

    found = store.load([folder.path])
    figures = medians(found.measured)
    baseline = folder.campaign.baseline
    changes = against(baseline, figures) if baseline else ()
    if as_json:
        parts = {"medians": figures, "changes": changes, "not_run": found.not_run}
        lists = {name: [to_json(each) for each in values] for name, values in parts.items()}
        click.echo(json.dumps({"campaign": to_json(folder.campaign), **lists}, indent=1))
    else:
        out.print(blocks.terminal(sheet(found, figures, changes, baseline)))
    write_report(replace(found, changes=changes), folder.path)
    if not found.measured or any(gap.failed for gap in found.not_run):
        return COULD_NOT
    verdicts = {run.verdict for run in found.measured} | {figure.verdict for figure in figures}
    return SUSPECT if "SUSPECT" in verdicts else DONE
