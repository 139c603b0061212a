"""The verbs as they work on hosts, and those that only hosts have: tune, untune. Each line names its host."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import click
from rich.table import Table
from rich.text import Text

from topolab.cli.console import COULD_NOT, DONE, err, out, say
from topolab.cli.options import Wanted, json_option, limit_options, required_hosts
from topolab.cli.plans import caution, runtime_on_hosts
from topolab.errors import LabError
from topolab.experiments import on_hosts
from topolab.limits import LIMITS
from topolab.plan import Plan
from topolab.results import CapacityRun, NotRun
from topolab.runtimes import engine, hosts, images
from topolab.runtimes.plays import Ended, Inventory, OnStep
from topolab.runtimes.rollout import HostRuntime, limits_of
from topolab.topology import Catalog

T = TypeVar("T")

FOLLOW_S = 2.0  # how often a followed log is asked for more
FRESH = ("a login of nobody", "a fresh service")  # who shows what a host gives to whoever comes
RAISES = ("nofile", "nproc")  # what people and services of a host may have, beside its sysctls


def up(inventory: Inventory, wanted: Wanted, topology: str, port: int) -> int:
    """Brings a topology up on every host."""
    plan = wanted.plan(topology)
    runtime = runtime_on_hosts(wanted)
    require_startable(plan, runtime)
    caution([plan])
    build_here(wanted, [plan])
    with _interrupted(
        f"what it had begun on the hosts may stay. The same command completes it, `topolab down {topology} "
        f"{' '.join(inventory.words)}` removes it."
    ):
        ended = _watched(f"up {topology}", lambda step: hosts.up(inventory, plan, runtime, port=port, on_step=step))
    for name, end in ended.items():
        if end.problem is None:
            was = "is up" if end.changed else "was up already, with nothing to change,"
            out.print(f"{name}: {topology} {was} at 127.0.0.1:{port} there ({runtime})", markup=False)
            out.print(f"{name}: read back: {', '.join(_applied(end.result or {}))}", markup=False, soft_wrap=True)
    if any(end.problem is None for end in ended.values()):
        say(f"Reach it through ssh: ssh -L {port}:127.0.0.1:{port} HOST, then http://127.0.0.1:{port}/")
    return _problems(ended)


def down(inventory: Inventory, topologies: Sequence[str]) -> int:
    """Takes stacks down on every host."""
    for name in topologies:
        Catalog().topology(name.partition(".")[0])  # a misspelt name is told apart from one that is not up
    with _interrupted("the same command completes it."):
        ended = _watched("down", lambda step: hosts.down(inventory, topologies, on_step=step))
    for name, end in ended.items():
        if end.result is not None:
            removed = ", ".join(end.result["removed"])
            not_up = f"{', '.join(topologies)} was not up" if topologies else "nothing was up"
            out.print(f"{name}: {removed + ' is down' if removed else not_up}", markup=False)
    return _problems(ended)


def status(inventory: Inventory, *, as_json: bool) -> int:
    """What is up on every host."""
    ended = _watched("status", lambda step: hosts.status(inventory, on_step=step))
    found = {name: end.result["stacks"] for name, end in ended.items() if end.result is not None}
    if as_json:
        click.echo(json.dumps(found, indent=1))
    elif any(found.values()):
        out.print(_stacks(found))
    elif found:
        out.print(f"Nothing is up on {', '.join(found)}.", markup=False)
    return _problems(ended)


def logs(inventory: Inventory, topology: str, *, follow: bool) -> int:
    """What a stack's services print on every host; with `follow`, until Ctrl-C."""
    try:
        return _logs(inventory, topology, follow=follow)
    except KeyboardInterrupt:
        if follow:
            return DONE
        raise


def _logs(inventory: Inventory, topology: str, *, follow: bool) -> int:
    since: dict[str, str] = {}

    def ask(step: OnStep) -> Mapping[str, Ended]:
        return hosts.logs(inventory, topology, since=min(since.values(), default=""), on_step=step)

    while True:
        ended = _watched("logs", ask, quiet=follow)
        for name, end in ended.items():
            before = since.get(name, "")
            new = [line for line in (end.result or {}).get("lines", ()) if line["at"] > before]
            for line in new:
                click.echo(f"{name} {line['service']} | {line['text']}")
            since[name] = max([before, *(line["at"] for line in new)])
        if not follow or all(end.problem for end in ended.values()):
            return _problems(ended)
        time.sleep(FOLLOW_S)


def measured(inventory: Inventory, wanted: Wanted, plan: Plan) -> list[CapacityRun | NotRun]:
    """A topology's runs, one for each host."""
    runtime = runtime_on_hosts(wanted)
    return _watched(f"capacity {plan.name}", lambda step: list(on_hosts.capacity(inventory, runtime, plan, step)))


