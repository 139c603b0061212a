"""Burst: how long do instant requests wait that all come at once to an idle server, and what does the backlog do?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from topolab.behaviours import Burst, BurstAt, BurstRun
from topolab.experiments.beside import beside
from topolab.experiments.capacity import OnEvent
from topolab.listeners import planned
from topolab.model import predict
from topolab.plan import Plan
from topolab.results import Finding
from topolab.runtimes.base import Runtime

DEADLINE_S = 20.0


def run(runtime: Runtime, plans: Sequence[Plan], on_event: OnEvent) -> BurstRun:
    """The same burst for each plan: the topology as it is, and with other backlogs."""
    bursts, found, envelopes = [], [], []
    for plan in plans:
        words = ["--requests", str(plan.asked.requests), "--deadline", f"{DEADLINE_S:g}"]
        seen = beside(runtime, plan, "burst", words, Burst, on_event)
        result: Burst = seen.result
        envelopes.append(seen)
        backlog = _backlog(plan)
        bursts.append(BurstAt(backlog, result))
        at_most = predict(plan, plan.asked.requests).ledger.turned_away  # were none of them served meanwhile
        if result.failed > at_most:
            got = ", ".join(f"{count} {end}" for end, count in result.failures.items())
            found.append(
                Finding(
                    "requests_failed",
                    f"{result.failed} of {result.requests} at backlog {backlog} failed ({got}), and the model says "
                    f"that the server turns at most {at_most} away.",
                )
            )
    return BurstRun(**envelopes[0].judged(found), bursts=tuple(bursts))


def with_backlogs(plan: Plan, backlogs: Sequence[int]) -> Iterator[Plan]:
    """The plan with each of these backlogs of the server that clients come to: those that it takes, and asks the kernel
    for (gunicorn's asgi worker asks for 100, whatever is set).
    """
    service = plan.front or plan.app
    setting, seen = service.server.settings.get("backlog"), {_backlog(plan)}
    for backlog in backlogs if setting else ():
        if setting and not setting.problem_with(backlog):
            other = plan.with_setting(service, "backlog", backlog)
            if (asked := _backlog(other)) not in seen:
                seen.add(asked)
                yield other


def _backlog(plan: Plan) -> int:
    """Of the listener that clients come to; as it is set, where the model counts no queue because it never fills."""
    if queues := planned(plan):
        return queues[-1].backlog
    service = plan.front or plan.app
    return int(plan.settings[service.name].get("backlog", 0))
