"""One experiment of the instrument beside one stack: what the experiments on behaviour share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter

from topolab import findings, host
from topolab.errors import LabError
from topolab.experiments.capacity import Clock, OnEvent, command, require_alive, what_died
from topolab.plan import Plan
from topolab.results import Finding
from topolab.runtimes.base import Runtime
from topolab.runtimes.lifecycle import temporary

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen:
    """What the instrument saw, and everything of the run but what it means."""

    result: Any
    envelope: dict[str, Any]

    def judged(self, found: Sequence[Finding]) -> dict[str, Any]:
        """The arguments that every kind of `Run` takes."""
        return {**self.envelope, "findings": tuple(found), "verdict": findings.verdict(tuple(found))}


def beside(
    runtime: Runtime, plan: Plan, experiment: str, words: Sequence[str], kind: type[T], on_event: OnEvent
) -> Seen:
    """Brings the plan up, runs the instrument's experiment, and takes it down again.

    `plan` has passed `runtime.check`. Raises `LabError` when the stack or the instrument fails.
    """
    clock = Clock()
    on_event({"event": "progress", "phase": "starting"})
    with temporary(runtime, plan) as stack:
        versions = stack.versions()
        try:
            with stack.instrument() as ask:
                asked = [experiment, "--processes", str(plan.processes()), *words]
                result = result_of(ask(asked), kind, on_event)
        except LabError as error:
            raise what_died(runtime, stack, error) from error
        require_alive(runtime, stack)
        on_event({"event": "progress", "phase": "stopping"})
    return Seen(
        result,
        {
            "topology": plan.name,
            "runtime": runtime.name,
            "asked": plan.asked,
            "plan": plan.environment(),
            "host": host.fingerprint(),
            "versions": versions,
            "command": command(plan, runtime.name, experiment=experiment),
            "started": clock.started,
            "seconds": clock.seconds,
        },
    )


def result_of(events: Any, kind: type[T], on_event: OnEvent) -> T:
    """The instrument's last event as what it saw; the others are passed on."""
    for event in events:
        if event["event"] == "result":
            return TypeAdapter(kind).validate_python({key: value for key, value in event.items() if key != "event"})
        on_event(event)
    raise LabError("The instrument ended without a result. Run it again.")


Experiment = Callable[[Runtime, Plan, OnEvent], Any]
