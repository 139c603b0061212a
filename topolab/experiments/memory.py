"""Memory: what do a worker, a request in flight and an idle connection cost?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from topolab import findings
from topolab.experiments.capacity import OnEvent
from topolab.experiments.ceilings import as_python_counts, slots
from topolab.experiments.stand import stand
from topolab.loads import Footprint, MemoryRun, Work
from topolab.model import predict
from topolab.plan import Plan
from topolab.results import Finding
from topolab.runtimes.base import Runtime

IDLE = 100
FEW = 8  # what fewer of them cost can't be told from what the server does by itself


def run(runtime: Runtime, plan: Plan, on_event: OnEvent, *, idle: int = IDLE) -> MemoryRun:
    """Two stacks, one after the other: requests held in one, idle connections kept in the other.

    As many requests are held as there are handlers, `plan.asked.requests` at most.
    """
    with stand(runtime, plan, on_event, pinned=False, as_server=True) as first:
        plan = as_python_counts(plan, first.versions.get("python", ""))
        held = min(plan.asked.requests, slots(plan, Work())[0])
        seen = first.memory(requests=held)
    with stand(runtime, plan, on_event, pinned=False, as_server=True, read_back=False) as second:
        kept = second.memory(idle=idle)
    seen = replace(seen, idle=kept.idle, idle_connections=kept.idle_connections, before_idle=kept.before_idle)
    found = (*first.found, *_served(plan, held, seen.served))
    envelope = first.envelope("memory", (), requests=plan.asked.requests, idle=idle)
    return MemoryRun(
        **{**envelope, "findings": found, "verdict": findings.verdict(found)},
        memory=seen,
        workers=plan.processes(),
        per_worker_bytes=seen.at_rest.pss_bytes // plan.processes(),
        per_request_bytes=_each(seen.at_rest, seen.full, seen.served),
        per_connection_bytes=_each(kept.at_rest, kept.idle, kept.idle_connections),
    )


def _each(before: Footprint, after: Footprint, number: int) -> int | None:
    """What each of them cost; None where there are too few to tell, or it is too little to be seen."""
    cost = after.pss_bytes - before.pss_bytes
    return cost // number if number >= FEW and cost > 0 else None


def _served(plan: Plan, held: int, served: int) -> Iterator[Finding]:
    expected = predict(plan, held).ledger.at("app", "handler")
    if not expected.allows(served):
        yield Finding(
            "prediction_differs",
            f"{served} of {held} requests were in a handler, {expected.count} predicted, so their memory was shared "
            "out wrongly. Run it again; `topolab capacity` shows where the others stand.",
        )
