"""The capacity model: where N requests will stand, and which setting or limit draws the line.

The formulas are each server's own (server.yaml). What is common to all of them is here: how a queue of the
kernel is bounded, and that a request stands in the first place with room, from the handler outwards.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from topolab.expressions import count, evaluate
from topolab.ledger import Ledger, Place, PlaceCount, Spot
from topolab.plan import Plan
from topolab.results import Prediction
from topolab.server import AcceptQueue, Capacity, Randomness, Term
from topolab.topology import Service

HASHED = (
    "Each listener of this server has its own share of every place; the kernel's hash picks one for each connection."
)


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
    handler = _smallest(_lines(plan, plan.app, variant.handler, "handler", requests))
    waiting_room = _capacity(_lines(plan, plan.app, variant.waiting, "waiting", requests))
    queue = _queue(plan, plan.app, variant.accept_queue, requests)
    counts: Counter[Spot] = Counter()
    bounds: dict[Spot, tuple[int, int]] = {}

    arriving = _admitted(plan, requests, app_holds=handler.at + waiting_room + queue)
    if plan.front and plan.front.server.front:
        counts["client", plan.front.server.front.beyond] += requests - arriving

    handled = int(min(handler.at, arriving))
    rest = arriving - handled
    because = handler.term.because if rest else None
    counts["app", "handler"] += handled
    if rest and handler.term.then:
        counts["client", handler.term.then] += rest
    else:
        waiting = int(min(rest, waiting_room))
        queued = min(rest - waiting, queue)
        beyond = rest - waiting - queued
        overflow = _overflow(plan, variant.overflow)
        counts["app", "waiting"] += waiting
        counts["app", "accept_queue"] += queued
        counts[overflow] += beyond
        if variant.random and (least := _least(plan, variant.random, handled, handled + waiting)) < handled:
            bounds["app", "handler"] = (least, handled)
            bounds["app", "waiting"] = (waiting, waiting + handled - least)
            because = variant.random.because
        if (listeners := int(_count(plan, plan.app, variant.independent, "independent", requests))) > 1:
            rooms: list[tuple[Spot, float]] = [
                (("app", "handler"), handler.at),
                (("app", "waiting"), waiting_room),
                (("app", "accept_queue"), queue),
            ]
            bounds |= independent(arriving, listeners, rooms, overflow)
            because = because or HASHED
        if rest and handler.term.races:
            # Any of the rest may end there, first those that found no room, then those in the queue. That the queue is
            # full as long as anybody is outside is not lost: the census waits for it (a free place is not at rest).
            bounds["client", handler.term.races] = (0, rest)
            bounds["app", "accept_queue"] = (0, queued)
            if beyond:
                bounds[overflow] = (0, beyond)

    order = lines(plan, requests)
    bound = next((line.bound_by for line in order if line.at < requests), None)
    behind = (line.bound_by for line in order if line.bound_by != bound and not math.isinf(line.at))
    places = Ledger.sorted(
        PlaceCount(*spot, counts[spot], *bounds.get(spot, ()))
        for spot in {*counts, *bounds}
        if counts[spot] or spot in bounds
    ).places
    return Prediction(places, bound_by=bound, next_limit=next(behind, None), because=because)


def independent(
    arriving: int, listeners: int, rooms: Sequence[tuple[Spot, float]], overflow: Spot
) -> dict[Spot, tuple[int, int]]:
    """Bounds where N requests come to L listeners in any way at all, each filling its own rooms in the same order.

    A room of one listener holds the requests after its first `a` and up to its `b`-th. It is emptiest when as many
    listeners as possible are left at `a`, or when all requests come to one; fullest when listener after listener is
    filled to `b`.
    """
    bounds: dict[Spot, tuple[int, int]] = {}
    a = 0.0
    for spot, room in [*rooms, (overflow, math.inf)]:
        b = a + room / listeners
        full, left = divmod(arriving, min(b, arriving + 1))
        most = room if full >= listeners else (full * (b - a) if full else 0) + max(0, left - a)
        least = min(max(0, arriving - listeners * a), b - a)
        if least < most:
            bounds[spot] = (int(least), int(most))
        a = b
    return bounds


def _admitted(plan: Plan, requests: int, *, app_holds: float) -> int:
    """How many requests a front lets through to the app.

    A front that answers at once for an app that is full gets its own slot back with that answer: then its
    own bound is reached only by requests that the app holds.
    """
    if not (plan.front and plan.front.server.front):
        return requests
    front = plan.front.server.front
    room = _capacity(_lines(plan, plan.front, front.admits, "admits", requests))
    answers_at_once = front.when_app_full[plan.listen] != "connecting"
    return requests if answers_at_once and app_holds < room else int(min(room, requests))


def _least(plan: Plan, random: Randomness, handled: int, accepted: int) -> int:
    """The fewest requests in handlers that a random server's mechanism allows, of those that it accepted."""
    where = f"{plan.app.server.where}: capacity.random.handler_at_least"
    return min(handled, int(count(random.handler_at_least, plan.names(plan.app, requests=accepted), where=where)))


def _variant(plan: Plan, requests: int) -> Capacity:
    return plan.app.server.variant(plan.names(plan.app, requests=requests))


def _queue(plan: Plan, service: Service, queue: AcceptQueue, requests: int) -> int:
    """What the accept queues hold: K = min(backlog, somaxconn) + 1 each.

    One more than the backlog because sk_acceptq_is_full() tests `>`, not `>=` (Linux include/net/sock.h).
    """
    backlog = _count(plan, service, queue.backlog, "accept_queue.backlog", requests)
    somaxconn = plan.names(service)["somaxconn"]
    queues = _count(plan, service, queue.queues, "accept_queue.queues", requests)
    return int(min(requests, (min(backlog, somaxconn) + 1) * queues * plan.topology.instances))


def _overflow(plan: Plan, overflow: Place) -> Spot:
    """Where a request goes that finds the app's accept queue full."""
    if plan.front and plan.front.server.front:
        place = plan.front.server.front.when_app_full[plan.listen]
        return ("front", place) if place == "connecting" else ("client", place)
    return ("client", overflow)


def _lines(plan: Plan, service: Service, terms: Iterable[Term], place: str, requests: int) -> list[Line]:
    prefix = "front." if service.name == "front" else ""  # `workers`; `front.worker_connections` for a front's own
    names = plan.names(service, requests=requests)
    times = plan.topology.instances if service.name == "app" else 1
    return [
        Line(prefix + term.bound_by, times * _count(plan, service, term.count, place, requests), term)
        for term in terms
        if evaluate(term.when, names, where=f"{service.server.where}: {place}.when")
    ]


def _smallest(found: Iterable[Line]) -> Line:
    return min(found, key=lambda line: line.at)


def _capacity(found: list[Line]) -> float:
    """How many find room at a place; a place that no line describes does not exist."""
    return _smallest(found).at if found else 0


def _count(plan: Plan, service: Service, formula: str | int, place: str, requests: int) -> float:
    where = f"{service.server.where}: {place}"
    return count(formula, plan.names(service, requests=requests), where=where)
