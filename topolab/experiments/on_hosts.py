"""Capacity on hosts: the same plan on each at the same time, each with the instrument beside it; one run per host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from topolab.errors import LabError
from topolab.experiments.capacity import Clock, Pace, arguments, command, judged, observation
from topolab.limits import LIMITS
from topolab.plan import Plan
from topolab.results import CapacityRun, Host, NotRun, SettingValue
from topolab.runtimes import greeting, hosts
from topolab.runtimes.plays import Inventory, OnStep
from topolab.runtimes.rollout import HostRuntime


def capacity(inventory: Inventory, runtime: HostRuntime, plan: Plan, on_step: OnStep) -> Iterator[CapacityRun | NotRun]:
    """One result for each host, in the order of their names. Raises `LabError` when none could be asked."""
    clock = Clock()
    ended = hosts.measure(inventory, plan, runtime, arguments(plan, Pace.of(plan.asked.requests)), on_step=on_step)
    for name, end in ended.items():
        where = ["--hosts", inventory.path, "--only", name]
        again = command(plan, runtime, where)
        if end.result is None:
            reason = end.problem or "it handed nothing back"
            yield NotRun("capacity", plan.name, runtime, f"{name}: {reason}", again, plan.asked, failed=True, host=name)
            continue
        try:
            yield _run(name, runtime, plan, end.result, clock, again)
        except (LookupError, ValueError) as error:
            raise LabError(f"{name}: its answer can't be read: {error}. Is ansible/ of this same version?") from error


def _run(
    name: str, runtime: HostRuntime, plan: Plan, result: Mapping[str, Any], clock: Clock, again: str
) -> CapacityRun:
    there = plan.with_limits(_limits(runtime, plan, result)).on(cpus=result["host"]["cores"])
    versions = greeting.versions(result["greeting"], plan)
    return judged(there, runtime, observation(result["observation"]), _host(name, result), versions, clock, again)


def _limits(runtime: HostRuntime, plan: Plan, result: Mapping[str, Any]) -> dict[str, SettingValue]:
    """As granted. Units share their host's network namespace: what nobody asked for is what the host has there."""
    granted: dict[str, SettingValue] = {
        name: LIMITS[name].parsed(str(value), where=name) for name, value in result["granted"].items() if name in LIMITS
    }
    if runtime == "systemd":
        for name, limit in LIMITS.items():
            key = (limit.sysctl or "").replace("/", ".")
            if key and name not in plan.demanded and result["host"]["sysctls"].get(key) is not None:
                granted[name] = LIMITS[name].parsed(str(result["host"]["sysctls"][key]), where=key)
    return granted


def _host(name: str, result: Mapping[str, Any]) -> Host:
    found = result["host"]
    return Host(
        name=name,
        os=found["os"],
        kernel=found["kernel"],
        cpu=found["cpu"],
        cores=found["cores"],
        memory_bytes=found["memory_bytes"],
        somaxconn=int(found["sysctls"]["net.core.somaxconn"]),
        nofile_hard=found["nofile_hard"],
    )
