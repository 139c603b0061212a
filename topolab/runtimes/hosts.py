"""Stacks on hosts: what can be asked of many at once, each a playbook of ansible/. The hosts keep the records."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from topolab.errors import LabError
from topolab.plan import Plan
from topolab.runtimes.plays import Ended, Inventory, OnStep, play
from topolab.runtimes.rollout import MOST_PORT, HostRuntime, rollout

MEASURED_FROM, MEASURED_TO = 20_000, 30_000  # ports for stacks of one measurement: below where the kernel's own begin


def up(inventory: Inventory, plan: Plan, runtime: HostRuntime, *, port: int, on_step: OnStep) -> dict[str, Ended]:
    """Brings a plan up on every host, with its limits, and reads back what the kernel applied."""
    if port > MOST_PORT:
        raise LabError(f"port {port} leaves no room above it for the ports inside. Choose one below {MOST_PORT + 1}.")
    return play("up", inventory, {"topolab_plan": rollout(plan, runtime, port=port)}, on_step)


def measure(
    inventory: Inventory, plan: Plan, runtime: HostRuntime, experiment: Sequence[str], *, on_step: OnStep
) -> dict[str, Ended]:
    """Brings a plan up on every host, runs the instrument beside it, and takes it down again, however that ends."""
    port = random.randrange(MEASURED_FROM, MEASURED_TO)
    stack = f"{plan.name}.{port}"
    rolled = rollout(plan, runtime, port=port, stack=stack, experiment=experiment)
    try:
        return play("measure", inventory, {"topolab_plan": rolled}, on_step)
    except KeyboardInterrupt:
        down(inventory, [stack], on_step=on_step)  # the play that would have done it was ended half-way
        raise


def down(inventory: Inventory, stacks: Sequence[str], *, on_step: OnStep) -> dict[str, Ended]:
    """Takes stacks down on every host; all of them without names."""
    return play("down", inventory, {"topolab_stacks": list(stacks)}, on_step)


def status(inventory: Inventory, *, on_step: OnStep) -> dict[str, Ended]:
    """What is up on every host."""
    return play("status", inventory, {}, on_step)


def logs(inventory: Inventory, stack: str, *, since: str = "", on_step: OnStep) -> dict[str, Ended]:
    """What a stack's services print on every host."""
    return play("logs", inventory, {"topolab_stack": stack, "topolab_since": since}, on_step)


def tune(inventory: Inventory, limits: Sequence[Mapping[str, Any]], *, on_step: OnStep) -> dict[str, Ended]:
    """Gives every host these limits."""
    return play("tune", inventory, {"topolab_plan": {"limits": list(limits)}}, on_step)


def untune(inventory: Inventory, *, on_step: OnStep) -> dict[str, Ended]:
    """Takes back exactly what was changed."""
    return play("untune", inventory, {}, on_step)
