"""The verb pick: which topologies meet a need, with the evidence for each, and what is ruled out and why."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from statistics import median
from typing import Any

import click

from topolab.choices import Choice, Fail, Need, Picked, held_for_sure
from topolab.cli.console import COULD_NOT, DONE, out
from topolab.cli.options import Number, json_option
from topolab.errors import LabError
from topolab.excess import SAID
from topolab.facts import Facts
from topolab.handbook.underload import good_share
from topolab.loads import OverloadRun
from topolab.model import predict
from topolab.picking import MB
from topolab.picking import pick as picked_from
from topolab.results import to_json
from topolab.topology import Catalog

MOST = 50_000  # requests in flight, and again as many that wait
RANKED = (
    "Ranked: what holds it for sure, has a bound and needs no caution first; then by requests/s and memory, each in "
    "steps of 10 %, processes, servers and settings to change."
)


@click.command()
@click.option("--in-flight", type=click.IntRange(1, MOST), help="Requests in handlers at the same time.")
@click.option("--io-ms", type=Number(0, 3_600_000), default=0.0, help="How long each waits for others.")
@click.option("--cpu-ms", type=Number(0, 60_000), default=0.0, help="How long each computes.")
@click.option("--rate", type=Number(0, 1_000_000, min_open=True), help="Requests/s that have to come out.")
@click.option("--memory-mb", type=click.IntRange(1), help="At most so many megabytes.")
@click.option(
    "--fail", type=click.Choice(["fast", "queue"]), help="The excess shall be refused at once; or shall wait."
)
@click.option(
    "--queue",
    type=click.IntRange(0, MOST),
    help="So many more may wait.  [fast: a tenth; queue: as many; else 0]",
)
@click.option("--cpus", type=click.IntRange(1, 4096), help="Of the machine that it is for.  [this one's]")
@click.option("--limits", "limits_name", default="default", show_default=True, help="A set of limits.yaml.")
@click.option("--top", type=click.IntRange(1, 100), default=3, show_default=True, help="Show so many.")
@json_option
def pick(
    in_flight: int | None, io_ms: float, cpu_ms: float, rate: float | None, memory_mb: int | None, fail: Fail | None,
    queue: int | None, cpus: int | None, limits_name: str, top: int, as_json: bool,
) -> int:  # fmt: skip
    """Rank topologies by a need: settings that hold it, requests/s, memory, and what becomes of the excess.

    By the model, and by what the reference campaign measured (docs/picking-a-server.md). Starts nothing.
    """
    wanted = _in_flight(in_flight, rate, io_ms, cpu_ms)
    waiting = {"fast": max(16, wanted // 10), "queue": wanted}.get(fail or "", 0) if queue is None else queue
    need = Need(
        wanted, io_ms, cpu_ms, memory_mb, fail, rate, min(waiting, MOST), cpus if cpus else os.cpu_count() or 1
    )  # fmt: skip
    facts = Facts.stored()
    found = picked_from(Catalog(), facts, need, limits_name=limits_name)
    if as_json:
        click.echo(json.dumps(_as_json(found), indent=1))
    else:
        out.print("\n".join(_told(found, facts, top)), markup=False, highlight=False, soft_wrap=True)
    return DONE if found.choices else COULD_NOT


def _in_flight(in_flight: int | None, rate: float | None, io_ms: float, cpu_ms: float) -> int:
    """As many as are wanted, or as Little's law makes of the rate: what comes in a second, times how long it stays."""
    stay_ms = io_ms + cpu_ms
    by_rate = _at_once(rate, stay_ms) if rate and stay_ms else 0
    if by_rate > MOST:
        raise LabError(
            f"--rate {rate:,.10g}: requests that take {stay_ms:g} ms each are {by_rate:,} at the same time, and pick "
            f"weighs {MOST:,} at most. Write --rate {math.floor(MOST * 1000 / stay_ms)} or less: what one of several "
            "servers gets."
        )
    if in_flight is None:
        if not by_rate:
            raise LabError("Say how many: --in-flight 500; or --rate with --io-ms or --cpu-ms, from which it follows.")
        return by_rate
    if by_rate > in_flight:
        raise LabError(
            f"--in-flight {in_flight} is too few: {rate:,g} requests/s that take {stay_ms:g} ms each are "
            f"{by_rate:,} at the same time. Write --in-flight {by_rate}, or a lower --rate."
        )
    return in_flight


def _at_once(rate: float, stay_ms: float) -> int:
    """Whole requests, one at least. The last digits of a float are none: 100/s of 0.07 s would be 8."""
    return max(1, math.ceil(round(rate * stay_ms / 1000, 6)))


def _told(found: Picked, facts: Facts, top: int) -> Iterator[str]:
    yield f"Wanted: {_wanted(found.need)}."
    for number, choice in enumerate(found.choices[:top], 1):
        yield f"\n{number}. {choice.plan.name}: {choice.plan.topology.summary}"
        for name, text in _evidence(choice, found.need, facts):
            yield f"   {name:<11}{text}"
    if len(found.choices) > top:
        yield f"\nAlso: {', '.join(choice.plan.name for choice in found.choices[top:])}"
    if found.ruled_out:
        yield "\nRuled out:"
        width = max(len(one.topology) for one in found.ruled_out)
        yield from (f"   {one.topology:<{width}}  {one.because}" for one in found.ruled_out)
    if found.choices:
        yield f"\n{RANKED}"
        yield f"Bring it up:  {found.choices[0].up}"
        yield f"Prove it:     {found.choices[0].prove(found.need)}"


