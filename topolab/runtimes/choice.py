"""Which runtime: the one that was asked for, or the one that this machine has."""

from __future__ import annotations

from topolab.errors import LabError
from topolab.runtimes import engine
from topolab.runtimes.base import Runtime
from topolab.runtimes.compose import ComposeRuntime
from topolab.runtimes.lifecycle import Runtimes
from topolab.runtimes.process import ProcessRuntime

RUNTIMES: Runtimes = {"process": ProcessRuntime(), "compose": ComposeRuntime()}


def choose(name: str) -> tuple[Runtime, str]:
    """The runtime of that name. For `auto`, also a line that says which one it is and why."""
    if name == "process":
        return RUNTIMES["process"], ""
    if name == "systemd":
        raise LabError(
            "--runtime systemd is for hosts. Name them: --hosts INVENTORY (make: HOSTS=INVENTORY); this machine "
            "alone is ansible/inventory/local.yml."
        )
    problem = engine.problem()
    if name == "compose":
        if problem:
            raise LabError(problem)
        return RUNTIMES["compose"], ""
    if problem:
        return RUNTIMES["process"], f"runtime: process ({problem.split('. ')[0]})"
    return RUNTIMES["compose"], "runtime: compose (a container engine answers; --runtime process runs without it)"
