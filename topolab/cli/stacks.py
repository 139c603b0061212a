"""Verbs about stacks that stay up: up, status, logs, down."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from topolab import show
from topolab.cli import on_hosts
from topolab.cli.console import DONE, out, say
from topolab.cli.options import Wanted, hosts_option, json_option, port_option, run_options
from topolab.cli.plans import caution, prepare, runtime_for
from topolab.errors import LabError
from topolab.runtimes import lifecycle, state
from topolab.runtimes.choice import RUNTIMES
from topolab.runtimes.plays import Inventory
from topolab.topology import Catalog


@click.command()
@click.argument("topology")
@run_options
@port_option
@hosts_option
def up(topology: str, wanted: Wanted, port: int, inventory: Inventory | None) -> int:
    """Bring a topology up and leave it running."""
    if inventory:
        return on_hosts.up(inventory, wanted, topology, port)
    plan = wanted.plan(topology)
    runtime = runtime_for(wanted)
    plan = runtime.check(plan)
    caution([plan])
    prepare(runtime, [plan])
    record, started = lifecycle.up(RUNTIMES, runtime, plan, port=port)
    already = "" if started else "already "
    out.print(f"{topology} is {already}up at http://127.0.0.1:{record.port}/ ({record.runtime})", markup=False)
    if plan.own:
        say(f"Your own app is at http://127.0.0.1:{record.port}/own/")
    say(f"`topolab logs {topology}` shows its output, `topolab down {topology}` stops it.")
    return DONE


@click.command()
@json_option
@hosts_option
def status(as_json: bool, inventory: Inventory | None) -> int:
    """Show what is up."""
    if inventory:
        return on_hosts.status(inventory, as_json=as_json)
    stacks, problems = lifecycle.status(RUNTIMES)
    if as_json:
        click.echo(json.dumps([show.stack_as_json(stack) for stack in stacks], indent=1))
    elif stacks:
        out.print(show.stacks(stacks))
    elif not problems:
        out.print("Nothing is up. `topolab up TOPOLOGY` brings one up, `topolab list` names them.")
    _raise_all(problems)
    return DONE


@click.command()
@click.argument("topology")
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C.")
@hosts_option
def logs(topology: str, follow: bool, inventory: Inventory | None) -> int:
    """Print the output of a stack's services."""
    if inventory:
        return on_hosts.logs(inventory, topology, follow=follow)
    record = state.read(topology)
    if record is None:
        _require_known(topology)
        raise LabError(f"{topology} is not up. `topolab status` shows what is.")
    return RUNTIMES[record.runtime].logs(topology, follow=follow)


@click.command()
@click.argument("topologies", nargs=-1, metavar="[TOPOLOGY...]")
@click.option("--force", is_flag=True, help="Whatever the records say, and even if they can't be read.")
@hosts_option
def down(topologies: tuple[str, ...], force: bool, inventory: Inventory | None) -> int:
    """Stop stacks (without names: all of them).

    Also those that a killed topolab left behind.
    """
    if inventory:
        if force:
            raise LabError("--force: it is for stacks on this machine, and does nothing on hosts. Leave it out.")
        return on_hosts.down(inventory, topologies)
    if not topologies and not force:
        lifecycle.sweep(RUNTIMES, say)
    problems = []
    names = list(dict.fromkeys(topologies)) or state.names()
    for name in names:
        try:
            record = None if force or topologies else state.read(name)
            if record and record.temporary:
                say(f"{name} belongs to a measurement that is under way; it ends with it")
            else:
                _take_down(name, force=force)
        except LabError as error:  # no reason to leave the others running
            problems.append(error)
    if not names:
        out.print("Nothing is up.")
    _raise_all(problems)
    return DONE


def _take_down(name: str, *, force: bool) -> None:
    if not state.directory(name).exists():
        _require_known(name)
    (lifecycle.force_down if force else lifecycle.down)(RUNTIMES, name)
    out.print(f"{name} is down", markup=False)


def _require_known(name: str) -> None:
    """A misspelt name is told apart from one that is not up. A temporary stack's is its topology's with a number."""
    catalog, topology = Catalog(), name.partition(".")[0]
    if topology not in catalog.names:
        catalog.topology(topology)


def _raise_all(problems: Sequence[LabError]) -> None:
    """The first of them, if any, with the others below it."""
    if problems:
        first, *others = problems
        raise LabError(str(first), details=(*first.details, *map(str, others))) from first


VERBS = (up, status, logs, down)
