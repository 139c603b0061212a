"""What is typed that makes a comparison a campaign, and what its experiments are told."""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from typing import Any

import click
from click.core import ParameterSource

from topolab.cli import loading
from topolab.cli.options import Verb, Wanted, hold_option, run_options
from topolab.errors import LabError
from topolab.experiments.campaign import ATTEMPTS
from topolab.experiments.stand import as_typed

REPEATS, MOST_REPEATS, MOST_ATTEMPTS = 3, 30, 10
OWN = {  # what a campaign has a place of its own for, or nothing to do with
    "topologies", "baseline", "experiments", "repeats", "seed", "name", "resume", "runtime_name", "as_json", "hosts",
    "only", "attempts",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed that makes a comparison a campaign; None where it was not."""

    experiments: str | None
    repeats: int | None
    seed: int | None
    name: str | None
    resume: str | None
    baseline: str | None
    attempts: int | None

    @property
    def campaign(self) -> bool:
        return any(getattr(self, each.name) is not None for each in fields(self))


OPTIONS = (
    click.option("--experiments", metavar="NAMES", help="What to measure, as capacity,latency,memory."),
    click.option(
        "--repeats", type=click.IntRange(1, MOST_REPEATS), help=f"How often.  [{REPEATS}, with --experiments]"
    ),
    click.option("--baseline", metavar="TOPOLOGY", help="Set all figures beside this one's."),
    click.option("--seed", type=click.IntRange(0), help="Of the random order of measuring; drawn by default."),
    click.option(
        "--attempts",
        type=click.IntRange(1, MOST_ATTEMPTS),
        help=f"How often to measure where the machine was busy: the least disturbed stays.  [{ATTEMPTS}]",
    ),
    click.option("--name", help="Of the campaign; the time by default."),
    click.option(
        "--resume", is_flag=False, flag_value="", metavar="[NAME]", help="Go on with that campaign, or the newest one."
    ),
)

LOAD = {
    "works": loading.works("each experiment's own"), "rates": loading.rates, "arrivals": loading.arrivals,
    "steps": loading.steps, "seconds": loading.seconds, "connections": loading.connections,
    "keepalive": loading.keepalive,
}  # fmt: skip


def campaign_options(verb: Verb) -> Verb:
    """--experiments and what goes with it: the verb gets them as `typed`."""

    @functools.wraps(verb)
    def with_typed(**values: Any) -> Any:
        mine = {each.name: values.pop(each.name) for each in fields(Typed)}
        return verb(typed=Typed(**mine), **values)

    gathered: Verb = with_typed
    for option in reversed(OPTIONS):
        gathered = option(gathered)
    return gathered


def load_options(verb: Verb) -> Verb:
    """What the experiments under load are told: the verb gets it as `load`, by name, without what was not typed."""

    @functools.wraps(verb)
    def with_load(**values: Any) -> Any:
        mine = {name: values.pop(name) for name in LOAD}
        context = click.get_current_context()
        given = {name: value for name, value in mine.items() if _given(context, name)}
        return verb(load=given, **values)

    gathered: Verb = with_load
    for option in reversed(LOAD.values()):
        gathered = option(gathered)
    return gathered


def _given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


@click.command()
@hold_option
@run_options
@load_options
def further(wanted: Wanted, load: dict[str, Any]) -> tuple[Wanted, dict[str, Any]]:
    """The further words of a campaign, read again."""
    return wanted, load


def words(context: click.Context) -> tuple[str, ...]:
    """The further options of a campaign, as they were typed."""
    found: list[str] = []
    for option in context.command.params:
        name = option.name or ""
        if name not in OWN and _given(context, name):
            value = context.params[name]
            if value is None:
                continue  # --keepalive auto, say: what it is anyway
            several = isinstance(value, tuple) and name not in LOAD  # --set, once for each; the others have commas
            for each in value if several else [value]:
                found += [option.opts[0], as_typed(each)]
    return tuple(found)


def read(typed: tuple[str, ...]) -> tuple[Wanted, dict[str, Any]]:
    """Those words again as what they ask for: of a plan, and of the experiments under load."""
    found = further.main(list(typed), standalone_mode=False)
    if not isinstance(found, tuple):  # --help, which is answered and is nothing to measure by
        raise LabError("these are no options of a campaign.")
    return found
