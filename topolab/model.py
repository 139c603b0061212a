"""The capacity model: where N requests will stand, and which setting or limit draws the line.

The formulas are each server's own (server.yaml). What is common to all of them is here: how a queue of the
kernel is bounded, and that a request stands in the first place with room, from the handler outwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from topolab.expressions import count, evaluate
from topolab.filling import Filled, Rooms, between, independent
from topolab.ledger import SERVICE_PLACES, Ledger, Place, PlaceCount, Spot
from topolab.plan import Plan
from topolab.results import Prediction
from topolab.server import AcceptQueue, Capacity, Randomness, Term
from topolab.topology import Service

HASHED = (
    "Each listener of this server has its own share of every place; the kernel's hash picks one for each connection."
)

SHORT = "Descriptors that the release frees go to new connections before the views that need one get it."


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


def ends(plan: Plan, requests: int) -> tuple[tuple[Spot, float, str], ...]:
    """Where each place of the services ends, and what draws that line: place, how many it holds, the line's name."""
    variant = _variant(plan, requests)
    found: list[tuple[Spot, float, str]] = []
    places: tuple[tuple[Place, tuple[Term, ...]], ...] = (("handler", variant.handler), ("waiting", variant.waiting))
    for place, terms in places:
        if held := _lines(plan, plan.app, terms, place, requests):
            found.append((("app", place), _smallest(held).at, _smallest(held).bound_by))
    queue = _queue(plan, plan.app, variant.accept_queue, requests)
    found.append((("app", "accept_queue"), queue, "backlog, somaxconn"))
    if plan.front and plan.front.server.front:
        admits = _smallest(_lines(plan, plan.front, plan.front.server.front.admits, "admits", requests))
        found.append((("front", "waiting"), admits.at, admits.bound_by))
    return tuple(found)


def predict(plan: Plan, requests: int) -> Prediction:
    """The ledger of N requests that all hold, and the limit that binds.

    Requests fill the places from the handler outwards; what finds no room goes where the server or the
    kernel sends it. Bounds appear where the server itself is random, with the reason.
    """
    variant = _variant(plan, requests)
    handler = _smallest(_lines(plan, plan.app, variant.handler, "handler", requests))
    rooms = Rooms(
        handler.at,
        _capacity(_lines(plan, plan.app, variant.waiting, "waiting", requests)),
        _queue(plan, plan.app, variant.accept_queue, requests),
    )
    holds = handler.at if handler.term.then else sum(rooms)
    least, most = _admitted(plan, requests, app_holds=holds, limit=handler.term)
    filled = _fill(plan, requests, variant, handler.term, rooms, arriving=most)
    if least < most:
        fewer = _fill(plan, requests, variant, handler.term, rooms, arriving=least)
        filled.bounds |= between(filled, fewer)
        front = plan.front.server.front if plan.front else None
        filled.because = filled.because or (front.random.because if front and front.random else None)

    order = lines(plan, requests)
    bound = next((line.bound_by for line in order if line.at < requests), None)
    behind = (line.bound_by for line in order if line.bound_by != bound and not math.isinf(line.at))
    places = Ledger.sorted(
        PlaceCount(*spot, filled.counts[spot], *filled.bounds.get(spot, ()))
        for spot in {*filled.counts, *filled.bounds}
        if filled.counts[spot] or spot in filled.bounds
    ).places
    return Prediction(
        places,
        bound_by=bound,
        next_limit=next(behind, None),
        because=filled.because,
        may_fail=_may_fail(plan, requests, variant),
    )


