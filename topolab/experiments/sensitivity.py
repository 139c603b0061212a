"""Sensitivity: double one setting or limit at a time. Which of them moves the ledger, and is it the one that binds?"""

from __future__ import annotations

from collections.abc import Iterator

from topolab.behaviours import Knob, SensitivityRun
from topolab.errors import LabError
from topolab.experiments.capacity import OnEvent, capacity, command
from topolab.ledger import SPOTS, Ledger
from topolab.limits import LIMITS
from topolab.plan import Plan
from topolab.results import CapacityRun, Finding, Prediction
from topolab.runtimes.base import Runtime


def run(runtime: Runtime, plan: Plan, on_event: OnEvent) -> SensitivityRun:
    """Measures the plan, and then the same with each number doubled.

    A knob counts as moved when the ledger is one that the plan as it is can't have.
    """
    base = capacity(runtime, plan, on_event)
    knobs = tuple(_knob(runtime, base, name, value, other, on_event) for name, value, other in doublings(plan))
    found = (*base.findings, *_findings(base, knobs))
    return SensitivityRun(
        topology=base.topology, runtime=base.runtime, asked=base.asked, plan=base.plan, host=base.host,
        versions=base.versions, started=base.started, seconds=base.seconds + sum(knob.seconds for knob in knobs),
        command=command(plan, runtime.name, experiment="sensitivity"),
        findings=found, verdict="SUSPECT" if found else "VALID", bound_by=base.predicted.bound_by, knobs=knobs,
    )  # fmt: skip


def doublings(plan: Plan) -> Iterator[tuple[str, int, Plan]]:
    """Each number of the plan by its name, and the plan with twice as much of it, where that is allowed at all."""
    for service in plan.topology.services:
        for name, setting in service.server.settings.items():
            value = plan.settings[service.name][name]
            if setting.type == "int" and isinstance(value, int) and value and not setting.problem_with(value * 2):
                full = name if service.name == "app" else f"{service.name}.{name}"  # as the model names its lines
                yield full, value, plan.with_setting(service, name, value * 2)
    for name, limit in LIMITS.items():
        had = plan.limits.get(name)
        if limit.type == "int" and isinstance(had, int) and had and not limit.problem_with(had * 2):
            yield name, had, plan.with_limits({name: had * 2}).demanding(name)


def _knob(runtime: Runtime, base: CapacityRun, name: str, value: int, other: Plan, on_event: OnEvent) -> Knob:
    try:
        there = runtime.check(other)
        if there.limits.get(name, value * 2) != value * 2 and name in LIMITS:
            raise LabError(f"{name} stays {there.limits[name]} here")
        run = capacity(runtime, there, on_event)
    except LabError as error:
        return Knob(name, value, value * 2, tried=False, why_not=str(error))
    moved = differs(base.predicted, run.measured.ledger)
    expected = differs(base.predicted, run.predicted.ledger)
    return Knob(name, value, value * 2, moved=moved, expected=expected, seconds=run.seconds, places=run.measured.places)


def differs(predicted: Prediction, ledger: Ledger) -> bool:
    """Whether that ledger is none that was predicted."""
    return any(not predicted.ledger.at(*spot).allows(ledger.at(*spot).count) for spot in SPOTS)


def _findings(base: CapacityRun, knobs: tuple[Knob, ...]) -> Iterator[Finding]:
    for knob in knobs:
        if knob.tried and knob.moved != knob.expected:
            says = "moves" if knob.expected else "does not move"
            yield Finding(
                "knob_differs",
                f"The model says that {knob.name} {knob.value} -> {knob.doubled} {says} the ledger, and it did "
                f"{'' if knob.moved else 'not '}move.",
            )
    bound = base.predicted.bound_by
    mine = [knob for knob in knobs if knob.name == bound and knob.tried]
    if mine and not any(knob.moved for knob in mine):
        yield Finding("knob_differs", f"{bound} binds, as the model says, but doubling it moved nothing.")
