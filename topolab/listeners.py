"""The listeners that a plan means to have: the backlog that each server asks for, and what somaxconn leaves of it."""

from __future__ import annotations

from collections.abc import Iterator

from topolab.expressions import count
from topolab.plan import Plan
from topolab.results import ExpectedQueue
from topolab.server import AcceptQueue
from topolab.topology import Service


def expected(plan: Plan) -> tuple[ExpectedQueue, ...]:
    """One for each service that is to listen when the census is taken."""
    return tuple(_queues(plan))


def _queues(plan: Plan) -> Iterator[ExpectedQueue]:
    variant = plan.app.server.variant(plan.names(plan.app, requests=plan.asked.requests))
    yield from _queue(plan, plan.app, variant.accept_queue)
    if plan.front and plan.front.server.front:
        yield from _queue(plan, plan.front, plan.front.server.front.accept_queue)


def _queue(plan: Plan, service: Service, queue: AcceptQueue) -> Iterator[ExpectedQueue]:
    names = plan.names(service, requests=plan.asked.requests)
    where = f"{service.server.where}: accept_queue"
    backlog = int(count(queue.backlog, names, where=f"{where}.backlog"))
    queues = int(count(queue.queues, names, where=f"{where}.queues"))
    if queues:
        yield ExpectedQueue(service.name, backlog * queues, int(min(backlog, names["somaxconn"])) * queues)
