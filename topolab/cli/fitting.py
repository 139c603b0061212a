"""The verb fit: the settings and limits that give what is wanted, in the words of everything that takes them."""

from __future__ import annotations

import json
from typing import Any

import click
import yaml

from topolab.cli.console import COULD_NOT, DONE, SUSPECT, err, out, say
from topolab.cli.options import Wanted, json_option, run_options
from topolab.cli.plans import caution, prepare, runtime_for
from topolab.errors import LabError
from topolab.experiments.capacity import capacity
from topolab.experiments.fit import Impossible, Target, alternatives, solve
from topolab.plan import Plan
from topolab.results import to_json
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

    Prints them as options, as a Compose override and as the variable of the playbooks.
    """
    target = Target(in_flight, queue)
    wanted = wanted.with_requests(target.requests)
    plan = wanted.plan(topology)
    try:
        solved = solve(plan, target)
    except Impossible as error:
        others = alternatives(Catalog(), target, but=topology)
        could = f" These could: {', '.join(others)}." if others else " No topology of this lab could."
        raise LabError(f"{error}{could}") from error
    if not as_json:
        out.print(_told(solved), markup=False, highlight=False)
    if not prove:
        if as_json:
            click.echo(json.dumps({"settings": solved.asked.settings, "limits": solved.asked.limits}, indent=1))
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
    handled = run.measured.ledger.at("app", "handler").count
    if handled < in_flight:
        say(f"topolab: {handled} stood in handlers, {in_flight} were wanted: the model is wrong for these settings.")
        return COULD_NOT
    return DONE if run.verdict == "VALID" else SUSPECT


def _told(plan: Plan) -> str:
    """What to type, and the same for Compose and for Ansible."""
    asked = {**plan.asked.settings, **plan.asked.limits}
    if not asked:
        return f"{plan.name} holds that as it is."
    words = " ".join(f"--set {name}={value}" for name, value in asked.items())
    environment: dict[str, dict[str, str]] = {}
    for name, value in plan.asked.settings.items():
        service, _, bare = name.rpartition(".")
        environment.setdefault(service, {})[f"{'FRONT_' if service == 'front' else ''}{bare.upper()}"] = str(value)
    services: dict[str, Any] = {service: {"environment": values} for service, values in environment.items()}
    if "nofile" in plan.asked.limits:
        services.setdefault("app", {})["ulimits"] = {"nofile": plan.asked.limits["nofile"]}
    if "somaxconn" in plan.asked.limits:
        services["pod"] = {"sysctls": {"net.core.somaxconn": plan.asked.limits["somaxconn"]}}
    return "\n".join(
        [
            f"topolab up {plan.name} {words}",
            "",
            "# as a Compose override",
            yaml.safe_dump({"services": services}, sort_keys=False).rstrip(),
            "",
            f"# as the variable of the playbooks: topolab plan {plan.name} {words} > plan.json",
            "",
        ]
    )


VERBS = (fit,)
