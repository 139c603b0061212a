"""Picking: which topologies meet a need, by the model and by what was measured, and why the others don't."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from topolab.choices import Choice, Need, Picked, RuledOut
from topolab.errors import LabError
from topolab.excess import SAID, Fate, excess
from topolab.experiments.fit import holds, solve, surely
from topolab.expressions import count
from topolab.facts import Costs, Facts
from topolab.model import predict
from topolab.plan import Plan, resolve
from topolab.topology import Catalog, Service

MB = 1_000_000
ENOUGH = 100  # requests in flight that tell what one takes
BOUNDLESS: tuple[Fate, ...] = ("waits", "runs as well", "descriptors run out")  # what is worst to have by accident
STEP = 1.1  # requests/s, and bytes, are ranked by the power of this that they are nearest to, so by steps


def pick(catalog: Catalog, facts: Facts, need: Need, *, limits_name: str = "default") -> Picked:
    """Every topology weighed."""
    catalog.limit_sets.values(limits_name)  # one that there is not is one error, and not one for each topology
    measured = Measured.of(catalog, facts)
    choices, ruled_out = [], []
    for name in catalog.names:
        try:
            choice = _choice(catalog, measured, need, name, limits_name)
            problem = _problem(choice, need)
        except LabError as error:
            text = str(error).removeprefix(f"{name}: ")
            problem, choice = text[0].upper() + text[1:], None
        if choice and not problem:
            choices.append(choice)
        else:
            ruled_out.append(RuledOut(name, problem or ""))
    return Picked(need, tuple(sorted(choices, key=lambda choice: _rank(choice, need))), tuple(ruled_out))


def _rank(choice: Choice, need: Need) -> tuple[float, ...]:
    """Those of which what is wanted was measured; that hold it for sure, have a bound, and need no caution; then most
    requests/s (of those that are wanted), least memory (unknown last), fewest processes, servers, settings changed.
    Requests/s and memory count in steps of ten percent: what is less apart is mostly alike, and told apart where a
    step's edge lies between.
    """
    plan = choice.plan
    unknown = (need.memory_mb and choice.memory_bytes is None) or (need.rate and choice.costs.own_cpu_s is None)
    doubts = (unknown, choice.because is not None, choice.beyond.fate in BOUNDLESS, choice.cautions)
    return (
        *map(bool, doubts),
        -_step(min(choice.rate, need.comes_out)),
        math.inf if choice.memory_bytes is None else _step(choice.memory_bytes),
        plan.processes(),
        len(plan.topology.services),
        len(plan.asked.settings) + len(plan.asked.limits),
    )


def _step(value: float) -> float:
    return round(math.log(value) / math.log(STEP)) if 0 < value < math.inf else value


def _choice(catalog: Catalog, measured: Measured, need: Need, name: str, limits_name: str) -> Choice:
    """The topology at the settings that hold what is wanted. Raises `LabError` where none do."""
    plan = resolve(catalog, name, limits_name=limits_name, requests=need.target.requests).on(need.cpus)
    if plan.topology.entry != "single":
        raise LabError("Serves several apps in one process, to show what these share.")
    for service in plan.topology.services:
        if service.server.discouraged:
            raise LabError(service.server.discouraged + ".")
    plan = solve(_on_all_cpus(plan, need), need.target)
    if need.fail == "fast":
        plan = _refusing(plan, need)
    plan.require_startable()
    return _weighed(plan, measured.costs(plan), need)


def _weighed(plan: Plan, costs: Costs, need: Need) -> Choice:
    """The plan with its figures."""
    beyond = excess(plan, need.too_many)
    predicted = predict(plan, need.in_flight)
    sure = surely(predicted)
    return Choice(
        plan,
        surely=sure,
        because=predicted.because if sure < need.in_flight else None,
        slots=beyond.ledger.at("app", "handler").count,
        service_s=(need.io_ms + need.cpu_ms) / 1000 + (costs.own_s or 0.0),
        busy_cpus=_busy(plan, need.cpus),
        cpu_s=need.cpu_ms / 1000 + (costs.own_cpu_s or 0.0),
        costs=costs,
        memory_bytes=_memory(plan, costs, need),
        cautions=tuple(_cautions(plan, need)),
        beyond=beyond,
    )


def _problem(choice: Choice, need: Need) -> str | None:
    """Why it does not do after all."""
    if need.rate and choice.rate < need.rate:
        return f"At most {choice.rate:,.0f} requests/s, by its {choice.bound_by}; {need.rate:,.0f} are wanted."
    if need.memory_mb and choice.memory_bytes and choice.memory_bytes > need.memory_mb * MB:
        return (
            f"Needs about {choice.memory_bytes / MB:,.0f} MB with {choice.sets or 'its own settings'}, and "
            f"{need.memory_mb:,} are there."
        )
    if need.fail == "fast" and choice.beyond.fate != "refused at once":
        return f"Refuses nobody at once: the excess is {SAID[choice.beyond.fate]}."
    return None


@dataclass(frozen=True, slots=True)
class Measured:
    """The topologies that the campaign measured, as plans: by their likeness others are judged."""

    plans: tuple[Plan, ...]
    facts: Facts

    @classmethod
    def of(cls, catalog: Catalog, facts: Facts) -> Measured:
        names = sorted({run.topology for run in facts.measured} & set(catalog.names))
        return cls(tuple(resolve(catalog, name) for name in names), facts)

    def costs(self, plan: Plan) -> Costs:
        """What it takes by itself; where that was not measured, what the most alike of the same app server takes.

        What a request takes is that of the dearest of its kind, if that is more, where too few were in flight to tell.
        """
        kin = [other for other in self.plans if other.app.server.server == plan.app.server.server]
        nearest = max(kin, key=lambda other: self._likeness(plan, other), default=plan)
        found = self.facts.costs(nearest.name)
        same = [self.facts.costs(other.name) for other in self.plans if other.unit() == plan.unit()]
        dearest = max(same, key=lambda costs: costs.request_bytes or 0, default=None)
        own, other = found.request_bytes or 0, dearest.request_bytes or 0 if dearest else 0
        if found.worker_bytes is None or dearest is None or found.requests >= ENOUGH or own >= other:
            return found
        return replace(found, request_bytes=dearest.request_bytes, request_of=dearest.topology)

    @staticmethod
    def _likeness(plan: Plan, other: Plan) -> tuple[bool, bool, int]:
        settings = plan.settings["app"].items() & other.settings["app"].items()
        return (other.name == plan.name, other.unit() == plan.unit(), len(settings))


def _on_all_cpus(plan: Plan, need: Need) -> Plan:
    """With a process for each CPU at least, where views compute and the server has a setting for that."""
    name = plan.app.server.processes
    if not (need.cpu_ms and isinstance(name, str) and name in plan.app.server.settings):
        return plan
    value = plan.settings["app"][name]
    each = math.ceil(need.cpus / plan.topology.instances)
    return plan.with_setting(plan.app, name, each) if isinstance(value, int) and value < each else plan


def _refusing(plan: Plan, need: Need) -> Plan:
    """With queues as short as is wanted, by the server's own rule; a setting that would cost handlers stays."""
    for service in plan.topology.services:
        for name, value in _short(plan, service, need):
            changed = plan.with_setting(service, name, value)
            if plan.settings[service.name][name] != value and holds(changed, need.target):
                plan = changed
    return plan


def _short(plan: Plan, service: Service, need: Need) -> Iterator[tuple[str, int]]:
    names = {**plan.names(service), "in_flight": need.in_flight, "queue": need.queue}
    for name, formula in service.server.to_refuse.items():
        value = int(count(formula, names, where=f"{service.server.where}: to_refuse.{name}"))
        yield name, max(value, service.server.settings[name].min or 0)


def _cautions(plan: Plan, need: Need) -> Iterator[str]:
    """What to know of it, from its description; and of greenlets, which share a thread."""
    yield from plan.cautions()
    if plan.unit() == "greenlet per request" and need.cpu_ms > need.io_ms:
        yield "All greenlets of a process share one thread: while one view computes, all others of it stand still."


def _busy(plan: Plan, cpus: int) -> int:
    """How many CPUs its views can use: the interpreter's lock leaves each process one."""
    return cpus if plan.unit() == "process per request" else min(cpus, plan.processes())


def _memory(plan: Plan, costs: Costs, need: Need) -> int | None:
    """Processes and requests in flight, by what each was measured to take."""
    if costs.worker_bytes is None:
        return None
    return plan.processes() * costs.worker_bytes + need.in_flight * (costs.request_bytes or 0)