def _fill(plan: Plan, requests: int, variant: Capacity, limit: Term, rooms: Rooms, *, arriving: int) -> Filled:
    """Fills the app server's places with the requests that arrive there; the others are held off by its front."""
    filled = Filled()
    counts, bounds = filled.counts, filled.bounds
    if arriving < requests:
        _hold_off(plan, requests, requests - arriving, filled)

    handled = int(min(rooms.handler, arriving))
    rest = arriving - handled
    filled.because = (limit.because if rest else None) or filled.because
    counts["app", "handler"] += handled
    fewer = min(handled, int(_count(plan, plan.app, limit.fewer, "handler.fewer", requests)))
    if rest and fewer:
        bounds["app", "handler"] = (handled - fewer, handled)
    if rest and limit.then:
        counts["client", limit.then] += rest
        if fewer or limit.races:
            bounds["client", limit.then] = (0 if limit.races else rest, rest + fewer)
        if limit.races:
            bounds["client", limit.races] = (0, rest + fewer)
        return filled
    waiting = int(min(rest, rooms.waiting))
    queued = int(min(rest - waiting, rooms.queue))
    beyond = rest - waiting - queued
    overflow = _overflow(plan, variant.overflow)
    counts["app", "waiting"] += waiting
    counts["app", "accept_queue"] += queued
    counts[overflow] += beyond
    if variant.random:
        least = _least(plan, variant.random, handled, handled + waiting)
        more = _more_waiting(plan, variant.random, waiting, rest, requests)
        if least < handled or more:
            filled.because = variant.random.because
        if least < handled:
            bounds["app", "handler"] = (least, handled)
            bounds["app", "waiting"] = (waiting, waiting + handled - least)
        if more:
            bounds["app", "waiting"] = (waiting, waiting + more)
            if more > beyond:
                bounds["app", "accept_queue"] = (queued - (more - beyond), queued)
            if beyond:
                bounds[overflow] = (max(0, beyond - more), beyond)
    if (listeners := int(_count(plan, plan.app, variant.independent, "independent", requests))) > 1:
        spots: list[Spot] = [("app", "handler"), ("app", "waiting"), ("app", "accept_queue")]
        bounds |= independent(arriving, listeners, list(zip(spots, rooms, strict=True)), overflow)
        filled.because = filled.because or HASHED
    if rest and limit.races:
        # Any of the rest may end there, first those that found no room, then those in the queue. That the queue is
        # full as long as anybody is outside is not lost: the census waits for it (a free place is not at rest).
        bounds["client", limit.races] = (0, rest + fewer)
        bounds["app", "accept_queue"] = (0, queued)
        if beyond:
            bounds[overflow] = (0, beyond)
    if rest and limit.kills:
        # All that it holds ends there; a new process takes from the places further out, until it dies in turn.
        bounds |= {spot: (0, number) for spot, number in counts.items() if number}
        bounds["client", limit.kills] = (0, requests)
    return filled


def _admitted(plan: Plan, requests: int, *, app_holds: float, limit: Term) -> tuple[int, int]:
    """How many requests a front lets through to the app, at least and at most.

    Where the app or the front answers at once what finds no room in the app, the front gets its own slot back with
    that answer: then its own bound is reached only by requests that the app holds.
    """
    if not (plan.front and plan.front.server.front):
        return requests, requests
    front = plan.front.server.front
    room = _capacity(_lines(plan, plan.front, front.admits, "admits", requests))
    answered_at_once = limit.then or front.when_app_full[plan.listen] not in SERVICE_PLACES
    if answered_at_once and app_holds < room:
        return requests, requests
    most = int(min(room, requests))
    if not front.random:
        return most, most
    return min(most, int(_count(plan, plan.front, front.random.admits_at_least, "random", requests))), most


def _hold_off(plan: Plan, requests: int, excess: int, filled: Filled) -> None:
    """Counts those that a front does not let in: with the client, or first in the front's own accept queue."""
    assert plan.front
    front = plan.front.server.front
    assert front
    limit = _smallest(_lines(plan, plan.front, front.admits, "admits", requests)).term
    beyond = limit.then or front.beyond
    if beyond == "accept_queue":
        queued = int(min(excess, _queue(plan, plan.front, front.accept_queue, requests)))
        outside: dict[Spot, int] = {("front", "accept_queue"): queued, ("client", "unanswered"): excess - queued}
    else:
        outside = {("client", beyond): excess}
    filled.counts.update(outside)
    filled.because = limit.because
    if limit.races:
        filled.bounds |= {spot: (0, number) for spot, number in outside.items() if number}
        filled.bounds["client", limit.races] = (0, excess)


