"""Choices: what is wanted, and a topology that meets it at settings that do, with the figures that say so."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from typing import Literal

from topolab.excess import Excess
from topolab.experiments.capacity import overrides
from topolab.experiments.fit import Target
from topolab.facts import Costs
from topolab.plan import Plan

Fail = Literal["fast", "queue"]


@dataclass(frozen=True, slots=True)
class Need:
    """What is wanted. `queue`: so many more may wait; `rate` and `memory_mb` None: no matter.

    Each request waits `io_ms` for others and computes for `cpu_ms`.
    """

    in_flight: int
    io_ms: float = 0.0
    cpu_ms: float = 0.0
    memory_mb: int | None = None
    fail: Fail | None = None
    rate: float | None = None
    queue: int = 0
    cpus: int = 1

    @property
    def target(self) -> Target:
        """What has to be held. To fail fast, the queue is a bound and no room that has to be there."""
        return Target(self.in_flight, 0 if self.fail == "fast" else self.queue)

    @property
    def comes_out(self) -> float:
        """The requests/s that are wanted, or that those in flight come to."""
        stay_s = (self.io_ms + self.cpu_ms) / 1000
        return self.rate or (self.in_flight / stay_s if stay_s else math.inf)

    @property
    def too_many(self) -> int:
        """So many more than are wanted that they show what becomes of the excess."""
        return max(5000, 10 * self.in_flight + self.queue)


@dataclass(frozen=True, slots=True)
class Choice:
    """A topology that meets the need, at the settings that do, with the figures that say so.

    `surely` of those wanted are in handlers whatever chance does, for the reason `because` where that is fewer. `slots`
    are handlers, `service_s` and `cpu_s` the time and the CPU time of a request with the server's own part; `rate` is
    the most requests/s, by slots or CPUs. `memory_bytes` None: what it takes was not measured.
    """

    plan: Plan
    surely: int
    because: str | None
    slots: int
    service_s: float
    busy_cpus: int
    cpu_s: float
    costs: Costs
    memory_bytes: int | None
    cautions: tuple[str, ...]
    beyond: Excess

    @property
    def rate(self) -> float:
        return min(self._by_slots, self._by_cpus)

    @property
    def bound_by(self) -> str:
        return "slots" if self._by_slots <= self._by_cpus else "CPUs"

    @property
    def _by_slots(self) -> float:
        return self.slots / self.service_s if self.service_s else math.inf

    @property
    def _by_cpus(self) -> float:
        return self.busy_cpus / self.cpu_s if self.cpu_s else math.inf

    @property
    def last_waits_s(self) -> float:
        """How long the last of a full queue waits: its length by the rate; nothing where the rate is not known."""
        return self.beyond.waiting / self.rate if math.isfinite(self.rate) and self.rate else 0.0

    @property
    def sets(self) -> str:
        """What is to be typed beside its name, as options; empty where it holds the need as it is."""
        return changes(self.plan)

    @property
    def up(self) -> str:
        """What to type to bring it up."""
        return f"topolab up {self.plan.name} {self.sets}".rstrip()

    def prove(self, need: Need) -> str:
        """What to type to see that it is so: hold as many as are wanted, and as many as may wait, in these settings."""
        return f"topolab capacity {self.plan.name} --requests {need.in_flight + need.queue} {self.sets}".rstrip()


@dataclass(frozen=True, slots=True)
class RuledOut:
    """A topology that does not meet the need, and why."""

    topology: str
    because: str


@dataclass(frozen=True, slots=True)
class Picked:
    """The choices, best first, and what is ruled out."""

    need: Need
    choices: tuple[Choice, ...]
    ruled_out: tuple[RuledOut, ...]


def changes(plan: Plan) -> str:
    """What is to be typed beside a topology's name to have this plan: app, limits and settings, as options."""
    return shlex.join(overrides(plan.asked))


def held_for_sure(wanted: int, surely: int, because: str | None) -> str:
    """How many of those wanted are in handlers; where chance may leave some out, how many whatever it does, and why."""
    told = f"{wanted:,} in handlers"
    return told if surely >= wanted else f"{told}, {surely:,} of them for sure: {because}"
