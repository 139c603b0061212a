"""Verbs about what a server does with a request: identity, isolation, deadwork, burst."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from topolab import paths, store
from topolab.cli.console import COULD_NOT, DONE, SUSPECT, err, out, say
from topolab.cli.options import Wanted, json_option, run_options
from topolab.cli.plans import caution, runtime_for
from topolab.errors import LabError, NotRunnable
from topolab.experiments import burst as bursts
from topolab.experiments import deadwork as dead_works
from topolab.experiments import identity as identities
from topolab.experiments import isolation as isolations
from topolab.experiments import sensitivity as sensitivities
from topolab.experiments.capacity import OnEvent
from topolab.plan import Plan
from topolab.results import NotRun, Run, to_json
from topolab.runtimes.base import Runtime
from topolab.topology import Catalog

Measure = Callable[[Runtime, Plan, OnEvent], Run]
BACKLOGS = (16, 128, 1024)


def _verb(name: str, requests: int, text: str, measure: Callable[[Wanted], Measure]) -> click.Command:
    """One experiment on each topology, one after the other; what fails does not stop the rest."""

    @click.command(name, help=text, context_settings={"default_map": {"requests": requests}})
    @click.argument("topologies", nargs=-1, metavar="[TOPOLOGY...]")
    @run_options
    @json_option
    @click.option(
        "--output", type=click.Path(path_type=Path), help=f"Also write {name}.json and {name}.md to this folder."
    )
    def verb(topologies: tuple[str, ...], wanted: Wanted, as_json: bool, output: Path | None) -> int:
        plans = wanted.plans(Catalog().chosen(topologies))
        runtime = runtime_for(wanted)
        caution(plans)
        results = _all(name, runtime, plans, measure(wanted))
        if output:
            _write(name, results, output)
        return _show(name, results, as_json=as_json)

    return verb


def _all(experiment: str, runtime: Runtime, plans: Sequence[Plan], measure: Measure) -> list[Run | NotRun]:
    from topolab.reports.terminal import Progress

    results: list[Run | NotRun] = []
    checked: dict[str, Plan] = {}
    for plan in plans:
        try:
            checked[plan.name] = runtime.check(plan)
        except NotRunnable as error:
            results.append(NotRun(experiment, plan.name, runtime.name, str(error), error.remedy, plan.asked))
        except LabError as error:
            results.append(_failed(experiment, runtime, plan, error))
    not_made = runtime.prepare(list(checked.values()), say)
    with Progress(err) as progress:
        for number, plan in enumerate(checked.values(), 1):
            progress.start(plan.name, number, len(checked))
            try:
                if plan.name in not_made:
                    raise not_made[plan.name]
                run = measure(
                    runtime, plan,
                    lambda event: progress.event(event["phase"], event.get("done", 0), event.get("of", 0)),
                )  # fmt: skip
                say(f"stored {paths.shown(store.save(run, paths.RESULTS))}")
                results.append(run)
            except LabError as error:
                results.append(_failed(experiment, runtime, plan, error))
    return sorted(results, key=lambda result: result.topology)


def _failed(experiment: str, runtime: Runtime, plan: Plan, error: LabError) -> NotRun:
    again = f"`topolab {experiment} {plan.name} --runtime {runtime.name}` shows it alone."
    reason = " ".join([str(error), *error.details])
    return NotRun(experiment, plan.name, runtime.name, reason, again, plan.asked, failed=True)


def _write(experiment: str, results: Sequence[Run | NotRun], folder: Path) -> None:
    """The page, and the runs that it is made from."""
    from topolab.reports.behaviours import page

    lines = ",\n".join(json.dumps(to_json(result), separators=(",", ":")) for result in results)
    for name, text in ((f"{experiment}.json", f"[\n{lines}\n]\n"), (f"{experiment}.md", page(experiment, results))):
        store.write_text(folder / name, text)
        say(f"wrote {paths.shown(folder / name)}")


def _show(experiment: str, results: Sequence[Run | NotRun], *, as_json: bool) -> int:
    from topolab.reports.behaviours import terminal

    if as_json:
        click.echo(json.dumps([to_json(result) for result in results], indent=1))
    else:
        out.print(terminal(experiment, results))
    runs = [result for result in results if isinstance(result, Run)]
    if not runs or any(isinstance(result, NotRun) and result.failed for result in results):
        return COULD_NOT
    return DONE if all(run.verdict == "VALID" for run in runs) else SUSPECT


def _bursts(wanted: Wanted) -> Measure:
    """The topology as it is, and with other backlogs where it has that setting."""

    def measure(runtime: Runtime, plan: Plan, on_event: OnEvent) -> Run:
        setting = plan.entry_setting("backlog")
        plans = [plan]
        if setting:
            more = [wanted.with_sets(f"{setting}={backlog}").plan(plan.name) for backlog in BACKLOGS]
            plans += [runtime.check(other) for other in more]
        return bursts.run(runtime, plans, on_event)

    return measure


identity = _verb(
    "identity", 40, "Who serves successive and concurrent requests; does one wait for a busy worker beside a free one?",
    lambda _wanted: identities.run,
)  # fmt: skip
isolation = _verb(
    "isolation", 200, "Are request, g, session and current_app each request's own under concurrency?",
    lambda _wanted: isolations.run,
)  # fmt: skip
deadwork = _verb(
    "deadwork", 200, "Clients leave while they wait or run: how many of their requests run all the same?",
    lambda _wanted: dead_works.run,
)  # fmt: skip
burst = _verb("burst", 400, "How long do instant requests wait that come all at once, per backlog?", _bursts)

sensitivity = _verb(
    "sensitivity", 1000, "Double one setting or limit at a time: which moves the ledger, and is it the one that binds?",
    lambda _wanted: sensitivities.run,
)  # fmt: skip

VERBS = (sensitivity, identity, isolation, deadwork, burst)