def _least(plan: Plan, random: Randomness, handled: int, accepted: int) -> int:
    """The fewest requests in handlers that a random server's mechanism allows, of those that it accepted."""
    if random.handler_at_least is None:
        return handled
    where = f"{plan.app.server.where}: capacity.random.handler_at_least"
    return min(handled, int(count(random.handler_at_least, plan.names(plan.app, requests=accepted), where=where)))


def _more_waiting(plan: Plan, random: Randomness, waiting: int, rest: int, requests: int) -> int:
    """How many more than predicted may wait, at most all that are not in a handler."""
    if random.waiting_at_most is None:
        return 0
    where = f"{plan.app.server.where}: capacity.random.waiting_at_most"
    most = min(rest, count(random.waiting_at_most, plan.names(plan.app, requests=requests), where=where))
    return max(0, int(most) - waiting)


def _may_fail(plan: Plan, requests: int, variant: Capacity) -> str | None:
    """Why requests may get no good answer even after the release: where descriptors are what turned others away."""
    handler = _smallest(_lines(plan, plan.app, variant.handler, "handler", requests))
    short = handler.term.bound_by == "nofile" and handler.at < requests
    if waiting := _lines(plan, plan.app, variant.waiting, "waiting", requests):
        short |= _smallest(waiting).term.bound_by == "nofile" and handler.at + _smallest(waiting).at < requests
    if plan.front and plan.front.server.front:
        admits = _smallest(_lines(plan, plan.front, plan.front.server.front.admits, "admits", requests))
        short |= admits.term.bound_by == "nofile" and admits.at < requests
    return SHORT if short else None


def _variant(plan: Plan, requests: int) -> Capacity:
    return plan.app.server.variant(plan.names(plan.app, requests=requests))


def _queue(plan: Plan, service: Service, queue: AcceptQueue, requests: int) -> float:
    """What the accept queues hold: K = min(backlog, somaxconn) + 1 each.

    One more than the backlog because sk_acceptq_is_full() tests `>`, not `>=` (Linux include/net/sock.h).
    """
    backlog = _count(plan, service, queue.backlog, "accept_queue.backlog", requests)
    somaxconn: float = plan.names(service)["somaxconn"]
    queues = _count(plan, service, queue.queues, "accept_queue.queues", requests)
    return (min(backlog, somaxconn) + 1) * queues * _times(plan, service)


def _overflow(plan: Plan, overflow: Place) -> Spot:
    """Where a request goes that finds the app's accept queue full."""
    if plan.front and plan.front.server.front:
        place = plan.front.server.front.when_app_full[plan.listen]
        return ("front", place) if place in SERVICE_PLACES else ("client", place)
    return ("client", overflow)


def _lines(plan: Plan, service: Service, terms: Iterable[Term], place: str, requests: int) -> list[Line]:
    prefix = "front." if service.name == "front" else ""  # `workers`; `front.worker_connections` for a front's own
    names = plan.names(service, requests=requests)
    return [
        Line(prefix + term.bound_by, _times(plan, service) * _count(plan, service, term.count, place, requests), term)
        for term in terms
        if evaluate(term.when, names, where=f"{service.server.where}: {place}.when")
    ]


def _times(plan: Plan, service: Service) -> int:
    """How many of that service's programs run."""
    return plan.topology.instances if service.name == "app" else 1


def _smallest(found: Iterable[Line]) -> Line:
    return min(found, key=lambda line: line.at)


def _capacity(found: list[Line]) -> float:
    """How many find room at a place; a place that no line describes does not exist."""
    return _smallest(found).at if found else 0


def _count(plan: Plan, service: Service, formula: str | int, place: str, requests: int) -> float:
    where = f"{service.server.where}: {place}"
    return count(formula, plan.names(service, requests=requests), where=where)
