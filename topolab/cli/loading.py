"""Verbs about speed and size: throughput, latency, overload, memory."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from topolab import offers, paths, store
from topolab.cli import each
from topolab.cli.console import say
from topolab.cli.options import Number, Verb, Wanted, app_option, json_option, limit_options, runtime_option
from topolab.cli.plans import caution, runtime_for
from topolab.errors import LabError
from topolab.experiments import latency as latencies
from topolab.experiments import memory as memories
from topolab.experiments import overload as overloads
from topolab.experiments import throughput as throughputs
from topolab.experiments.calibration import recent
from topolab.experiments.capacity import OnEvent
from topolab.loads import Arrivals, RawLap, Work
from topolab.plan import Plan
from topolab.results import Run
from topolab.runtimes.base import Runtime
from topolab.topology import Catalog

T = TypeVar("T")
KEEPALIVE = {"auto": None, "on": True, "off": False}
WORK = f"What to ask for: {offers.EXAMPLES}; of --app {offers.EXAMPLES_OF_OWN}, path:/ by default."
MOST = 20  # works, rates or steps of one run


def _all_of(read: Callable[[str], T], option: str) -> Callable[..., tuple[T, ...] | None]:
    """Several of them, with commas between them; None where none was asked for."""

    def convert(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[T, ...] | None:
        if text is None:
            return None
        words = [word for word in text.replace(",", " ").split() if word]
        if not 0 < len(words) <= MOST:
            raise LabError(f'{option} "{text}": give one of them, or up to {MOST} with commas between them.')
        return tuple(dict.fromkeys(read(word) for word in words))

    return convert


def _times(text: str) -> float:
    """A step of the staircase: 1.5, or 1.5x."""
    found = offers.rate(text if text.endswith("x") else f"{text}x")
    return found.value


def _one_of(read: Callable[[str], T], option: str) -> Callable[..., T | None]:
    """One of them alone."""

    def convert(context: click.Context, it: click.Parameter, text: str | None) -> T | None:
        found = _all_of(read, option)(context, it, text)
        if found and len(found) > 1:
            raise LabError(f'{option} "{text}": this takes one of them at a time. Run it once for each.')
        return found[0] if found else None

    return convert


def _asked(text: str) -> Work:
    """One work. A path is of a person's own app."""
    found = offers.work(text)
    if found.name == "path" and not click.get_current_context().params.get("app"):
        raise LabError(f'--work "{text}" asks your own app. Name it: --app FOLDER:MODULE:NAME.')
    return found


def _work(default: str) -> Callable[[Verb], Verb]:
    read = _one_of(_asked, "--work")
    return click.option("--work", metavar="WORK", callback=read, help=f"{WORK}  [default: {default}]")


def works(default: str) -> Callable[[Verb], Verb]:
    """--work with several kinds, and what they are where nobody says."""
    read = _all_of(_asked, "--work")
    return click.option(
        "--work", "works", metavar="WORK[,WORK...]", callback=read, help=f"{WORK}  [default: {default}]"
    )


rates = click.option(
    "--rates", metavar="RATE[,RATE...]", callback=_all_of(offers.rate, "--rates"),
    help="Requests per second (200), or times the ceiling (0.6x).  "
    f"[default: {','.join(rate.typed for rate in latencies.RATES)}]",
)  # fmt: skip
arrivals = click.option("--arrivals", type=click.Choice(get_args(Arrivals)), default="constant", show_default=True)
steps = click.option(
    "--steps", metavar="TIMES[,TIMES...]", callback=_all_of(_times, "--steps"),
    help="Times the ceiling.  [default: 0.5,1,1.5,2,3]",
)  # fmt: skip
seconds = click.option("--seconds", type=Number(0.2, 600), help="How long each lap is measured.")
connections = click.option("--connections", type=click.IntRange(1, 20_000), help="How many; found by default.")
keepalive = click.option(
    "--keepalive", type=click.Choice(list(KEEPALIVE)), default="auto", show_default=True,
    callback=lambda _context, _option, value: KEEPALIVE[value],
    help="Use a connection again; auto: where the server keeps it.",
)  # fmt: skip


def _verb(name: str, text: str, run: Callable[..., Run], *options: Callable[[Verb], Verb]) -> click.Command:
    """A verb on each topology.

    `run` gets the options that were typed, by name; one of laps also `kept` for the samples, and the calibration.
    """

    def verb(topologies: tuple[str, ...], wanted: Wanted, as_json: bool, output: Path | None, **asked: Any) -> int:
        plans = wanted.plans(Catalog().chosen(topologies))
        runtime = runtime_for(wanted)
        caution(plans)
        kept: list[RawLap] = []
        given = {option: value for option, value in asked.items() if value is not None}
        if name != "memory":
            given |= {"kept": kept, "calibration": recent(say)}

        def measure(runtime: Runtime, plan: Plan, on_event: OnEvent) -> Run:
            kept.clear()
            return run(runtime, plan, on_event, **given)

        storing = each.Storing(functools.partial(_save, kept))
        results = each.measured(name, runtime, plans, measure, storing)
        if output:
            each.write(name, results, output)
        return each.show(name, results, storing, as_json=as_json)

    folder = click.Path(path_type=Path)
    decorated: Verb = verb
    adding: tuple[Callable[[Verb], Verb], ...] = (
        click.option("--output", type=folder, help=f"Also write {name}.json and {name}.md to this folder."),
        json_option,
        limit_options,
        app_option,
        runtime_option,
        *reversed(options),
        click.argument("topologies", nargs=-1, metavar="[TOPOLOGY...]"),
    )
    for add in adding:
        decorated = add(decorated)
    return click.command(name, help=text)(decorated)


def _save(kept: Sequence[RawLap], run: Run) -> Path:
    """The run, and beside it what became of each request."""
    from topolab.samples import packed

    path = store.save(run, paths.RESULTS)
    if kept:
        store.write_bytes(path.with_suffix(store.SAMPLES), packed(kept))
    return path


throughput = _verb(
    "throughput", "How many requests per second come out at most, against the ceiling of slots and CPU?",
    throughputs.run, works("greeting,io:20,cpu:5"), seconds, connections, keepalive,
)  # fmt: skip
latency = _verb(
    "latency", "How long do requests take that come at a given rate, and up to which rate does that hold?",
    latencies.run, _work("greeting"), rates, arrivals, seconds, connections, keepalive,
)  # fmt: skip
overload = _verb(
    "overload", "What do requests get when more of them come than can be served, and how long until all is well again?",
    overloads.run, _work("io:20"), steps, seconds, keepalive,
)  # fmt: skip
memory = _verb(
    "memory", "What do a worker, a request in flight and an idle connection cost?", memories.run,
    click.option(
        "--requests", type=click.IntRange(1, 20_000), default=1000, show_default=True, help="Held at once, at most."
    ),
    click.option("--idle", type=click.IntRange(1, 10_000), help=f"Idle connections.  [default: {memories.IDLE}]"),
)  # fmt: skip

VERBS = (throughput, latency, overload, memory)
