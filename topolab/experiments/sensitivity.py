"""Sensitivity: change one setting or limit at a time. Which of them moves the ledger, and is it the one that binds?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from topolab.behaviours import Knob, SensitivityRun
from topolab.errors import LabError
from topolab.experiments.capacity import OnEvent, capacity, command
from topolab.ledger import SPOTS, Ledger
from topolab.limits import LIMITS
from topolab.model import lines
from topolab.plan import Plan, WithValue
from topolab.results import CapacityRun, Finding, Prediction, SettingValue
from topolab.runtimes.base import Runtime
from topolab.settings import Setting

MOST_REQUESTS = 3_000  # as many threads, say, take a second to begin


@dataclass(frozen=True, slots=True)
class Turn:
    """One number or switch of a plan, and what it may be instead, the best first."""

    name: str  # as the model names its lines
    value: SettingValue
    others: tuple[SettingValue, ...]
    with_value: WithValue


def run(runtime: Runtime, plan: Plan, on_event: OnEvent) -> SensitivityRun:
    """Measures the plan, then each number doubled (or halved, where that can't be) and each switch turned, alone.

    With as many requests as were asked for; where no limit binds at so many, with as many as it takes. A knob counts
    as moved when the ledger is one that the plan as it is can't have.
    """
    plan = binding(plan)
    base = capacity(runtime, plan, on_event)
    told: list[Finding] = []
    knobs = tuple(_knob(runtime, base, turn, on_event, told) for turn in turns(plan))
    found = (*base.findings, *told, *_findings(base, knobs))
    return SensitivityRun(
        topology=base.topology, runtime=base.runtime, asked=base.asked, plan=base.plan, host=base.host,
        versions=base.versions, started=base.started, seconds=base.seconds + sum(knob.seconds for knob in knobs),
        command=command(plan, runtime.name, experiment="sensitivity"),
        findings=found, verdict="SUSPECT" if found else "VALID", bound_by=base.predicted.bound_by, knobs=knobs,
    )  # fmt: skip


def binding(plan: Plan) -> Plan:
    """The same plan, with a tenth more requests than its first limit allows where it asks for fewer than that."""
    first = lines(plan, plan.asked.requests)[0].at
    more = plan.asked.requests if math.isinf(first) else int(first * 1.1) + 1
    return plan.asking(more) if plan.asked.requests < more <= MOST_REQUESTS else plan


def turns(plan: Plan) -> Iterator[Turn]:
    """Each number and switch of the plan's servers and limits that may have another value at all.

    0 is often a server's own rule. For the number that binds, what the rule makes of it stands in its place.
    """
    first = lines(plan, plan.asked.requests)[0]
    for service in plan.topology.services:
        for name, setting in service.server.settings.items():
            full = name if service.name == "app" else f"{service.name}.{name}"
            value = plan.settings[service.name][name]
            if full == first.bound_by and setting.type == "int" and not value and not math.isinf(first.at):
                value = int(first.at) // plan.processes()
            if others := _others(setting, value):
                yield Turn(full, value, others, partial(plan.with_setting, service, name))
    for name, limit in LIMITS.items():
        if name in plan.limits and (others := _others(limit, plan.limits[name])):
            yield Turn(name, plan.limits[name], others, partial(_with_limit, plan, name))


def _with_limit(plan: Plan, name: str, value: SettingValue) -> Plan:
    return plan.with_limits({name: value}).demanding(name)


def _others(setting: Setting, value: SettingValue) -> tuple[SettingValue, ...]:
    if setting.type == "bool":
        return (not value,)
    if setting.type == "int" and isinstance(value, int) and value:
        return tuple(other for other in (value * 2, value // 2) if other and not setting.problem_with(other))
    return ()


def _knob(runtime: Runtime, base: CapacityRun, turn: Turn, on_event: OnEvent, told: list[Finding]) -> Knob:
    """Measured once, and again where the first time leaves a doubt; `told` gets the doubts that stay."""
    there, other, why_not = _possible(runtime, turn)
    if there is None:
        return Knob(turn.name, turn.value, other, tried=False, why_not=why_not)
    what = f"{turn.name} {turn.value} -> {other}"
    try:
        run = capacity(runtime, there, on_event)
        if run.findings:
            run = capacity(runtime, there, on_event)
    except LabError as error:
        told.append(Finding("knob_differs", f"{what} could not be measured: {error}"))
        return Knob(turn.name, turn.value, other, tried=False, why_not=str(error))
    told += [Finding("knob_differs", f"{what}: {finding.message}") for finding in run.findings]
    moved = differs(base.predicted, run.measured.ledger)
    expected = differs(base.predicted, run.predicted.ledger)
    return Knob(turn.name, turn.value, other, moved=moved, expected=expected, seconds=run.seconds,
                places=run.measured.places)  # fmt: skip


def _possible(runtime: Runtime, turn: Turn) -> tuple[Plan | None, SettingValue, str]:
    """The plan with the first other value that can be had here, and that value; or why none can."""
    problems = []
    for other in turn.others:
        try:
            there = runtime.check(turn.with_value(other))
            if turn.name in LIMITS and there.limits[turn.name] != other:
                raise LabError(f"{turn.name} stays {there.limits[turn.name]} here")
        except LabError as error:
            problems.append(str(error))
        else:
            return there, other, ""
    return None, turn.others[0], problems[0]


def differs(predicted: Prediction, ledger: Ledger) -> bool:
    """Whether that ledger is none that was predicted."""
    return any(not predicted.ledger.at(*spot).allows(ledger.at(*spot).count) for spot in SPOTS)


def _findings(base: CapacityRun, knobs: tuple[Knob, ...]) -> Iterator[Finding]:
    for knob in knobs:
        if knob.tried and knob.moved != knob.expected:
            says = "moves" if knob.expected else "does not move"
            yield Finding(
                "knob_differs",
                f"The model says that {knob.name} {knob.value} -> {knob.other} {says} the ledger, and it did "
                f"{'' if knob.moved else 'not '}move.",
            )
    bound = (base.predicted.bound_by or "").partition("=")[0]  # `threaded=false` names a switch
    if (limit := bound.removeprefix("front.")) in LIMITS:  # `front.nofile`: one knob for all services
        bound = limit
    mine = [knob for knob in knobs if knob.name == bound and knob.tried]
    if mine and not any(knob.moved for knob in mine):
        yield Finding("knob_differs", f"{bound} binds, as the model says, but changing it moved nothing.")
