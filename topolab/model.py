"""The capacity model: where N requests will stand, and which setting or limit draws the line.

The formulas are each server's own (server.yaml). What is common to all of them is here: how a queue of the
kernel is bounded, and that a request stands in the first place with room, from the handler outwards.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from topolab.expressions import count
from topolab.ledger import Ledger, Place, PlaceCount, Spot
from topolab.plan import Plan
from topolab.results import Prediction
from topolab.server import AcceptQueue, Capacity, Randomness, Term
from topolab.topology import Service


@dataclass(frozen=True, slots=True)
class Line:
    """A limit and the number of requests at which it binds (`math.inf`: never)."""

    bound_by: str
    at: float
    term: Term


def lines(plan: Plan, requests: int) -> tuple[Line, ...]:
    """Every limit on requests in handlers, the one that binds first at the front."""
    found = _lines(plan, plan.app, _variant(plan, requests).handler, "handler", requests)
    if plan.front and plan.front.server.front:
        found += _lines(plan, plan.front, plan.front.server.front.admits, "admits", requests)
    return tuple(sorted(found, key=lambda line: line.at))


def predict(plan: Plan, requests: int) -> Prediction:
    """The ledger of N requests that all hold, and the limit that binds.

    Requests fill the places from the handler outwards; what finds no room goes where the server or the
    kernel sends it. Bounds appear where the server itself is random, with the reason.
    """
    variant = _variant(plan, requests)
    counts: Counter[Spot] = Counter()
    arriving = requests

    if plan.front and plan.front.server.front:
        front = plan.front.server.front
        arriving = _room(_lines(plan, plan.front, front.admits, "admits", requests), arriving)
        counts["client", front.beyond] += requests - arriving

    handler = _smallest(_lines(plan, plan.app, variant.handler, "handler", requests))
    handled = int(min(handler.at, arriving))
    counts["app", "handler"] += handled
    rest = arriving - handled
    bounds, because = None, handler.term.because if rest else None
    if rest and handler.term.then:
        counts["client", handler.term.then] += rest
    else:
        waiting = _room(_lines(plan, plan.app, variant.waiting, "waiting", requests), rest) if variant.waiting else 0
        queued = min(rest - waiting, _queue(plan, plan.app, variant.accept_queue, requests))
        counts["app", "waiting"] += waiting
        counts["app", "accept_queue"] += queued
        counts[_overflow(plan, variant.overflow)] += rest - waiting - queued
        if variant.random and (bounds := _bounds(plan, variant.random, handled, handled + waiting)):
            because = variant.random.because

    order = lines(plan, requests)
    bound = next((line.bound_by for line in order if line.at < requests), None)
    behind = (line.bound_by for line in order if line.bound_by != bound and not math.isinf(line.at))
    return Prediction(_places(counts, bounds), bound_by=bound, next_limit=next(behind, None), because=because)


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


def _places(counts: Mapping[Spot, int], bounds: Bounds | None) -> tuple[PlaceCount, ...]:
    exact = Ledger.of(counts)
    if bounds is None:
        return exact.places
    least, most, accepted = bounds.at_least, bounds.at_most, bounds.accepted
    random = (
        PlaceCount("app", "handler", most, least, most),
        PlaceCount("app", "waiting", accepted - most, accepted - most, accepted - least),
    )
    drawn = {(place.service, place.place) for place in random}
    return Ledger.sorted([*random, *(place for place in exact if (place.service, place.place) not in drawn)]).places


def _variant(plan: Plan, requests: int) -> Capacity:
    return plan.app.server.variant(plan.names(plan.app, requests=requests))


def _queue(plan: Plan, service: Service, queue: AcceptQueue, requests: int) -> int:
    """What the accept queues hold: K = min(backlog, somaxconn) + 1 each.

    One more than the backlog because sk_acceptq_is_full() tests `>`, not `>=` (Linux include/net/sock.h).
    """
    backlog = _count(plan, service, queue.backlog, "accept_queue.backlog", requests)
    somaxconn = plan.limits.get("somaxconn", math.inf)
    queues = _count(plan, service, queue.queues, "accept_queue.queues", requests)
    return int(min(requests, (min(backlog, somaxconn) + 1) * queues))


def _overflow(plan: Plan, overflow: Place) -> Spot:
    """Where a request goes that finds the app's accept queue full."""
    if plan.front and plan.front.server.front:
        place = plan.front.server.front.when_app_full[plan.listen]
        return ("front", place) if place == "connecting" else ("client", place)
    return ("client", overflow)


def _lines(plan: Plan, service: Service, terms: Iterable[Term], place: str, requests: int) -> list[Line]:
    prefix = "front." if service.name == "front" else ""  # `workers`; `front.worker_connections` for a front's own
    return [Line(prefix + term.bound_by, _count(plan, service, term.count, place, requests), term) for term in terms]


def _smallest(found: Iterable[Line]) -> Line:
    return min(found, key=lambda line: line.at)


def _room(found: Iterable[Line], arriving: int) -> int:
    """How many of the arriving find room."""
    return int(min(_smallest(found).at, arriving))


def _count(plan: Plan, service: Service, formula: str | int, place: str, requests: int) -> float:
    where = f"{service.server.where}: {place}"
    return count(formula, plan.names(service, requests=requests), where=where)
