"""A runtime that starts nothing: its stacks answer with what a test scripted. Ships beside the real ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from topolab import listeners
from topolab.errors import LabError
from topolab.ledger import PlaceCount
from topolab.plan import Plan
from topolab.results import AfterRelease, InstrumentReport, ListenerQueue, Observation, to_json
from topolab.runtimes.base import Ask, Event, RuntimeName, Say, Stack


def observation(
    *places: PlaceCount, listeners: tuple[ListenerQueue, ...] = (), after: AfterRelease | None = None
) -> Observation:
    """What a perfect instrument saw: at rest, on time, every request answered at release."""
    total = sum(place.count for place in places)
    return Observation(
        places=places,
        listeners=listeners,
        after_release=after or AfterRelease(answered=total, failed=0, left=0, seconds_to_last=0.1),
        instrument=InstrumentReport(
            rate_asked=2000, rate_got=2000, lateness_p99_s=0.0001, lateness_max_s=0.001, cpu_s=0.1,
            memory_bytes=40_000_000, descriptor_limit=20_000, descriptors_short=0, seconds_to_rest=0.8, at_rest=True,
            processes_asked=1, processes_seen=1,
        ),
    )  # fmt: skip


Script = Callable[[Sequence[str]], Any]


@dataclass
class FakeRuntime:
    """Each topology gives the observation (or the error) that is scripted for it.

    For other experiments than capacity a script is a function: it gets the instrument's arguments, and gives a result.
    """

    script: Mapping[str, Observation | LabError | Script]
    not_here: dict[str, LabError] = field(default_factory=dict)
    not_made: dict[str, LabError] = field(default_factory=dict)
    up_now: list[str] = field(default_factory=list)
    died: dict[str, str] = field(default_factory=dict)  # how the server of a topology ends under its measurement
    name: RuntimeName = "process"

    def check(self, plan: Plan) -> Plan:
        if plan.name in self.not_here:
            raise self.not_here[plan.name]
        return plan

    def prepare(self, plans: Sequence[Plan], say: Say) -> dict[str, LabError]:
        say(f"prepared {', '.join(plan.name for plan in plans)}")
        return {plan.name: self.not_made[plan.name] for plan in plans if plan.name in self.not_made}

    def up(self, plan: Plan, name: str, *, port: int | None, temporary: bool) -> Stack:
        self.up_now.append(name)
        return FakeStack(name, plan, port or 8000, self)

    def stop(self, name: str) -> None:
        self.up_now.remove(name)

    def alive(self, name: str) -> dict[str, str]:
        how = self.died.get(name.partition(".")[0], "running")
        return {"app": how if name in self.up_now else "gone"}

    def logs(self, name: str, *, follow: bool) -> int:
        return 0


@dataclass
class FakeStack:
    """A stack of the fake runtime."""

    name: str
    plan: Plan
    port: int
    runtime: FakeRuntime

    def instrument(self, *, as_server: bool = False) -> AbstractContextManager[Ask]:
        return contextlib.nullcontext(self._events)

    def versions(self) -> dict[str, str]:
        return {"python": "3.11.2"}

    def image_bytes(self) -> dict[str, int]:
        return {}

    def down(self) -> None:
        self.runtime.stop(self.name)

    def _events(self, arguments: Sequence[str]) -> Iterator[Event]:
        scripted = self.runtime.script[self.plan.name]
        yield {"event": "progress", "phase": "opening", "done": 1, "of": 1}
        if isinstance(scripted, LabError):
            raise scripted
        if not isinstance(scripted, Observation):
            yield {"event": "result", **to_json(scripted(arguments))}
            return
        queues = tuple(
            ListenerQueue(queue.service, "fake", recv_q=0, send_q=queue.bound, unaccepted=0)
            for queue in listeners.expected(self.plan)
        )
        yield {"event": "result", **to_json(replace(scripted, listeners=scripted.listeners or queues))}
