"""Ceilings: the most requests/s that can come out, from one request alone and from what the model says of the plan."""

from __future__ import annotations

from topolab.errors import LabError
from topolab.expressions import count
from topolab.listeners import expected
from topolab.loads import Ceiling, Lap, Work
from topolab.model import ends, predict
from topolab.plan import Plan
from topolab.topology import Service

MANY = 10_000  # so many requests take every slot that there is
COUNTS_ITS_OWN = (3, 13)  # the first Python whose thread pools count the CPUs they may use, not the machine's


def ceiling(plan: Plan, work: Work, python: str, *, alone: Lap, costs: Lap) -> Ceiling:
    """`slots / service time` or `CPUs / CPU time`, whichever is less.

    `alone`: one client that asks for this work; `costs`: a few, without what only waits. `python`: the version that
    serves. Raises `LabError` where one of them had no good answer.
    """
    for lap in (alone, costs):
        if not lap.answered or not lap.achieved:
            got = ", ".join(f"{fated.count} {fated.fate} {fated.status or ''}".strip() for fated in lap.fates)
            raise LabError(
                f"{plan.name}: no good answer to {lap.offered.label} within {lap.offered.seconds:g} s "
                f"({got or 'none was due'}). Look at what the server says: `topolab up`, then `topolab logs`."
            )
    assert alone.answered
    service_s = alone.answered.p50_s
    cpu_s = _cpu_each_s(costs)
    number, name = slots(as_python_counts(plan, python), work)
    cpus = busy_cpus(plan, work)
    by_slots, by_cpu = number / service_s, cpus / cpu_s if cpu_s else float("inf")
    return Ceiling(
        rate=round(min(by_slots, by_cpu), 3),
        bound_by=name if by_slots <= by_cpu else "CPU",
        service_s=service_s,
        cpu_s=round(cpu_s, 9),
        slots=number,
        cpus=cpus,
    )


def cheapest(*laps: Lap) -> Lap:
    """The one in which a request took the least CPU time; of those that nothing disturbed, where there are any.

    Whatever disturbs a request makes it dearer: in one lap it was seen to take 1.9 times what it took in the next.
    """
    return min(laps, key=lambda lap: (bool(lap.findings), _cpu_each_s(lap)))


def _cpu_each_s(lap: Lap) -> float:
    return (lap.machine.server_cpu_s or 0.0) / (lap.achieved * lap.machine.wall_s) if lap.achieved else float("inf")


def as_python_counts(plan: Plan, python: str) -> Plan:
    """The plan with as many CPUs as the server's Python counts, for servers that make a thread for each."""
    version = tuple(int(part) for part in python.split(".")[:2] if part.isdigit())
    return plan.on(plan.server_cpus) if version >= COUNTS_ITS_OWN else plan


def slots(plan: Plan, work: Work) -> tuple[int, str]:
    """How many requests for that work are served at the same moment, and what draws that line."""
    if work.name == "front-static":
        admitted = [(at, name) for (service, _place), at, name in ends(plan, MANY) if service == "front"]
        at, name = admitted[0] if admitted else (0, "")
        return int(min(at, MANY)), name
    seen = predict(plan, MANY)
    return seen.ledger.at("app", "handler").count, seen.bound_by or seen.next_limit or "slots"


def busy_cpus(plan: Plan, work: Work) -> int:
    """How many CPUs the servers can use for it: those they are pinned to, as far as they can keep them busy."""
    services = plan.topology.services[1:] if work.name == "front-static" else plan.topology.services
    return min(plan.server_cpus, sum(_busy(plan, service) for service in services))


def _busy(plan: Plan, service: Service) -> int:
    server = service.server
    formula = server.processes if server.busy_cpus is None else server.busy_cpus
    each = int(count(formula, plan.names(service), where=f"{server.where}: busy_cpus"))
    return each * (plan.topology.instances if service.name == "app" else 1)


def enough(plan: Plan, limit: Ceiling, *, kept: bool, least: int = 16, most: int = 512) -> int:
    """Connections of a closed loop that fill what is to be full: four times what is under way at the ceiling.

    Requests that wait come back in convoys, and with twice as many the CPU was seen idle for a tenth of the time. Of
    connections that are kept no more than the server takes: those outside would wait for ever. Of new ones no more than
    its accept queue holds: a convoy comes all at once, and whom it turns away comes back after a second.
    """
    if not kept:
        most = min(most, max(least, _queue(plan)))
    wanted = min(most, max(least, round(4 * limit.rate * limit.service_s)))
    return max(1, wanted - outside(plan, wanted, kept=kept))


def most_kept(plan: Plan) -> int:
    """Of connections that are kept the most that the server takes; 0 where the model knows of no end to them."""
    inside = MANY - outside(plan, MANY, kept=True) - predict(plan, MANY).ledger.turned_away
    return inside if inside < MANY else 0


def _queue(plan: Plan) -> int:
    """How many connections the accept queue holds that clients come to."""
    queues = expected(plan)
    return queues[-1].bound + 1 if queues else 0


def outside(plan: Plan, connections: int, *, kept: bool) -> int:
    """How many of so many connections the server does not take, as the model has it.

    In the accept queue a connection has its turn when another ends: never, where they are kept. Only an event loop
    that a request blocks takes it before the next request.
    """
    ledger = predict(plan, connections).ledger
    loops = plan.front is None and plan.unit() == "one thread"
    queued = ledger.at("front" if plan.front else "app", "accept_queue").count if kept and not loops else 0
    return queued + ledger.at("client", "unanswered").count


def most_inside(plan: Plan, connections: int, *, kept: bool) -> int:
    """Of so many connections the most that the server takes, and turns none of away, as the model has it; at least 1.

    It has to take twice as many: one that has gone counts for a moment beside the one that comes in its place.
    """
    for number in range(connections, 1, -1):
        if not outside(plan, 2 * number, kept=kept) and not predict(plan, 2 * number).ledger.turned_away:
            return number
    return 1
