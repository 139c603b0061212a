"""What the reports call things: every place by one name with one meaning, and counts, titles and machines as text."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from topolab.comparison import Comparison
from topolab.ledger import SPOTS, Ledger, Place, PlaceCount, Service, Spot
from topolab.loads import LoadRun
from topolab.results import AfterRelease, Asked, CapacityRun, Host, NotRun, Outcome, Run

NAMES: dict[Place, str] = {
    "handler": "handler",
    "waiting": "waiting",
    "accept_queue": "accept queue",
    "connecting": "connecting",
    "unanswered": "unanswered",
    "refused": "refused",
    "reset": "reset",
    "error": "error",
    "answered": "answered",
}

SAID = ("--runtime", "--set", "--limits", "--app")  # options of a command that a run's label says as well

MEANINGS: dict[Place, str] = {
    "handler": "In the Flask view: the server runs it, and it blocks until the experiment releases it.",
    "waiting": "Accepted by the server, which has no handler free for it. Invisible to the kernel's tools.",
    "accept_queue": "Connected and sent, but still in the kernel's queue: the server has not accepted it.",
    "connecting": "Accepted by this service, whose own connection to the next one is unanswered.",
    "unanswered": "The kernel dropped the handshake because the queue was full. The client keeps retrying.",
    "refused": "The client was refused at once: nobody listens there.",
    "reset": "The connection was closed without an answer.",
    "error": "Answered with a status of 400 or more.",
    "answered": "Answered before the experiment released the handlers.",
}

_SERVICE_MEANINGS: dict[Service, str] = {"app": "At the app server. ", "front": "At the front server. ", "client": ""}


@dataclass(frozen=True, slots=True)
class Row:
    """One place of one run: what the model says beside what was counted."""

    spot: Spot
    name: str
    predicted: PlaceCount
    measured: int

    @property
    def agrees(self) -> bool:
        return self.predicted.allows(self.measured)


def clean(text: str) -> str:
    """The text without what a terminal obeys or XML forbids: control codes, bidi marks, lone surrogates.

    Reasons and findings can quote a server's own output, which may hold anything.
    """
    return "".join(char if char == "\n" or char.isprintable() else " " for char in text)


def one_line(text: str) -> str:
    return " ".join(clean(text).split())


def fronted(run: CapacityRun) -> bool:
    """Whether a front server stands before the app: its places then need the service's name."""
    services = {place.service for place in (*run.predicted.places, *run.measured.places)}
    services |= {queue.service for queue in run.measured.listeners}
    return "FRONT_SERVER" in run.plan or "front" in services


def place_name(spot: Spot, *, with_service: bool) -> str:
    service, place = spot
    return f"{service} {NAMES[place]}" if with_service and service != "client" else NAMES[place]


def meaning(spot: Spot, *, with_service: bool) -> str:
    service, place = spot
    return (_SERVICE_MEANINGS[service] if with_service else "") + MEANINGS[place]


def rows(run: CapacityRun) -> tuple[Row, ...]:
    """Every place that the model or the census puts somebody at, from the handler outwards."""
    with_service = fronted(run)
    pairs = ((spot, run.predicted.ledger.at(*spot), run.measured.ledger.at(*spot).count) for spot in SPOTS)
    return tuple(
        Row(spot, place_name(spot, with_service=with_service), predicted, measured)
        for spot, predicted, measured in pairs
        if predicted.count or predicted.at_most or measured
    )


def spots(comparison: Comparison) -> tuple[Spot, ...]:
    """The places that occur in any of its runs, in the order of `SPOTS`."""
    used = {row.spot for run in comparison.runs for row in rows(run)}
    return tuple(spot for spot in SPOTS if spot in used)


def number(value: int) -> str:
    return f"{value:,}"


def amount(place: PlaceCount) -> str:
    """`1,000`, or `10-40` where the model can only give bounds."""
    low = place.count if place.at_least is None else place.at_least
    high = place.count if place.at_most is None else place.at_most
    return number(low) if low == high else f"{number(low)}-{number(high)}"


def phrase(ledger: Ledger, *, with_service: bool, separator: str = " · ") -> str:
    """`10 handler · 101 accept queue · 889 unanswered`."""
    return separator.join(
        f"{amount(place)} {place_name((place.service, place.place), with_service=with_service)}"
        for place in ledger
        if place.count or place.at_most
    )


def bound(run: CapacityRun) -> str:
    """The setting or limit that draws the line, or which one would be the first to."""
    if run.predicted.bound_by:
        return run.predicted.bound_by
    return f"nothing (next: {run.predicted.next_limit})" if run.predicted.next_limit else "nothing"


def bound_phrase(run: CapacityRun) -> str:
    """`bound by threads`; where all are in a handler, `next limit: nofile`."""
    if run.predicted.bound_by or not run.predicted.next_limit:
        return f"bound by {run.predicted.bound_by or 'nothing'}"
    return f"next limit: {run.predicted.next_limit}"


def released(after: AfterRelease) -> tuple[str, ...]:
    """`("111 answered", "889 left")`; a zero is said of the answers only."""
    others = ((after.failed, "failed"), (after.left, "left"))
    return (
        f"{number(after.answered)} answered",
        *(f"{number(count)} {what}" for count, what in others if count),
    )


