"""Runs under load as rows: the same for the terminal and for Markdown. The last cell of a row is its verdict."""

from __future__ import annotations

from topolab import figures
from topolab.loads import Lap, LatencyRun, MemoryRun, OverloadRun, ThroughputRun
from topolab.reports import words
from topolab.reports.quantities import quantity
from topolab.reports.tables import Cells, Sheet


def throughput(run: ThroughputRun) -> list[Cells]:
    """A row for each kind of work."""
    return [
        (
            figures.work(plateau.work), _rate(plateau.lap.achieved), _rate(plateau.ceiling.rate),
            plateau.ceiling.bound_by, _connections(plateau.lap), _known(plateau.server_cpu_s, "CPU s"),
            quantity(plateau.instrument_cpu_s, "CPU s"), plateau.lap.verdict,
        )
        for plateau in run.plateaus
    ]  # fmt: skip


def latency(run: LatencyRun) -> list[Cells]:
    """A row for each rate; then up to which one it holds."""
    rows = [
        (_rate(lap.offered.rate), _rate(lap.achieved), words.number(lap.requests), *_latencies(lap), _failures(lap),
         lap.verdict)
        for lap in run.points
    ]  # fmt: skip
    knee = "no rate" if run.knee is None else _rate(run.knee)
    more = "or more" if run.knee == run.points[-1].offered.rate else ""
    return [*rows, ("holds to", f"{knee} {more}".strip(), *[""] * 6, "")]


def _latencies(lap: Lap) -> Cells:
    seen = lap.answered
    if not seen:
        return ("-",) * 4
    return tuple(quantity(value, "s") for value in (seen.p50_s, seen.p90_s, seen.p99_s, seen.max_s))


def overload(run: OverloadRun) -> list[Cells]:
    """A row for each step; then what came after it."""
    rows = [
        (_rate(step.lap.offered.rate), f"{step.times_ceiling:g}", _rate(step.lap.achieved), *_served(step.lap),
         _failures(step.lap), "-" if step.dead is None else words.number(step.dead), step.lap.verdict)
        for step in run.steps
    ]  # fmt: skip
    well = f"not within {run.watched_s:g} s" if run.recovery_s is None else f"after {run.recovery_s:.1f} s"
    return [*rows, ("well again", well, *[""] * 5, run.after.verdict)]


def _served(lap: Lap) -> Cells:
    seen = lap.answered
    return (quantity(seen.p50_s, "s"), quantity(seen.p99_s, "s")) if seen else ("-", "-")


def memory(run: MemoryRun) -> list[Cells]:
    """One row."""
    seen = run.memory
    return [
        (
            words.number(seen.at_rest.processes), quantity(seen.at_rest.pss_bytes, "bytes"),
            quantity(run.per_worker_bytes, "bytes"), _each(run.per_request_bytes, seen.served),
            _each(run.per_connection_bytes, seen.idle_connections), quantity(seen.after.pss_bytes, "bytes"),
            run.verdict,
        )
    ]  # fmt: skip


def _each(size_bytes: int | None, number: int) -> str:
    """What each of so many cost; a dash where that can't be told."""
    return f"{_known(size_bytes, 'bytes')} (of {words.number(number)})"


def _rate(per_second: float) -> str:
    return quantity(per_second, "1/s")


def _known(value: float | None, unit: str) -> str:
    return "-" if value is None else quantity(value, unit)


def _connections(lap: Lap) -> str:
    return f"{words.number(lap.offered.connections)} {'kept' if lap.offered.keepalive else 'new'}"


def _failures(lap: Lap) -> str:
    """How many got which end, the most frequent first."""
    bad = sorted((fated for fated in lap.fates if fated.fate != "answered"), key=lambda fated: -fated.count)
    named = ((fated.count, f"status {fated.status}" if fated.fate == "error" else fated.fate) for fated in bad)
    return ", ".join(f"{words.number(count)} {name}" for count, name in named) or "0"


SHEETS: dict[str, Sheet] = {
    "throughput": Sheet(
        "How many requests per second",
        "One client alone gives the time of a request, sixteen its CPU time, and both the ceiling: slots over time, or "
        "CPUs over CPU time. Then as many clients as it takes to reach it, each of which asks again when answered. CPU "
        "time is the server's, and beside it ours, the instrument's.",
        ("Work", "Requests/s", "Ceiling", "Bound by", "Connections", "CPU of 1,000", "Ours"),
        throughput,
    ),
    "latency": Sheet(
        "How long requests take at a given rate",
        "Requests are due at fixed moments, whatever became of those before, and a latency counts from then. A rate "
        "holds as long as p99 is below ten times the median of the lowest rate.",
        ("Offered", "Achieved", "Requests", "p50", "p90", "p99", "Longest", "No good answer"),
        latency,
    ),
    "overload": Sheet(
        "What happens to what is too much",
        "Requests, each on a connection of its own, from half of what the server can do at most to three times that; "
        "then a light load, until latencies stay below twice an idle server's. A client gives up after 0.4 s, or ten "
        "times what an idle server takes; a view that ran although its client got no good answer ran for nobody.",
        ("Offered", "Times the ceiling", "Good answers", "p50", "p99", "No good answer", "Ran for nobody"),
        overload,
    ),
    "memory": Sheet(
        "What a worker, a request and a connection cost",
        "The proportional set size of all processes of the stack: at rest, with requests held in all its handlers "
        "(1,000 at most), after these, and, in another stack, with idle connections that it keeps.",
        ("Processes", "At rest", "A worker", "A request in flight", "An idle connection", "Afterwards"),
        memory,
    ),
}
