"""Compare: the same experiment on many topologies, one after the other; what can't run does not stop the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from topolab.errors import LabError, NotRunnable
from topolab.experiments.capacity import OnEvent, capacity
from topolab.plan import Plan
from topolab.results import CapacityRun, NotRun
from topolab.runtimes.base import Runtime, Say

OnStart = Callable[[str, int, int], None]  # topology, its number from 1, how many in all


def compare(
    runtime: Runtime, plans: Sequence[Plan], *, say: Say, on_start: OnStart, on_event: OnEvent
) -> Iterator[CapacityRun | NotRun]:
    """Measures each plan and yields its result at once, so that a later crash loses nothing.

    Every plan is checked, and everything they need is made, before the first one starts.
    """
    checked = [_check(runtime, plan) for plan in plans]
    not_made = runtime.prepare([plan for plan in checked if isinstance(plan, Plan)], say)
    for number, (wanted, plan) in enumerate(zip(plans, checked, strict=True), 1):
        on_start(wanted.name, number, len(checked))
        if isinstance(plan, NotRun):
            yield plan
            continue
        try:
            if plan.name in not_made:
                raise not_made[plan.name]
            yield capacity(runtime, plan, on_event)
        except LabError as error:
            yield _failed(runtime, plan, error)


def _failed(runtime: Runtime, plan: Plan, error: LabError) -> NotRun:
    again = f"`topolab capacity {plan.name} --runtime {runtime.name}` shows it alone."
    reason = " ".join([str(error), *error.details])
    return NotRun("capacity", plan.name, runtime.name, reason, again, plan.asked, failed=True)


def _check(runtime: Runtime, plan: Plan) -> Plan | NotRun:
    try:
        return runtime.check(plan)
    except NotRunnable as error:
        return NotRun("capacity", plan.name, runtime.name, str(error), error.remedy, plan.asked)
    except LabError as error:
        return _failed(runtime, plan, error)
