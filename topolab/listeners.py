"""The listeners that a plan means to have: the backlog that each server asks for, and what somaxconn leaves of it."""

from __future__ import annotations

from collections.abc import Iterator

from topolab.expressions import count
from topolab.plan import Plan
from topolab.results import ExpectedQueue
from topolab.server import AcceptQueue
from topolab.topology import Service


def expected(plan: Plan) -> tuple[ExpectedQueue, ...]:
    """One for each service that listens; several listeners of a service ask for the same."""
    return tuple(_queues(plan))


def _queues(plan: Plan) -> Iterator[ExpectedQueue]:
    variant = plan.app.server.variant(plan.names(plan.app, requests=plan.asked.requests))
    yield _queue(plan, plan.app, variant.accept_queue)
    if plan.front and plan.front.server.front:
        yield _queue(plan, plan.front, plan.front.server.front.accept_queue)


def _queue(plan: Plan, service: Service, queue: AcceptQueue) -> ExpectedQueue:
    names = plan.names(service, requests=plan.asked.requests)
    backlog = int(count(queue.backlog, names, where=f"{service.server.where}: accept_queue.backlog"))
    return ExpectedQueue(service.name, backlog, int(min(backlog, names["somaxconn"])))
