"""The tables of docs/where-requests-wait.md, from stored runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from topolab.behaviours import BurstRun, DeadWorkRun
from topolab.comparison import Comparison
from topolab.facts import Facts
from topolab.reports import words
from topolab.reports.cells import table
from topolab.results import CapacityRun, Outcome, Standing
from topolab.topology import Catalog

WHERE: dict[Standing, str] = {
    "waiting": " waiting", "accept_queue": " in the accept queue", "unanswered": " outside",
}  # fmt: skip
PLACES: tuple[Standing, ...] = ("handler", "waiting", "accept_queue", "unanswered")


def queues(facts: Facts, _catalog: Catalog) -> str:
    """Every full accept queue of the proof: what was asked for, and what it held."""
    rows = sorted(set(_full(facts.proof.runs)))
    return table(("Backlog", "somaxconn", "The kernel's bound", "It held", "For instance"), _first(rows, key=4))


def _full(runs: tuple[CapacityRun, ...]) -> Iterator[tuple[int, int, int, int, str]]:
    for run in runs:
        backlogs = {queue.service: queue.backlog for queue in run.predicted.queues}
        applied = run.measured.applied
        alone = Counter(listener.service for listener in run.measured.listeners)
        for listener in run.measured.listeners:
            full = listener.recv_q == listener.send_q + 1 and alone[listener.service] == 1
            if full and applied and applied.somaxconn and listener.service in backlogs:
                backlog = backlogs[listener.service]
                yield backlog, applied.somaxconn, listener.send_q, listener.recv_q, _label(run)


def _first(rows: list[tuple[int, int, int, int, str]], *, key: int) -> list[tuple[str, ...]]:
    """Of rows that are alike but for their last cell, the first."""
    alike = {row[:key]: row for row in reversed(rows)}
    return [(*(words.number(int(cell)) for cell in row[:key]), str(row[key])) for row in sorted(alike.values())]


def waits(facts: Facts, _catalog: Catalog) -> str:
    """What those got that found no handler, case by case."""
    rows = [
        (
            _label(run),
            words.number(run.asked.requests),
            _told(run, "handler"),
            ", ".join(filter(None, (_told(run, place) for place in (*PLACES[1:], "on_arrival")))) or "-",
            _after(run),
        )
        for run in facts.waits.runs
    ]
    head = ("Topology", "N", "In a handler", "The others", "After the release")
    machine = words.machines(Comparison(facts.waits.runs))
    return f"{table(head, rows)}\n{machine}. Made by `make waits`; `make docs` makes the table anew."


def _told(run: CapacityRun, place: Standing) -> str:
    """`4 status 500 after 5.9 s`, or `nothing` for as long as they were held."""
    return ", ".join(_fate(run, held) for held in run.held if held.what == place)


def _fate(run: CapacityRun, held: Outcome) -> str:
    where = WHERE.get(held.what, "")
    if held.fate == "silence":
        return f"{words.number(held.count)}{where}: nothing in {run.asked.hold_s:g} s"
    what = f"status {held.status}" if held.fate == "error" else held.fate
    when = "at once" if held.last_s < 0.1 else f"after {_range(held)}"
    return f"{words.number(held.count)}{where}: {what} {when}"


def _range(held: Outcome) -> str:
    if held.last_s - held.first_s < 0.1:
        return f"{held.last_s:.1f} s"
    return f"{held.first_s:.1f} to {held.last_s:.1f} s"


def _after(run: CapacityRun) -> str:
    after = run.after_release
    told = f"{words.number(after.answered)} answered"
    if after.recovery_s is not None:
        told += f"; the {after.recovered} from outside within {after.recovery_s:.1f} s"
    return told


def left(facts: Facts, catalog: Catalog) -> str:
    """Of clients that hung up, how many requests ran all the same, over all topologies."""
    clients: Counter[Standing] = Counter()
    ran: Counter[Standing] = Counter()
    for run in facts.behaviour("deadwork", catalog.names):
        if isinstance(run, DeadWorkRun):
            for place in run.dead_work.left:
                clients[place.place] += place.left
                ran[place.place] += place.ran
    rows = [
        (place.replace("_", " "), words.number(clients[place]), words.number(ran[place]))
        for place in PLACES
        if clients[place]
    ]
    return table(("They stood in", "Clients that hung up", "Views that ran all the same"), rows)


def bursts(facts: Facts, catalog: Catalog) -> str:
    """400 instant requests at once, per backlog."""
    runs = [run for run in facts.behaviour("burst", catalog.names) if isinstance(run, BurstRun)]
    backlogs = sorted({at.backlog for run in runs if len(run.bursts) > 1 for at in run.bursts[1:]})
    rows = []
    for run in runs:
        slow = {at.backlog: at.burst for at in reversed(run.bursts)}
        own = run.bursts[0]
        cells = [
            f"{slow[backlog].slow} ({slow[backlog].p99_s:.1f} s)" if backlog in slow else "-" for backlog in backlogs
        ]
        rows.append((run.topology, f"{own.backlog}: {own.burst.slow} ({own.burst.p99_s:.1f} s)", *cells))
    return table(("Topology", "Its own backlog", *(words.number(backlog) for backlog in backlogs)), rows)


def _label(run: CapacityRun) -> str:
    return f"{run.topology} {words.changed(run)}".rstrip()


MADE = {"queues": queues, "waits": waits, "left": left, "bursts": bursts}