@click.command()
@required_hosts
@limit_options
@json_option
def tune(inventory: Inventory, wanted: Wanted, as_json: bool) -> int:
    """Give hosts a set of limits, and read back that the kernel applied them.

    Descriptors and processes are only ever raised. `topolab untune` takes exactly this back.
    """
    if wanted.limits_name == "default" and not wanted.sets:
        raise LabError("tune changes only what is asked for. Name it: --limits tuned, or --set somaxconn=16384 ...")
    asked = [
        limit
        for limit in limits_of(Catalog(), wanted.sets, wanted.limits_name)
        if limit["sysctl"] or limit["name"] in RAISES
    ]
    with _interrupted(f"hosts may be half-way. The same command completes it, {_back(inventory)} takes it back."):
        ended = _watched("tune", lambda step: hosts.tune(inventory, asked, on_step=step))
    return _report(ended, as_json=as_json)


@click.command()
@required_hosts
@json_option
def untune(inventory: Inventory, as_json: bool) -> int:
    """Take back what `topolab tune` and `topolab up` changed of hosts, to the values that were there before."""
    with _interrupted("the same command completes it."):
        ended = _watched("untune", lambda step: hosts.untune(inventory, on_step=step))
    return _report(ended, as_json=as_json)


def _watched(title: str, work: Callable[[OnStep], T], *, quiet: bool = False) -> T:
    """Does it while a person sees what each host is at."""
    from topolab.reports.steps import Steps

    if quiet:
        return work(lambda _host, _step: None)
    with Steps(err, title) as steps:
        return work(steps.step)


@contextlib.contextmanager
def _interrupted(what: str) -> Iterator[None]:
    """Says of an interruption in here what it leaves on the hosts."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(what) from error


def _back(inventory: Inventory) -> str:
    return f"`topolab untune {' '.join(inventory.words)}`"


def _problems(ended: Mapping[str, Ended]) -> int:
    """Says in one line per host what went wrong; the exit code."""
    failed = {name: end.problem for name, end in ended.items() if end.problem}
    for name, problem in failed.items():
        say(f"topolab: {name}: {problem}")
    return COULD_NOT if failed else DONE


def _report(ended: Mapping[str, Ended], *, as_json: bool) -> int:
    results = {name: end.result for name, end in ended.items() if end.result is not None}
    if as_json:
        click.echo(json.dumps(results, indent=1))
    for name, result in {} if as_json else results.items():
        for line in [*(result["changed"] or ["nothing to change"]), *result.get("notes", ())]:
            out.print(f"{name}: {line}", markup=False, soft_wrap=True)
        if now := _read_back(result):
            out.print(f"{name}: read back: {', '.join(now)}", markup=False, soft_wrap=True)
    return _problems(ended)


def _read_back(result: Mapping[str, Any]) -> list[str]:
    """What a tuned host has now: its kernel's values, and the soft limits of a fresh login and a fresh service."""
    values = [f"{key} {value}" for key, value in result["values"].items()]
    given = [
        f"{limit} {soft} in {who}"
        for who, limits in result.get("given", {}).items()
        for limit, (soft, _hard) in limits.items()
        if who in FRESH
    ]
    return values + given


def _applied(result: Mapping[str, Any]) -> list[str]:
    """What the kernel made of a stack's limits and of its listeners' backlogs."""
    read = result["readback"]
    limits = {name: read["applied"].get(f"{name}_min", read["applied"].get(name)) for name in LIMITS}
    queues = [f"{queue['service']} listens with a queue of {queue['send_q']}" for queue in read["listeners"]]
    return [f"{name} {value}" for name, value in limits.items() if value is not None] + queues


def require_startable(plan: Plan, runtime: HostRuntime) -> None:
    """`NotRunnable` when a server would refuse these settings. A unit's host decides limits that nobody asked for."""
    limits = plan.limits if runtime == "compose" else {name: plan.limits[name] for name in plan.demanded}
    replace(plan, limits=limits).require_startable()


def build_here(wanted: Wanted, plans: Sequence[Plan]) -> None:
    """Images that can be shipped, where this machine has an engine; otherwise each host builds its own."""
    if runtime_on_hosts(wanted) == "systemd":
        return
    if problem := engine.problem():
        say(f"The images are built on the hosts: {problem.split('. ')[0]}")
        return
    for error in images.build(plans, say).values():
        raise error


def _stacks(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("HOST", "STACK", "RUNTIME", "PORT", "SINCE", "SERVICES"):
        table.add_column(heading, overflow="fold")
    for name, stacks in found.items():
        for stack in stacks:
            services = ", ".join(f"{service} {how}" for service, how in stack["services"].items())
            cells = (name, stack["stack"], stack["runtime"], str(stack["port"]), stack["started"], services)
            table.add_row(*(Text(cell) for cell in cells))
    return table


VERBS = (tune, untune)
