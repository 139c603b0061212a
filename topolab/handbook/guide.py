"""The tables of docs/picking-a-server.md that the model and stored runs give."""

from __future__ import annotations

import math

from topolab.behaviours import Ending, EndingsRun
from topolab.choices import Choice, Need
from topolab.excess import excess
from topolab.facts import Facts
from topolab.picking import MB, pick
from topolab.plan import resolve
from topolab.reports import words
from topolab.reports.cells import table
from topolab.topology import Catalog

MANY = 5000  # requests that come at once

# What people come with, each as they would type it.
NEEDS = (
    ("Views that compute", Need(8, cpu_ms=20, rate=50, cpus=2)),
    ("Views that wait for milliseconds", Need(20, io_ms=20, cpu_ms=2, rate=300, cpus=2)),
    ("Views that wait for seconds, hundreds at once", Need(500, io_ms=2000, cpu_ms=5, cpus=2)),
    ("The same, with 512 MB", Need(500, io_ms=2000, cpu_ms=5, memory_mb=512, cpus=2)),
    ("The same, whoever is too many refused at once", Need(500, io_ms=2000, cpu_ms=5, fail="fast", queue=50, cpus=2)),
    ("The same, and as many again may wait", Need(500, io_ms=2000, cpu_ms=5, fail="queue", queue=500, cpus=2)),
    ("Thousands at once", Need(5000, io_ms=10_000, cpu_ms=1, cpus=2)),
)  # fmt: skip


def candidates(catalog: Catalog) -> list[str]:
    """Topologies that somebody may choose: not discouraged, with one app."""
    topologies = [catalog.topology(name) for name in catalog.names]
    return [
        one.name
        for one in topologies
        if one.entry == "single" and not any(service.server.discouraged for service in one.services)
    ]


def glance(facts: Facts, catalog: Catalog) -> str:
    """Each at its own settings: what becomes of many at once, and of twelve when something is done to the server."""
    rows = []
    for name in candidates(catalog):
        plan = resolve(catalog, name, requests=MANY).on(facts.host.cores)
        fate = excess(plan, MANY)
        inside = fate.ledger.at("app", "handler").count
        runs = facts.behaviour("endings", [name])
        endings = {one.signal: one for run in runs[:1] if isinstance(run, EndingsRun) for one in run.endings}
        done = [_ending(endings.get(signal)) for signal in ("SIGKILL", "SIGHUP", "SIGTERM")]
        rows.append((name, plan.unit(), words.number(inside), words.number(fate.waiting), fate.fate, *done))
    head = ("Topology", "Served by", "In a view", "Waiting", "The rest", "A worker dies", "Reload", "Stop")
    return table(head, rows)


def _ending(ending: Ending | None) -> str:
    """`1 of 12 lost`; and whether anybody serves afterwards, where that is not to be expected."""
    if ending is None:
        return "-"
    total = sum(fared.count for fared in ending.fared)
    lost = sum(fared.count for fared in ending.fared if fared.fate != "answered")
    told = f"{lost} of {total} lost"
    return f"{told}, and it ends" if ending.signal != "SIGTERM" and not ending.serves_after else told


def picks(facts: Facts, catalog: Catalog) -> str:
    """What `topolab pick` answers to what people come with."""
    return "\n".join(_pick(title, need, facts, catalog) for title, need in NEEDS)


def _pick(title: str, need: Need, facts: Facts, catalog: Catalog) -> str:
    found = pick(catalog, facts, need)
    rows = [
        (one.plan.name, one.sets.replace("--set ", "") or "its own", _rate(one), _memory(one), *_beyond(one))
        for one in found.choices[:3]
    ]
    head = ("Topology", "Settings", "Requests/s at most", "Memory", "Then wait", "The excess")
    return f"**{title}:** `{_typed(need)}`\n\n{table(head, rows)}"


def _beyond(choice: Choice) -> tuple[str, str]:
    """How many wait and how long the last of them does; and what the excess gets."""
    last = f", the last {choice.last_waits_s:,.1f} s" if choice.last_waits_s else ""
    return f"{words.number(choice.beyond.waiting)}{last}", choice.beyond.fate


def _typed(need: Need) -> str:
    options = {
        "in-flight": need.in_flight, "io-ms": need.io_ms, "cpu-ms": need.cpu_ms, "rate": need.rate,
        "memory-mb": need.memory_mb, "fail": need.fail, "queue": need.queue, "cpus": need.cpus,
    }  # fmt: skip
    typed = [
        f"--{name} {value:g}" if isinstance(value, float) else f"--{name} {value}"
        for name, value in options.items()
        if value
    ]
    return " ".join(["topolab pick", *typed])


def _rate(choice: Choice) -> str:
    return f"{choice.rate:,.0f} by {choice.bound_by}" if math.isfinite(choice.rate) else "-"


def _memory(choice: Choice) -> str:
    return "unknown" if choice.memory_bytes is None else f"{choice.memory_bytes / MB:,.0f} MB"


MADE = {"glance": glance, "picks": picks}
