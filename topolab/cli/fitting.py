"""The verb fit: the settings and limits that give what is wanted, in the words of everything that takes them."""

from __future__ import annotations

import json
from typing import Any

import click
import yaml

from topolab.choices import changes, held_for_sure
from topolab.cli.console import COULD_NOT, DONE, SUSPECT, err, out, say
from topolab.cli.options import Wanted, json_option, run_options
from topolab.cli.plans import caution, prepare, runtime_for
from topolab.errors import LabError, NotRunnable
from topolab.experiments.capacity import capacity
from topolab.experiments.fit import Impossible, Target, alternatives, solve, surely
from topolab.model import predict
from topolab.plan import Plan, resolve
from topolab.results import CapacityRun, to_json
from topolab.runtimes.override import override
from topolab.runtimes.rollout import role_variables, rollout
from topolab.topology import Catalog


@click.command()
@click.argument("topology")
@click.option(
    "--in-flight", type=click.IntRange(1, 50_000), required=True, help="Requests in handlers at the same time."
)
@click.option("--queue", type=click.IntRange(0, 50_000), default=0, show_default=True, help="So many more that wait.")
@click.option("--prove/--no-prove", default=True, show_default=True, help="Bring it up and measure it.")
@run_options
@json_option
def fit(topology: str, in_flight: int, queue: int, prove: bool, wanted: Wanted, as_json: bool) -> int:
    """Find the settings and limits that hold so many requests, and prove it by measuring.

    Prints them as options, as a Compose override and as variables of the Ansible roles.
    """
    target = Target(in_flight, queue)
    wanted = wanted.with_requests(target.requests)
    plan = wanted.plan(topology)
    try:
        solved = solve(plan, target)
    except Impossible as error:
        others = alternatives(Catalog(), target, but=topology, limits_name=wanted.limits_name)
        could = f" These could: {', '.join(others)}." if others else " No topology of this lab could."
        raise LabError(f"{error}{could}") from error
    solved.require_startable()
    if not as_json:
        out.print(_told(solved, target), markup=False, highlight=False, soft_wrap=True)
    if not prove:
        if as_json:
            click.echo(json.dumps(_as_json(solved, target), indent=1))
        return DONE
    runtime = runtime_for(wanted)
    checked = runtime.check(solved)
    caution([checked])
    prepare(runtime, [checked])
    from topolab.reports.terminal import Progress, ledger

    with Progress(err) as progress:
        progress.start(checked.name, 1, 1)
        run = capacity(
            runtime, checked, lambda event: progress.event(event["phase"], event.get("done", 0), event.get("of", 0))
        )
        progress.finish(run)
    if as_json:
        click.echo(json.dumps(to_json(run), indent=1))
    else:
        out.print(ledger(run))
    return concluded(run, in_flight)


def concluded(run: CapacityRun, in_flight: int) -> int:
    """Says why fewer stood in handlers than were wanted, where they did; the exit code.

    Fewer than the model allows prove it wrong. Fewer than it counts with, by chance, are what was told before.
    """
    predicted = run.predicted.ledger.at("app", "handler")
    handled = run.measured.ledger.at("app", "handler").count
    code = DONE if run.verdict == "VALID" else SUSPECT
    if handled < in_flight:
        fewer = f"topolab: {handled:,} stood in handlers, {in_flight:,} were wanted"
        if not predicted.allows(handled):
            say(f"{fewer}: the model is wrong for these settings.")
            return COULD_NOT
        if predicted.count < in_flight:
            say(f"{fewer}: {run.predicted.bound_by} binds, with the limits that this machine gives.")
            return COULD_NOT
        say(f"{fewer}. Chance decides, and leaves {surely(run.predicted):,} at least: {run.predicted.because}")
    return code


def _as_json(plan: Plan, target: Target) -> dict[str, Any]:
    """What was found, under the names that `pick --json` has for it."""
    asked = plan.asked
    return {
        "settings": asked.settings, "limits": asked.limits, "limits_name": asked.limits_name,
        "in_handlers_surely": surely(predict(plan, target.requests)), "up": _up(plan),
    }  # fmt: skip


def _told(plan: Plan, target: Target) -> str:
    """What to type, and the same for Compose and for Ansible; what chance may do to it, where it may."""
    predicted = predict(plan, target.requests)
    sure = surely(predicted)
    chance = [f"# {held_for_sure(target.in_flight, sure, predicted.because)}"] if sure < target.in_flight else []
    if not changes(plan):
        return "\n".join([f"{plan.name} holds that as it is.", *chance])
    return "\n".join(
        [
            _up(plan),
            *chance,
            "",
            "# as a Compose override",
            *_for_compose(plan),
            "",
            "# as variables of the Ansible roles; the playbooks read them from a plan:",
            *_for_ansible(plan),
            "",
        ]
    )


def _up(plan: Plan) -> str:
    return f"topolab up {plan.name} {changes(plan)}".rstrip()


def _for_compose(plan: Plan) -> list[str]:
    """An override that can be put behind the files of compose/ as it stands."""
    try:
        services = override(plan, resolve(Catalog(), plan.name))
    except NotRunnable as error:
        return [f"# none: {error}"]
    if not services:
        return ["# none: nothing differs from the topology's own"]
    return [yaml.safe_dump({"services": services}, sort_keys=False).rstrip()]


def _for_ansible(plan: Plan) -> list[str]:
    """The variables as YAML that can be put into a file as it stands, and what prints them as a plan."""
    try:
        found = role_variables(rollout(plan, "compose", port=8000))
    except NotRunnable as error:
        return [f"# none: {error}"]
    environment = yaml.safe_dump(
        found.pop("stack_environment"), sort_keys=False, default_flow_style=True, width=110, indent=2
    )
    limits = yaml.safe_dump(found, sort_keys=False) if found else ""
    return [
        f"# topolab plan {plan.name} {changes(plan)} > plan.json",
        f"{limits}stack_environment: {environment.rstrip()}",
    ]


VERBS = (fit,)