def _wanted(need: Need) -> str:
    parts = [f"{need.in_flight:,} requests in handlers"]
    times = [f"{ms:g} ms of {what}" for ms, what in ((need.io_ms, "waiting"), (need.cpu_ms, "CPU")) if ms]
    parts += [f"each with {' and '.join(times)}"] if times else []
    parts += [f"{need.rate:,g} requests/s"] if need.rate else []
    parts += [f"{need.memory_mb:,} MB at most"] if need.memory_mb else []
    ways = {"fast": "the excess refused at once", "queue": "the excess waiting"}
    parts += [f"{ways[need.fail]}, beyond {need.queue:,} that wait"] if need.fail == "fast" else []
    parts += [f"{need.queue:,} more that wait"] if need.fail != "fast" and need.queue else []
    return f"{', '.join(parts)}, on {need.cpus} CPU{'s' if need.cpus > 1 else ''}"


def _evidence(choice: Choice, need: Need, facts: Facts) -> Iterator[tuple[str, str]]:
    yield "settings", choice.sets or "its own"
    held = held_for_sure(need.in_flight, choice.surely, choice.because)
    if choice.plan.unit() == "greenlet per request" and need.io_ms:
        held += " (where all that waits is patched to let others run)"
    last = f", the last of them {choice.last_waits_s:,.1f} s" if choice.last_waits_s else ""
    yield "holds", f"{held}; {choice.beyond.waiting:,} more wait{last} (the model)"
    yield "requests/s", _rate(choice)
    yield "memory", _memory(choice, need)
    yield "excess", f"is {SAID[choice.beyond.fate]} (the model){_overloaded(choice, facts)}"
    for caution in choice.cautions:
        yield "take care", caution
    pages = [f"docs/servers/{service.server.server}.md" for service in choice.plan.topology.services]
    yield "more", ", ".join(pages)


def _rate(choice: Choice) -> str:
    if not math.isfinite(choice.rate):
        return "unknown: give --io-ms and --cpu-ms"
    own = choice.costs.own_cpu_s
    said = "the server's own CPU time was not measured"
    if own is not None:
        said = f"{own * 1000:.2f} ms of it the server's own, measured with {choice.costs.topology}"
    if choice.bound_by == "slots":
        return f"{choice.rate:,.0f} at most: {choice.slots:,} slots / {choice.service_s * 1000:,.1f} ms"
    plural = "s" if choice.busy_cpus > 1 else ""
    return f"{choice.rate:,.0f} at most: {choice.busy_cpus} CPU{plural} / {choice.cpu_s * 1000:.2f} ms of CPU ({said})"


def _memory(choice: Choice, need: Need) -> str:
    costs = choice.costs
    if choice.memory_bytes is None or costs.worker_bytes is None:
        return "unknown: not measured yet"
    processes = choice.plan.processes()
    told = f"{processes:,} x {costs.worker_bytes / MB:.1f} MB"
    if costs.request_bytes is not None:
        told += f" + {need.in_flight:,} x {costs.request_bytes / MB:.3f} MB"
    of = f" (a request: {costs.request_of}, the dearest of its kind)" if costs.request_of else ""
    return f"about {choice.memory_bytes / MB:,.0f} MB: {told}, measured with {costs.topology}{of}"


def _overloaded(choice: Choice, facts: Facts) -> str:
    """What the campaign saw at the top of the staircase, at the topology's own settings."""
    runs = facts.under_load(OverloadRun, choice.plan.name)
    if not runs:
        return ""
    share = median(map(good_share, runs))
    times = runs[0].steps[-1].times_ceiling
    return f"; measured at its own settings and {times:g} times its ceiling: good answers {share:.0%} of its best"


def _as_json(found: Picked) -> dict[str, Any]:
    return {
        "need": to_json(found.need),
        "choices": [_choice_as_json(choice, found.need) for choice in found.choices],
        "ruled_out": [to_json(one) for one in found.ruled_out],
    }


def _choice_as_json(choice: Choice, need: Need) -> dict[str, Any]:
    asked = choice.plan.asked
    return {
        "topology": choice.plan.name,
        "settings": dict(asked.settings),
        "limits": dict(asked.limits),
        "limits_name": asked.limits_name,
        "in_handlers_surely": choice.surely,
        "places": [to_json(place) for place in predict(choice.plan, need.in_flight + need.queue).places],
        "requests_per_s": round(choice.rate, 1) if math.isfinite(choice.rate) else None,
        "bound_by": choice.bound_by,
        "memory_bytes": choice.memory_bytes,
        "costs": to_json(choice.costs),
        "excess": {
            "fate": choice.beyond.fate,
            "waiting": choice.beyond.waiting,
            "last_waits_s": round(choice.last_waits_s, 2),
        },
        "cautions": choice.cautions,
        "up": choice.up,
        "prove": choice.prove(need),
    }


VERBS = (pick,)
