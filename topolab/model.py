"""The capacity model: where N requests will stand, and which setting or limit draws the line.

The formulas are each server's own (server.yaml). What is common to all of them is here: how a queue of the
kernel is bounded, and that a request stands in the first place with room, from the handler outwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from topolab.expressions import count
from topolab.ledger import Ledger, PlaceCount, Spot
from topolab.plan import Plan
from topolab.results import Prediction
from topolab.server import AcceptQueue, Randomness, Term
from topolab.topology import Service


@dataclass(frozen=True, slots=True)
class Line:
    """A limit and the number of requests at which it binds (`math.inf`: never)."""

    bound_by: str
    at: float
    term: Term


def lines(plan: Plan, requests: int) -> tuple[Line, ...]:
    """Every limit on requests in handlers, the one that binds first at the front."""
    found = [
        Line(_qualified(plan, service, term.bound_by), _count(plan, service, term.count, "handler", requests), term)
        for service, terms in _handler_terms(plan, requests)
        for term in terms
    ]
    return tuple(sorted(found, key=lambda line: line.at))


def predict(plan: Plan, requests: int) -> Prediction:
    """The ledger of N requests that all hold, and the limit that binds.

    Requests fill the places from the handler outwards; what finds no room goes where the server or the
    kernel sends it. Bounds appear where the server itself is random, with the reason.
    """
    variant = plan.app.server.variant(plan.names(plan.app, requests=requests))
    counts: dict[Spot, int] = {}
    arriving = requests

    if plan.front and plan.front.server.front:
        front = plan.front.server.front
        admitted, _ = _take(_lines_of(plan, plan.front, front.admits, "admits", requests), arriving)
        _add(counts, ("client", front.beyond), arriving - admitted)
        arriving = admitted

    handled, binding = _take(_lines_of(plan, plan.app, variant.handler, "handler", requests), arriving)
    _add(counts, ("app", "handler"), handled)
    rest = arriving - handled
    bounds: Bounds | None = None
    because = binding.term.because if binding and rest else None
    if rest and binding and binding.term.then:
        _add(counts, ("client", binding.term.then), rest)
    elif rest or variant.random:
        waiting, _ = _take(_lines_of(plan, plan.app, variant.waiting, "waiting", requests), rest)
        waiting = waiting if variant.waiting else 0
        if variant.random:
            bounds = _bounds(plan, variant.random, handled, handled + waiting)
            because = variant.random.because if bounds else because
        queued = min(rest - waiting, _queue(plan, plan.app, variant.accept_queue, requests))
        _add(counts, ("app", "waiting"), waiting)
        _add(counts, ("app", "accept_queue"), queued)
        _add(counts, _overflow(plan, variant.overflow), rest - waiting - queued)

    order = lines(plan, requests)
    bound = next((line.bound_by for line in order if line.at < requests), None)
    behind = [line.bound_by for line in order if line.bound_by != bound and not math.isinf(line.at)]
    return Prediction(
        places=_places(counts, bounds), bound_by=bound, next_limit=behind[0] if behind else None, because=because
    )


@dataclass(frozen=True, slots=True)
class Bounds:
    """A random server: between these many of the accepted requests are in handlers, the others wait."""

    at_least: int
    at_most: int
    accepted: int


def _bounds(plan: Plan, random: Randomness, handled: int, accepted: int) -> Bounds | None:
    where = f"{plan.app.server.where}: capacity.random.handler_at_least"
    least = min(handled, int(count(random.handler_at_least, plan.names(plan.app, requests=accepted), where=where)))
    return Bounds(least, handled, accepted) if least < handled else None


def _places(counts: dict[Spot, int], bounds: Bounds | None) -> tuple[PlaceCount, ...]:
    if bounds is None:
        return Ledger.of(counts).places
    random: dict[Spot, PlaceCount] = {
        ("app", "handler"): PlaceCount("app", "handler", bounds.at_most, bounds.at_least, bounds.at_most),
        ("app", "waiting"): PlaceCount(
            "app",
            "waiting",
            bounds.accepted - bounds.at_most,
            bounds.accepted - bounds.at_most,
            bounds.accepted - bounds.at_least,
        ),
    }
    exact = [PlaceCount(*spot, number) for spot, number in counts.items() if number and spot not in random]
    return Ledger.sorted([*exact, *random.values()]).places


def _queue(plan: Plan, service: Service, queue: AcceptQueue, requests: int) -> int:
    """What the accept queues hold: K = min(backlog, somaxconn) + 1 each.

    One more than the backlog because sk_acceptq_is_full() tests `>`, not `>=` (Linux include/net/sock.h).
    """
    backlog = _count(plan, service, queue.backlog, "accept_queue.backlog", requests)
    somaxconn = plan.limits.get("somaxconn", math.inf)
    queues = _count(plan, service, queue.queues, "accept_queue.queues", requests)
    return int(min(requests, (min(backlog, somaxconn) + 1) * queues))


def _overflow(plan: Plan, overflow: str) -> Spot:
    """Where a request goes that finds the app's accept queue full."""
    if plan.front and plan.front.server.front:
        place = plan.front.server.front.when_app_full[plan.listen]
        return ("front", place) if place == "connecting" else ("client", place)
    return ("client", overflow)  # type: ignore[return-value]  # server.yaml's type holds it to places


def _handler_terms(plan: Plan, requests: int) -> Iterable[tuple[Service, tuple[Term, ...]]]:
    yield plan.app, plan.app.server.variant(plan.names(plan.app, requests=requests)).handler
    if plan.front and plan.front.server.front:
        yield plan.front, plan.front.server.front.admits


def _lines_of(plan: Plan, service: Service, terms: Iterable[Term], place: str, requests: int) -> list[Line]:
    return [
        Line(_qualified(plan, service, term.bound_by), _count(plan, service, term.count, place, requests), term)
        for term in terms
    ]


def _take(candidates: list[Line], arriving: int) -> tuple[int, Line | None]:
    """How many of the arriving find room, and the line that turned the others away."""
    if not candidates:
        return arriving, None
    first = min(candidates, key=lambda line: line.at)
    return (arriving, None) if first.at >= arriving else (int(first.at), first)


def _count(plan: Plan, service: Service, formula: str | int, place: str, requests: int) -> float:
    where = f"{service.server.where}: {place}"
    return count(formula, plan.names(service, requests=requests), where=where)


def _qualified(plan: Plan, service: Service, name: str) -> str:
    """`workers`; `front.worker_connections` for a front's own."""
    return f"front.{name}" if service.name == "front" else name


def _add(counts: dict[Spot, int], spot: Spot, number: int) -> None:
    if number:
        counts[spot] = counts.get(spot, 0) + number
