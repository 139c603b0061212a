"""Isolation: under concurrency, are request, g, session and current_app each request's own, and a module global not?"""

from __future__ import annotations

from collections.abc import Iterator

from topolab.behaviours import Isolation, IsolationRun
from topolab.experiments.beside import beside
from topolab.experiments.capacity import OnEvent
from topolab.model import predict
from topolab.plan import Plan
from topolab.results import Finding
from topolab.runtimes.base import Runtime

OWN = (
    "request",
    "g",
    "session",
    "current_app",
    "nested_app",
    "local",
    "local_stack",
    "contextvar",
)  # what Flask and Werkzeug promise
CONTROL = "module_global"  # what nobody promises: the check has to see it broken wherever it can be
WAIT_MS = 50.0
BACKLOGS, ROOMY = ("backlog", "listen_backlog"), 1024


def run(runtime: Runtime, plan: Plan, on_event: OnEvent) -> IsolationRun:
    """`plan.asked.requests` at once, each with an id of its own that it leaves everywhere, and looks for again."""
    plan = roomy(plan)
    words = ["--requests", str(plan.asked.requests), "--wait-ms", f"{WAIT_MS:g}"]
    words += ["--use-async"] if plan.asked.route == "async" else []
    seen = beside(runtime, plan, "isolation", words, Isolation, on_event)
    return IsolationRun(**seen.judged(list(examine(seen.result, OWN))), isolation=seen.result)


def roomy(plan: Plan) -> Plan:
    """The same plan, with a longer backlog where requests would get an error for want of one."""
    turned_away = predict(plan, plan.asked.requests).ledger.turned_away
    for name in BACKLOGS:
        if turned_away and name in plan.app.server.settings:
            return plan.with_setting(plan.app, name, ROOMY)
    return plan


def examine(seen: Isolation, own: tuple[str, ...]) -> Iterator[Finding]:
    """What of `own` was not; and whether the check could have seen it."""
    kept = {place.place: place for place in seen.kept}
    for name in own:
        place = kept.get(name)
        if place is None or place.kept < place.checked:
            lost = "was not looked at" if place is None else f"was another request's in {place.checked - place.kept}"
            yield Finding("not_isolated", f"{name} {lost} of {seen.answered} requests.")
    if seen.answered < seen.requests:
        yield Finding(
            "requests_failed", f"{seen.requests - seen.answered} of {seen.requests} requests got no good answer."
        )
    control = kept.get(CONTROL)
    shared = seen.at_once > seen.counters  # then two views of one process have run at the same moment
    if control and shared and control.kept == control.checked:
        yield Finding(
            "control_held",
            f"{seen.at_once} views ran at the same moment in {seen.counters} processes, and a module global was still "
            "each request's own: this check would not have seen anything. Run it with more requests.",
        )
