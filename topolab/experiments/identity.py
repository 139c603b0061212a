"""Identity: who serves successive and concurrent requests, and does one wait for a busy worker beside a free one?"""

from __future__ import annotations

from collections.abc import Iterator

from topolab.behaviours import Identity, IdentityRun, Served
from topolab.errors import NotRunnable
from topolab.experiments.beside import beside
from topolab.experiments.capacity import OnEvent
from topolab.model import lines
from topolab.plan import Plan
from topolab.results import Finding, Unit
from topolab.runtimes.base import Runtime

SHORT_MS, LONG_MS, LONG_EVERY = 2.0, 400.0, 10  # as the instrument mixes them
AT_ONCE_MS, DEADLINE_S = 100.0, 20.0  # as the instrument has them: for each of those at once, and for the last
LEAST = 40  # at once: of fewer, workers that take one each can't be told from greenlets
LOAD = 0.6  # of what the handlers could serve
MOST_RATE = 150.0  # requests per second: more and the machine, not the server, is what waits
MIXED_S = 6.0


def run(runtime: Runtime, plan: Plan, on_event: OnEvent) -> IdentityRun:
    """30 requests one by one, as many at once as were asked for, and short and long ones mixed.

    The mix comes at 60 % of what the handlers could serve.
    """
    at_once = plan.asked.requests
    if at_once < LEAST:
        raise NotRunnable(
            f"identity asks by {at_once} requests at once, and can't tell by so few who serves them.",
            remedy=f"--requests {LEAST}, or more.",
        )
    expected = plan.unit()
    handlers = handlers_of_one_process(plan)
    mean_s = (SHORT_MS * (LONG_EVERY - 1) + LONG_MS) / LONG_EVERY / 1000
    rate = min(MOST_RATE, LOAD * handlers * plan.processes() / mean_s)
    mixed = 0 if expected == "process per request" else int(rate * MIXED_S)  # there, no worker waits for requests
    patience_s = max(DEADLINE_S, 2 * at_once * AT_ONCE_MS / 1000 / (handlers * plan.processes()))
    words = ["--handlers", str(handlers), "--rate", f"{rate:.2f}", "--mixed", str(mixed)]
    words += ["--concurrent", str(at_once), "--deadline-s", f"{patience_s:g}"]
    seen = beside(runtime, plan, "identity", words, Identity, on_event)
    got = unit_of(seen.result)
    found = list(_findings(expected, got, seen.result))
    return IdentityRun(**seen.judged(found), expected=expected, seen=got, identity=seen.result)


def handlers_of_one_process(plan: Plan) -> int:
    """As the model's first limit on handlers says, for one of the processes."""
    most = min((line.at for line in lines(plan, 1_000)), default=1_000.0)
    return max(1, int(min(most, 1_000_000) // plan.processes()))


def unit_of(identity: Identity) -> Unit:
    """What kind of thing serves a request, from what the views could tell."""
    one_by_one, at_once = identity.successive, identity.concurrent
    if not one_by_one.answered or not at_once.answered:
        return "unknown"
    if one_by_one.processes == one_by_one.answered:
        return "process per request"
    if one_by_one.units == one_by_one.answered:
        return "thread per request" if one_by_one.native_threads == one_by_one.answered else "greenlet per request"
    if at_once.native_threads == at_once.processes < at_once.at_once:
        return "greenlet per request"  # that a view can't tell apart: the app was loaded before threads were patched
    return "one thread" if _alone(one_by_one) and _alone(at_once) else "thread pool"


def _alone(served: Served) -> bool:
    return served.units == served.processes


def _findings(expected: Unit, got: Unit, identity: Identity) -> Iterator[Finding]:
    if got != expected:
        yield Finding(
            "unit_differs",
            f"The server's description says {expected}, and {got} was seen: its `serves_with` "
            "(topologies/servers/) is wrong for these settings.",
        )
    for what, served in (("one by one", identity.successive), ("at once", identity.concurrent)):
        if served.answered < served.requests:
            yield Finding(
                "requests_failed",
                f"{served.requests - served.answered} of {served.requests} requests that were sent {what} got no good "
                "answer. The server's log says why: `topolab logs`.",
            )
    crossing = identity.crossing
    if crossing and crossing.answered < crossing.requests:
        yield Finding(
            "requests_failed",
            f"{crossing.requests - crossing.answered} of {crossing.requests} mixed requests got no good answer.",
        )
