"""Stacks from start to end: for one measurement, or until somebody takes them down."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from topolab.errors import LabError
from topolab.plan import Plan
from topolab.runtimes import state
from topolab.runtimes.base import Runtime, RuntimeName, Say, Stack
from topolab.runtimes.interrupts import shielded

Runtimes = Mapping[RuntimeName, Runtime]


@dataclass(frozen=True, slots=True)
class StackStatus:
    """One recorded stack and how its services are."""

    record: state.Record
    services: Mapping[str, str]

    @property
    def running(self) -> bool:
        return bool(self.services) and all(how == "running" for how in self.services.values())


@contextlib.contextmanager
def temporary(runtime: Runtime, plan: Plan) -> Iterator[Stack]:
    """A stack for one measurement, on any free port; gone when the context is left, however."""
    name = f"{plan.name}.{os.getpid()}"
    with state.claim(name):
        stack = runtime.up(plan, name, port=None, temporary=True)
        try:
            yield stack
        finally:
            with shielded():
                stack.down()


def up(runtimes: Runtimes, runtime: Runtime, plan: Plan, *, port: int) -> tuple[state.Record, bool]:
    """A stack that stays up. Returns its record, and whether it was started now.

    One of the same plan that already runs is left as it is; a dead one is cleared away and started anew;
    one with other settings is a `LabError`.
    """
    with state.claim(plan.name), state.claim(f"port-{port}"):
        record = state.read(plan.name)
        if record:
            running = StackStatus(record, runtimes[record.runtime].alive(plan.name)).running
            same = (record.plan, record.runtime, record.port) == (plan.environment(), runtime.name, port)
            if running and same:
                return record, False
            if running:
                raise LabError(
                    f"{plan.name} is already up on port {record.port} ({record.runtime}) with "
                    f"{_difference(record, plan, runtime, port)}. "
                    f"Type `topolab down {plan.name}` first (make: make down TOPOLOGY={plan.name})."
                )
            with shielded():
                runtimes[record.runtime].stop(plan.name)
        runtime.up(plan, plan.name, port=port, temporary=False)
        started = state.read(plan.name)
        assert started
        return started, True


def down(runtimes: Runtimes, name: str) -> None:
    """Stops one recorded stack."""
    with state.claim(name):
        record = state.read(name)
        if record is None:
            raise LabError(f"{name} is not up. `topolab status` shows what is.")
        with shielded():
            runtimes[record.runtime].stop(name)
            state.forget(name)


def force_down(runtimes: Runtimes, name: str) -> None:
    """Stops whatever runs of a stack, in any runtime, without reading its record.

    The record is forgotten only when every runtime could be asked: containers outlive an engine that is down.
    """
    with state.claim(name), shielded():
        for runtime in runtimes.values():
            runtime.stop(name)
        state.forget(name)


def status(runtimes: Runtimes) -> tuple[list[StackStatus], list[LabError]]:
    """Every recorded stack, and what is wrong with those that can't be read."""
    stacks, problems = [], []
    for name in state.names():
        try:
            if record := state.read(name):
                stacks.append(StackStatus(record, runtimes[record.runtime].alive(name)))
        except LabError as error:
            problems.append(error)
    return stacks, problems


def sweep(runtimes: Runtimes, say: Say) -> None:
    """Clears away temporary stacks whose lab was killed: those whose name nobody holds."""
    for name in state.names():
        try:
            record = state.read(name)
            if record and record.temporary:
                with state.claim(name), shielded():
                    if state.read(name):  # another lab may have been quicker
                        say(f"clearing away {name}, left behind by a topolab that was killed")
                        runtimes[record.runtime].stop(name)
                        state.forget(name)
        except state.Busy:
            continue  # its lab is at work
        except LabError as error:  # no reason not to do what was asked for now
            say(f"{name} could not be cleared away: {error}")


def _difference(record: state.Record, plan: Plan, runtime: Runtime, port: int) -> str:
    wanted = plan.environment()
    keys = [key for key in wanted if wanted[key] != record.plan.get(key)]
    if keys:
        return ", ".join(f"{key.lower()}={record.plan.get(key) or 'unset'}" for key in keys)
    return f"another port than {port}" if record.runtime == runtime.name else f"another runtime than {runtime.name}"
