"""Verbs about what a server does with a request: who serves it, what stays its own, what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from topolab.cli import each
from topolab.cli.each import Measure
from topolab.cli.options import Wanted, json_option, run_options, runtime_option
from topolab.cli.plans import caution, runtime_for
from topolab.experiments import burst as bursts
from topolab.experiments import crossing as crossings
from topolab.experiments import deadwork as dead_works
from topolab.experiments import endings as all_endings
from topolab.experiments import identity as identities
from topolab.experiments import isolation as isolations
from topolab.experiments import sensitivity as sensitivities
from topolab.experiments.capacity import OnEvent
from topolab.plan import Plan
from topolab.results import Run
from topolab.runtimes.base import Runtime
from topolab.topology import Catalog

BACKLOGS = (16, 128, 1024)


def _verb(
    name: str, requests: int, text: str, measure: Callable[[Wanted], Measure], *, runtime: str = "auto"
) -> click.Command:
    """One experiment on each topology, one after the other; what fails does not stop the rest."""
    defaults = {"requests": requests, "runtime_name": runtime}

    @click.command(name, help=text, context_settings={"default_map": defaults})
    @click.argument("topologies", nargs=-1, metavar="[TOPOLOGY...]")
    @run_options
    @json_option
    @click.option(
        "--output", type=click.Path(path_type=Path), help=f"Also write {name}.json and {name}.md to this folder."
    )
    def verb(topologies: tuple[str, ...], wanted: Wanted, as_json: bool, output: Path | None) -> int:
        plans = wanted.plans(Catalog().chosen(topologies))
        chosen = runtime_for(wanted)
        caution(plans)
        storing = each.Storing()
        results = each.measured(name, chosen, plans, measure(wanted), storing)
        if output:
            each.write(name, results, output)
        return each.show(name, results, storing, as_json=as_json)

    return verb


@click.command()
@runtime_option
@json_option
@click.option(
    "--output", type=click.Path(path_type=Path), help="Also write crossing.json and crossing.md to this folder."
)
def crossing(runtime_name: str, as_json: bool, output: Path | None) -> int:
    """Who waits for a busy worker beside a free one?

    `identity` on gunicorn's threaded and sync workers in two releases, and on uWSGI, with four handlers each.
    """
    runtime = runtime_for(Wanted((), "default", runtime_name=runtime_name))
    storing = each.Storing()
    results = each.measured("identity", runtime, crossings.plans(Catalog()), identities.run, storing)
    if output:
        each.write("crossing", results, output)
    return each.show("crossing", results, storing, as_json=as_json)


def _bursts(_wanted: Wanted) -> Measure:
    """The topology as it is, and with other backlogs where they make another queue."""

    def measure(runtime: Runtime, plan: Plan, on_event: OnEvent) -> Run:
        others = [runtime.check(other) for other in bursts.with_backlogs(plan, BACKLOGS)]
        return bursts.run(runtime, [plan, *others], on_event)

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
    "sensitivity", 300, "Change one setting or limit at a time: which moves the ledger, and is it the one that binds?",
    lambda _wanted: sensitivities.run,
)  # fmt: skip

endings = _verb(
    "endings", 12, "A signal comes while requests run and wait: what does each get, and who serves the next?",
    lambda _wanted: all_endings.run, runtime="process",
)  # fmt: skip

VERBS = (sensitivity, identity, crossing, isolation, deadwork, burst, endings)
