"""Dead work: clients leave while their requests wait or run. How many run all the same, by where they stood?"""

from __future__ import annotations

from collections.abc import Iterator

from topolab.behaviours import DeadWork, DeadWorkRun
from topolab.experiments.beside import beside
from topolab.experiments.capacity import OnEvent, Pace
from topolab.model import predict
from topolab.plan import Plan
from topolab.results import Finding
from topolab.runtimes.base import Runtime

DEADLINE_S = 30.0


def run(runtime: Runtime, plan: Plan, on_event: OnEvent) -> DeadWorkRun:
    """Holds `plan.asked.requests`, lets every client hang up, and counts the views that come to the gate afterwards."""
    pace = Pace.of(plan.asked.requests)
    words = ["--requests", str(plan.asked.requests), "--rate", f"{pace.rate:g}", "--deadline", f"{DEADLINE_S:g}"]
    words += ["--route", plan.asked.route]
    seen = beside(runtime, plan, "deadwork", words, DeadWork, on_event)
    turned_away = predict(plan, plan.asked.requests).ledger.turned_away
    return DeadWorkRun(**seen.judged(list(_findings(seen.result, turned_away))), dead_work=seen.result)


def _findings(seen: DeadWork, turned_away: int) -> Iterator[Finding]:
    ended = seen.requests - sum(place.left for place in seen.left)
    if ended > turned_away:
        yield Finding(
            "requests_failed",
            f"{ended} of {seen.requests} requests had an end before their clients could leave, and the model says "
            f"that the server turns {turned_away} away.",
        )
