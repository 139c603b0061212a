"""The options that the verbs share, and what they add up to."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import click

from topolab.errors import LabError
from topolab.ownapp import ONLY_HERE, OwnApp
from topolab.plan import Plan, resolve
from topolab.results import Route
from topolab.runtimes.plays import Inventory
from topolab.topology import Catalog

Verb = Callable[..., Any]

ROUTES = {"/hold": "gate", "/async/hold": "async"}  # the app's own names of two of them

port_option = click.option(
    "--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="Port on 127.0.0.1."
)


class Number(click.FloatRange):
    """A number within bounds. NaN is in every range for click, and is no number here; nor is infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return found


def _app(_context: click.Context, _option: click.Parameter, text: str | None) -> OwnApp | None:
    return None if text is None else OwnApp.typed(text)


def _runtime(context: click.Context, _option: click.Parameter, name: str) -> str:
    """With a person's own app `auto` is process."""
    if not context.params.get("app"):
        return name
    if name not in ("auto", "process"):
        raise LabError(f"--runtime {name}: {ONLY_HERE}. Write --runtime process, or leave it out.")
    return "process"


app_option = click.option(
    "--app", metavar="FOLDER:MODULE:NAME", callback=_app, is_eager=True,  # other options look whether there is one
    help="Your own app, served beside the lab's below /own: ~/shop:shop.wsgi:app, or '~/shop:shop:create_app()'.",
)  # fmt: skip
runtime_option = click.option(
    "--runtime",
    "runtime_name",
    callback=_runtime,
    type=click.Choice(["process", "compose", "systemd", "auto"]),
    default="auto",
    show_default=True,
    help="Local processes, containers, containers where an engine answers; on hosts: containers, or systemd units.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, nothing else.")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for, but for the topologies' names."""

    sets: tuple[str, ...]
    limits_name: str
    requests: int = 1000
    route: Route = "gate"
    hold_s: float = 0.0
    runtime_name: str = "auto"
    app: OwnApp | None = None

    def with_requests(self, requests: int) -> Wanted:
        return replace(self, requests=requests)

    def with_sets(self, *sets: str) -> Wanted:
        """The same with further overrides."""
        return replace(self, sets=(*self.sets, *sets))

    def plan(self, name: str) -> Plan:
        """That topology with what was asked for. Raises `LabError` where it does not fit."""
        return resolve(
            Catalog(),
            name,
            sets=self.sets,
            limits_name=self.limits_name,
            requests=self.requests,
            route=self.route,
            hold_s=self.hold_s,
            own=self.app,
        )

    def plans(self, names: Sequence[str]) -> list[Plan]:
        return [self.plan(name) for name in names]


LIMIT_OPTIONS = (
    click.option("--set", "sets", multiple=True, metavar="NAME=VALUE", help="Override a setting or a limit."),
    click.option("--limits", "limits_name", default="default", show_default=True, help="A set of limits.yaml."),
)


def limit_options(verb: Verb) -> Verb:
    """--set and --limits alone, for verbs about limits."""
    return _gathered(verb, *LIMIT_OPTIONS)


def plan_options(verb: Verb) -> Verb:
    """--set, --limits, --requests and --app, for verbs about plans."""
    return _gathered(
        verb,
        *LIMIT_OPTIONS,
        app_option,
        click.option(
            "--route",
            type=click.Choice(["gate", "sleep", "async", *ROUTES]),
            callback=lambda _context, _option, value: ROUTES.get(value, value),
            default="gate",
            show_default=True,
            help="How a view waits: for a downstream service, asleep (no descriptor), or as an async view.",
        ),
        click.option(
            "--requests", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="How many requests."
        ),
    )


def run_options(verb: Verb) -> Verb:
    """The same and --runtime, for verbs that start something."""
    return runtime_option(plan_options(verb))


def hold_option(verb: Verb) -> Verb:
    """--hold, for verbs that measure."""
    return click.option(
        "--hold",
        "hold_s",
        type=Number(0, 600),
        default=0.0,
        metavar="SECONDS",
        help="Keep all held for so long after the census; see what the others get, and how those outside come back.",
    )(verb)


def hosts_option(verb: Verb) -> Verb:
    """--hosts and --only, for verbs that also work on hosts: the verb gets an `inventory`, None for this machine."""
    return _inventory(verb, required=False)


def required_hosts(verb: Verb) -> Verb:
    """The same, for verbs that work on hosts only."""
    return _inventory(verb, required=True)


def _inventory(verb: Verb, *, required: bool) -> Verb:
    @functools.wraps(verb)
    def with_inventory(*, hosts: str | None, only: str | None, **values: Any) -> Any:
        for option, given, what in (("--hosts", hosts, "an inventory"), ("--only", only, "a pattern of hosts")):
            if given is not None and not given.strip():
                raise LabError(f"{option} is empty. Give it {what}, or leave it out.")
        if only and not hosts:
            raise LabError("--only chooses among hosts. Name them: --hosts INVENTORY (make: HOSTS=INVENTORY).")
        return verb(inventory=Inventory(hosts, only) if hosts else None, **values)

    hosts = click.option(
        "--hosts", metavar="INVENTORY", required=required, callback=_hosts,
        help="Do it on these hosts (an Ansible inventory) instead.",
    )  # fmt: skip
    only = click.option("--only", metavar="PATTERN", help="Of these hosts, only those that the pattern matches.")
    return hosts(only(with_inventory))


def _hosts(context: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    if name and context.params.get("app"):
        raise LabError(f"--hosts: {ONLY_HERE}. Leave --hosts or --app out.")
    return name


def _gathered(verb: Verb, *options: Callable[[Verb], Verb]) -> Verb:
    """The verb with these options, which it gets as one `wanted`."""

    @functools.wraps(verb)
    def with_wanted(**values: Any) -> Any:
        mine = {name: values.pop(name) for name in Wanted.__slots__ if name in values}
        return verb(wanted=Wanted(**mine), **values)

    gathered: Verb = with_wanted
    for option in reversed(options):
        gathered = option(gathered)
    return gathered