def outcome(it: Outcome) -> str:
    """What some of the held got: `4 from handler: status 500 after 5.4 s`; a range where they differ."""
    times = f"{it.first_s:.1f} s" if it.last_s - it.first_s < 0.05 else f"{it.first_s:.1f} to {it.last_s:.1f} s"
    place = "which had an end before the census" if it.what == "on_arrival" else f"from {it.what.replace('_', ' ')}"
    fates = {"silence": f"nothing in {times}", "error": f"status {it.status} after {times}"}
    return f"{number(it.count)} {place}: {fates.get(it.fate, f'{it.fate} after {times}')}"


def name(run: Run | NotRun, comparison: Comparison) -> str:
    """The topology; with its runtime or its host, where the comparison has several."""
    everything: tuple[Run | NotRun, ...] = (*comparison.measured, *comparison.not_run)
    runtime = f" ({run.runtime})" if len({other.runtime for other in everything}) > 1 else ""
    host = f" on {host_name(run) or 'this machine'}" if len({host_name(other) for other in everything}) > 1 else ""
    return f"{run.topology}{runtime}{host}"


def host_name(run: Run | NotRun) -> str:
    """The inventory's name of the host; empty for the lab's own machine."""
    return run.host.name if isinstance(run, Run) else run.host


def label(run: Run | NotRun, comparison: Comparison) -> str:
    """All that sets this run apart from the others: `gunicorn-gthread workers=4`."""
    changes = changed(run) if isinstance(run, Run) else ""
    return f"{name(run, comparison)} {changes}".rstrip()


def namer(runs: Sequence[Run], comparison: Comparison) -> Callable[[Run], str]:
    """What to call each of these runs, so that those of one name are repeats of one thing: its label, and what it was
    offered where runs of that label were offered different things.
    """
    asked: dict[tuple[str, str], set[str]] = {}
    for run in runs:
        asked.setdefault((run.experiment, label(run, comparison)), set()).add(_offered(run))

    def name(run: Run) -> str:
        its = label(run, comparison)
        return f"{its} {_offered(run)}".rstrip() if len(asked[run.experiment, its]) > 1 else its

    return name


def _offered(run: Run) -> str:
    """The options of a command that say what was offered: `--work io:20 --seconds 2`."""
    if not isinstance(run, LoadRun):
        return ""
    try:
        pairs = itertools.pairwise(shlex.split(run.command))
    except ValueError:  # no command of ours
        return ""
    return " ".join(f"{option} {value}" for option, value in pairs if option.startswith("--") and option not in SAID)


def changed(run: Run) -> str:
    """What was asked for that is not the topology's own: `workers=4 nofile=1024`."""
    return deviations(run.asked)


def deviations(it: Asked) -> str:
    """The same for what was asked alone."""
    asked = {**it.settings, **it.limits}
    named = [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in asked.items()]
    named += [f"limits {it.limits_name}"] if it.limits_name != "default" else []
    named += [f"route {it.route}"] if it.route != "gate" else []
    named += [f"app {':'.join(it.app.rsplit(':', 2)[1:])}"] if it.app else []
    return " ".join(named)


def absence(gap: NotRun) -> str:
    """Whether it should have run and did not, or can't run here."""
    return "failed" if gap.failed else "not run"


def requests(comparison: Comparison) -> int | None:
    """N, where all runs asked for the same."""
    asked = {run.asked.requests for run in comparison.runs}
    return asked.pop() if len(asked) == 1 else None


def title(comparison: Comparison) -> str:
    asked = requests(comparison)
    return "Where the requests were" if asked is None else f"Where {number(asked)} requests were"


def hosts(comparison: Comparison) -> tuple[Host, ...]:
    """All machines, each once."""
    found = [run.host for run in comparison.measured] + [run.host for run in comparison.claims]
    return tuple(dict.fromkeys(found))


def machine(host: Host) -> str:
    cores = "1 core" if host.cores == 1 else f"{host.cores} cores"
    named = f"{host.name}: " if host.name else ""
    return (
        f"{named}{host.cpu}, {cores}, {memory(host.memory_bytes)}, {host.os}, kernel {host.kernel}, "
        f"somaxconn {host.somaxconn}, open files {host.nofile_hard}"
    )


def machines(comparison: Comparison) -> str:
    """One caption for all runs: what was measured where. Empty where nothing ran."""
    if not comparison.runs:
        return ""
    runtimes = " and ".join(dict.fromkeys(run.runtime for run in comparison.runs))
    places = dict.fromkeys(run.host for run in comparison.runs)
    return f"Measured in the {runtimes} runtime on " + "; and on ".join(machine(host) for host in places)


def memory(size_bytes: int) -> str:
    """In the units of `free -h`: binary, two or three digits."""
    gib = size_bytes / 2**30
    return f"{gib:.1f} GiB" if gib >= 1 else f"{size_bytes / 2**20:.0f} MiB"


def tallies(comparison: Comparison) -> tuple[tuple[int, str], ...]:
    """How many of what; without zeros."""
    suspect = sum(run.verdict == "SUSPECT" for run in comparison.measured)
    failed = sum(gap.failed for gap in comparison.not_run)
    parts = (
        (len(comparison.measured) - suspect, "VALID"),
        (suspect, "SUSPECT"),
        (failed, "failed"),
        (len(comparison.not_run) - failed, "not run"),
    )
    return tuple(part for part in parts if part[0])


def tally(comparison: Comparison) -> str:
    """`9 VALID, 1 SUSPECT, 1 not run`."""
    return ", ".join(f"{count} {what}" for count, what in tallies(comparison))
