"""The listeners that a plan means to have: the backlog that each server asks for, and what somaxconn leaves of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from topolab.expressions import count
from topolab.ledger import Service as ServiceName
from topolab.plan import Plan
from topolab.results import ExpectedQueue
from topolab.server import AcceptQueue
from topolab.topology import Service


@dataclass(frozen=True, slots=True)
class Planned:
    """A service's accept queues: so many listeners at one address (SO_REUSEPORT), each asking for this backlog."""

    service: ServiceName
    backlog: int
    listeners: int

    def expected(self, somaxconn: float) -> ExpectedQueue:
        """What the kernel makes of them, counted together."""
        bound = int(min(self.backlog, somaxconn))
        return ExpectedQueue(self.service, self.backlog * self.listeners, bound * self.listeners)


def expected(plan: Plan) -> tuple[ExpectedQueue, ...]:
    """One for each service that is to listen when the census is taken."""
    return tuple(queue.expected(plan.names(plan.app)["somaxconn"]) for queue in planned(plan))


def planned(plan: Plan) -> tuple[Planned, ...]:
    """The same, as the servers ask for it."""
    return tuple(_queues(plan))


def _queues(plan: Plan) -> Iterator[Planned]:
    variant = plan.app.server.variant(plan.names(plan.app, requests=plan.asked.requests))
    yield from _queue(plan, plan.app, variant.accept_queue)
    if plan.front and plan.front.server.front:
        yield from _queue(plan, plan.front, plan.front.server.front.accept_queue)


def _queue(plan: Plan, service: Service, queue: AcceptQueue) -> Iterator[Planned]:
    names = plan.names(service, requests=plan.asked.requests)
    where = f"{service.server.where}: accept_queue"
    backlog = int(count(queue.backlog, names, where=f"{where}.backlog"))
    listeners = int(count(queue.queues, names, where=f"{where}.queues"))
    if listeners:
        yield Planned(service.name, backlog, listeners)
