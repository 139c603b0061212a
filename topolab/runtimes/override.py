"""A plan as a Compose override: what a topology's own stack of compose/ has to be told so that it is this plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from topolab.errors import NotRunnable
from topolab.limits import LIMITS
from topolab.plan import Plan
from topolab.results import SettingValue
from topolab.runtimes import compose
from topolab.runtimes.base import instances
from topolab.topology import Service

# Variables that decide which containers there are, what is in them and where they listen; and what they are named.
BEYOND = {
    "OWN_APP": "--app",
    "LISTEN": "app.listen",
    "INSTANCES": "app.instances",
    "VERSION": "app.version",
    "APP": "app.entry",
}


def override(plan: Plan, own: Plan) -> dict[str, Any]:
    """By service, what differs from `own`, the topology as its file has it. Empty where nothing does.

    Raises `NotRunnable` where an override can't say it.
    """
    mine, theirs = plan.environment(), own.environment()
    for variable, name in BEYOND.items():
        if mine.get(variable) != theirs.get(variable):
            raise NotRunnable(
                f"{name} changes what the containers are, and an override only what they are given.",
                remedy="Take `topolab up`.",
            )
    variables = {
        name: value for name, value in mine.items() if value != theirs.get(name) and name.lower() not in LIMITS
    }
    limits = {name: value for name, value in plan.limits.items() if value != own.limits.get(name)}
    found = {
        name: given
        for service in plan.programs
        for name, _ in instances(plan, service, compose.binds(plan))
        if (given := _given(service, variables, limits))
    }
    sysctls = {sysctl.replace("/", "."): limits[name] for name in limits if (sysctl := LIMITS[name].sysctl)}
    return {**found, **({"pod": {"sysctls": sysctls}} if sysctls else {})}


def _given(service: Service, variables: Mapping[str, str], limits: Mapping[str, SettingValue]) -> dict[str, Any]:
    """What a server's container gets, as common.yaml and nproc.yaml have it: all variables, and nproc the app alone."""
    own = ("nofile", "nproc") if service.name == "app" else ("nofile",)
    given = {
        "environment": dict(variables),
        "ulimits": {name: limits[name] for name in own if name in limits},
        "pids_limit": limits.get("pids"),
    }
    return {key: value for key, value in given.items() if value}
