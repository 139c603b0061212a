"""Verbs about what there is: list, show, schema, docs, setup."""

from __future__ import annotations

import json
from pathlib import Path

import click

from topolab import facts, handbook, packages, paths, show, store
from topolab.cli import on_hosts
from topolab.cli.console import out, say
from topolab.cli.options import Wanted, json_option, plan_options, port_option, run_options
from topolab.cli.plans import caution, runtime_on_hosts
from topolab.errors import LabError
from topolab.runtimes.rollout import rollout
from topolab.topology import Catalog


@click.command("list")
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


@click.command("show")
@click.argument("topology")
@plan_options
@json_option
def show_(topology: str, wanted: Wanted, as_json: bool) -> None:
    """Show a plan and its prediction; start nothing."""
    plan = wanted.plan(topology)
    if refused := show.refusal(plan):
        say(f"{refused} As it is, nothing would start; what follows is what these settings would give.")
    caution([plan])
    if as_json:
        click.echo(json.dumps(show.as_json(plan), indent=1))
    else:
        out.print(show.plan(plan))


@click.command("plan")
@click.argument("topology")
@run_options
@port_option
def plan_(topology: str, wanted: Wanted, port: int) -> None:
    """Print a plan as the variable that the playbooks of ansible/ read.

    For `ansible-playbook --extra-vars @FILE`.
    """
    plan = wanted.plan(topology)
    runtime = runtime_on_hosts(wanted)
    on_hosts.require_startable(plan, runtime)
    caution([plan])
    rolled = rollout(plan, runtime, port=port)
    click.echo(json.dumps({"topolab_plan": rolled}, indent=1))


@click.command()
@click.argument("what", type=click.Choice(["run", "campaign", "topology", "server", "limits"]))
def schema(what: str) -> None:
    """Print a JSON Schema."""
    click.echo(json.dumps(show.schema(what, Catalog()), indent=1))


@click.command()
def setup() -> None:
    """Install what local processes need.

    From the distribution: as root on Debian and Ubuntu; elsewhere it says what to type.
    """
    packages.setup(Catalog().servers(), say)


@click.command()
@click.option(
    "--campaign", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="FOLDER",
    help="First keep this campaign as the one that the pages are made from.",
)  # fmt: skip
def docs(campaign: Path | None) -> None:
    """Write the pages that are made from what the lab, its results and its roles say: docs, and each role's README."""
    if campaign:
        say(f"kept {paths.shown(facts.keep(campaign))}")
    for path, text in handbook.pages(Catalog()).items():
        store.write_text(path, text)
        say(f"wrote {paths.shown(path)}")


VERBS = (list_, show_, plan_, schema, docs, setup)
