"""Which limits local processes can have on this machine: found out before anything starts."""

from __future__ import annotations

import os
import resource
import subprocess

from topolab.errors import LabError
from topolab.limits import LIMITS
from topolab.plan import Plan


def on_this_machine(plan: Plan) -> Plan:
    """The plan with what the machine itself fixes filled in: its somaxconn, and as many descriptors as it gives.

    A limit that was asked for and can't be had here is a `LabError` that says what can, or which runtime could.
    """
    asked = plan.limits.get("nofile")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if isinstance(asked, int) and asked > hard and not _may_raise(asked):
        if "nofile" in plan.demanded:
            raise LabError(
                f"limit nofile={asked} is not reachable here: the hard limit is {hard} and this user may not raise it. "
                f"Write --set nofile={hard}, or raise it (`ulimit -Hn`, limits.conf, LimitNOFILE=)."
            )
        plan = plan.with_limits({"nofile": hard})
    if "nproc" in plan.limits:
        why = (
            "the kernel exempts root from it"
            if os.geteuid() == 0
            else "it counts every thread of this user, whatever else they run"
        )
        raise LabError(
            f"limit nproc={plan.limits['nproc']} is not for local processes: {why}. Use --runtime compose, where the "
            "servers have a user of their own."
        )
    if "pids" in plan.limits:
        raise LabError(
            f"limit pids={plan.limits['pids']} is a container's limit: the process runtime has none. "
            "Use --runtime compose, or nproc."
        )
    own = {name: limit.here for name, limit in LIMITS.items() if limit.here is not None}
    for name, here in own.items():
        if name in plan.demanded and plan.limits[name] != here:
            raise LabError(
                f"limit {name}={plan.limits[name]}: the process runtime shares this machine's network namespace, where "
                f"it is {here}, and leaves that as it is. Use --runtime compose, where a stack has its own."
            )
    return plan.with_limits(own)


def _may_raise(nofile: int) -> bool:
    """Asks the kernel, in a process that ends at once."""
    result = subprocess.run(["prlimit", f"--nofile={nofile}:{nofile}", "true"], capture_output=True, check=False)
    return result.returncode == 0
