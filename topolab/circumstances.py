"""The circumstances of runs: what else differs between two sets of them, so that their figures can't be compared."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, get_args

from topolab.loads import LoadRun
from topolab.results import Run

Circumstance = Literal["machine", "kernel", "runtime", "versions", "settings", "app", "work"]
CIRCUMSTANCES: tuple[Circumstance, ...] = get_args(Circumstance)

# Options of a command that a figure's name, its load or the plan say as well.
ELSEWHERE = {"work", "rates", "steps", "arrivals", "keepalive", "runtime", "set", "limits", "app"}
NOT_A_SETTING = {  # of a plan: names, and what `versions` and `app` say
    "TOPOLOGY", "VERSION", "FRONT_VERSION", "APP", "OWN_APP",
}  # fmt: skip


def differences(before: Sequence[Run], after: Sequence[Run]) -> Iterator[tuple[str, str]]:
    """What else differs between two groups of runs, and how."""
    for what, of in _OF.items():
        first, second = _values(before, of), _values(after, of)
        if all(value in second for value in first) and all(value in first for value in second):
            continue  # in whatever order they came
        names = dict.fromkeys(name for values in (*first, *second) for name in values)
        parts = []
        for name in names:
            was = tuple(dict.fromkeys(values.get(name, "none") for values in first))
            is_ = tuple(dict.fromkeys(values.get(name, "none") for values in second))
            if was != is_:
                parts.append(f"{name} {both(was, is_)}" if name else both(was, is_))
        yield what, ", ".join(parts)


def _values(runs: Sequence[Run], of: Callable[[Run], dict[str, str]]) -> list[dict[str, str]]:
    """Each once; more than one where runs of one side differ among themselves."""
    found: list[dict[str, str]] = []
    for run in runs:
        if (value := of(run)) not in found:
            found.append(value)
    return found


def _machine(run: Run) -> dict[str, str]:
    host = run.host
    memory = f"{host.memory_bytes / 2**30:.0f} GiB"
    return {"CPU": host.cpu, "cores": str(host.cores), "memory": memory, "os": host.os, "host": host.name}


def _settings(run: Run) -> dict[str, str]:
    found = {name.lower(): value or "unset" for name, value in run.plan.items() if name not in NOT_A_SETTING}
    if isinstance(run, LoadRun) and run.pins:
        found["CPUs of the server"] = ",".join(map(str, run.pins.server))
    return found


def _asked(run: Run) -> dict[str, str]:
    """What was offered, as far as a figure's own load does not say it."""
    if isinstance(run, LoadRun):
        return {name: value for name, value in _options(run.command) if name not in ELSEWHERE}
    return {"requests": str(run.asked.requests), "route": run.asked.route, "hold": f"{run.asked.hold_s:g} s"}


def _options(command: str) -> Iterator[tuple[str, str]]:
    """The options of a command, `--name value` each."""
    words = shlex.split(command)
    for option, value in itertools.pairwise(words):
        if option.startswith("--"):
            yield option[2:], value


_OF: dict[str, Callable[[Run], dict[str, str]]] = {
    "machine": _machine,
    "kernel": lambda run: {"": run.host.kernel},
    "runtime": lambda run: {"": run.runtime},
    "versions": lambda run: run.versions,
    "settings": _settings,
    "app": lambda run: {"": run.plan.get("OWN_APP") or run.plan.get("APP") or "the lab's own"},
    "work": _asked,
}


def both(before: Sequence[str], after: Sequence[str]) -> str:
    """`2 or 4 and 8`."""
    return f"{' or '.join(before)} and {' or '.join(after)}"
