"""From what was asked for to a runtime that is ready for it."""

from __future__ import annotations

from collections.abc import Sequence

from topolab.cli.console import say
from topolab.cli.options import Wanted
from topolab.errors import LabError
from topolab.plan import Plan
from topolab.runtimes import lifecycle
from topolab.runtimes.base import Runtime
from topolab.runtimes.choice import RUNTIMES, choose
from topolab.runtimes.rollout import HostRuntime


def runtime_for(wanted: Wanted) -> Runtime:
    """The runtime that was asked for, with nothing of killed labs left in it."""
    runtime, why = choose(wanted.runtime_name)
    if why:
        say(why)
    lifecycle.sweep(RUNTIMES, say)
    return runtime


def prepare(runtime: Runtime, plans: Sequence[Plan]) -> None:
    """Makes what the plans need; the first thing that can't be made is raised."""
    for error in runtime.prepare(plans, say).values():
        raise error


def caution(plans: Sequence[Plan]) -> None:
    """Says which settings do nothing, or kill their server."""
    for plan in plans:
        for text in plan.cautions():
            say(f"{plan.name}: {text}")


def runtime_on_hosts(wanted: Wanted) -> HostRuntime:
    """Which of a host's runtimes was asked for: containers, unless it says systemd."""
    if wanted.runtime_name == "process":
        raise LabError("--runtime process is for this machine. On hosts write compose or systemd.")
    return "systemd" if wanted.runtime_name == "systemd" else "compose"
