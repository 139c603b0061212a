"""Fit: which settings and limits give so many in handlers and so many more that wait? Solved by the model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from topolab.errors import LabError
from topolab.ledger import PlaceCount
from topolab.limits import LIMITS
from topolab.model import ends, lines, predict
from topolab.plan import Plan, WithValue, resolve
from topolab.results import Prediction
from topolab.settings import Setting
from topolab.topology import Catalog

MOST_STEPS = 40  # each raises one number; more than any topology has
BACKLOGS = ("backlog", "listen_backlog", "request_queue_size")


@dataclass(frozen=True, slots=True)
class Target:
    """What is wanted: requests in handlers at the same time, and requests that wait without being turned away."""

    in_flight: int
    queue: int

    @property
    def requests(self) -> int:
        return self.in_flight + self.queue


class Impossible(LabError):
    """No settings of this topology give that; the text says which line stands, and what could."""


def solve(plan: Plan, target: Target) -> Plan:
    """The plan with the fewest numbers raised, each as little as it takes. Raises `Impossible`."""
    for _ in range(MOST_STEPS):
        name, held = _in_the_way(plan, target)
        if name is None:
            return plan
        plan = _raised(plan, name, held, target)
    raise Impossible(
        f"{plan.name}: no settings were found for {target.in_flight} in flight and {target.queue} waiting."
    )


def alternatives(
    catalog: Catalog, target: Target, *, but: str, limits_name: str = "default", most: int = 3
) -> list[str]:
    """Other topologies that can, and start, with these limits, by their names, the standard ones first."""
    names = sorted(catalog.names, key=lambda name: (not catalog.topology(name).standard, name))
    found: list[str] = []
    for name in names:
        if name == but or len(found) == most:
            continue
        try:
            solve(resolve(catalog, name, limits_name=limits_name, requests=target.requests), target).require_startable()
        except LabError:
            continue
        found.append(name)
    return found


def holds(plan: Plan, target: Target) -> bool:
    """Whether the model says that the plan gives that."""
    return _in_the_way(plan, target)[0] is None


def surely(predicted: Prediction) -> int:
    """So many are in handlers whatever chance does."""
    handler = predicted.ledger.at("app", "handler")
    return handler.count if handler.at_least is None else handler.at_least


def _in_the_way(plan: Plan, target: Target) -> tuple[str | None, float]:
    """The line that has to be raised next, and where it is now. None: nothing is in the way."""
    first = lines(plan, target.requests)[0]
    if first.at < target.in_flight:
        return first.bound_by, first.at
    ledger = predict(plan, target.requests).ledger
    if ledger.at("app", "handler").count < target.in_flight:
        return first.bound_by, first.at
    if any(map(_outside, ledger)):
        for spot, at, name in ends(plan, target.requests):
            if spot == ("front", "waiting") and at < target.requests:
                return name, at
        return "backlog", 0
    return None, math.inf


def _outside(place: PlaceCount) -> bool:
    """Whether some are turned away or stand before a full queue, as a front's own connections can (`connecting`)."""
    client = place.service == "client" and place.place != "answered"
    return bool(place.count) and (client or place.place == "connecting")


def _raised(plan: Plan, name: str, held: float, target: Target) -> Plan:
    """The plan with that number as high as it takes, or `Impossible`."""
    if name == "backlog":
        return _with_room(plan, target)
    for setting, value, with_value in _numbers(plan, name):
        for candidate in _upwards(setting, value):
            if _enough(with_value(candidate), name, target):
                return _least(value, candidate, with_value, name, target)
        most = f"{setting.max:,} is the most that it can be" if setting.max else "raising it does not help"
        raise Impossible(f"{plan.name}: {name} is what binds ({held:,.0f} in handlers), and {most}.")
    raise Impossible(f"{plan.name}: at most {held:,.0f} in handlers, by {name}, which is no setting and no limit.")


def _least(low: int, high: int, with_value: WithValue, name: str, target: Target) -> Plan:
    """Between two values of a number, the smallest that is enough."""
    while low + 1 < high:
        middle = (low + high) // 2
        if _enough(with_value(middle), name, target):
            high = middle
        else:
            low = middle
    return with_value(high)


def _enough(plan: Plan, name: str, target: Target) -> bool:
    """Whether that line is not in the way any more: not only because another one comes before it."""
    if any(line.at < target.in_flight for line in lines(plan, target.requests) if line.bound_by == name):
        return False
    return _in_the_way(plan, target)[0] != name


def _with_room(plan: Plan, target: Target) -> Plan:
    """The plan with a backlog, and a somaxconn, that holds those who wait."""
    for one in (plan.app, *([plan.front] if plan.front else [])):
        for name in BACKLOGS:
            setting = one.server.settings.get(name)
            value = plan.settings[one.name].get(name)
            if setting and isinstance(value, int) and value < target.queue:
                if setting.problem_with(target.queue):
                    raise Impossible(_too_many(plan, f"{one.name}.{name}", setting, target))
                return _least(value, target.queue, partial(plan.with_setting, one, name), "backlog", target)
    somaxconn = plan.limits.get("somaxconn")
    if isinstance(somaxconn, int) and somaxconn < target.queue:
        if LIMITS["somaxconn"].problem_with(target.queue):
            raise Impossible(_too_many(plan, "somaxconn", LIMITS["somaxconn"], target))
        return plan.with_limits({"somaxconn": target.queue}).demanding("somaxconn")
    raise Impossible(
        f"{plan.name}: what finds no handler is turned away or left outside before {target.queue} wait, and no backlog "
        "changes that."
    )


def _too_many(plan: Plan, name: str, setting: Setting, target: Target) -> str:
    return f"{plan.name}: {name} can be {setting.max} at most, and {target.queue} shall wait."


def _numbers(plan: Plan, name: str) -> Iterator[tuple[Setting, int, WithValue]]:
    """The setting or limit of that name, its value, and how the plan is with another."""
    role, _, bare = name.rpartition(".")  # the model names a front's lines by their service
    for service in plan.topology.services:
        setting, value = service.server.settings.get(bare), plan.settings[service.name].get(bare)
        if service.name == (role or "app") and setting and setting.type == "int" and isinstance(value, int):
            yield setting, value, partial(plan.with_setting, service, bare)
    if bare in LIMITS and isinstance(had := plan.limits.get(bare), int):  # one for all services
        yield LIMITS[bare], had, lambda new: plan.with_limits({bare: new}).demanding(bare)


def _upwards(setting: Setting, value: int) -> Iterator[int]:
    """Ever larger values, up to the largest that is allowed."""
    while not setting.problem_with(max(value, 1) * 2):
        value = max(value, 1) * 2
        yield value
    if setting.max and value < setting.max:
        yield setting.max
