"""A stack on the test stand: pinned, asked lap by lap, every lap kept and judged."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from topolab import doubts, findings, host, listeners, offers, pins
from topolab.errors import LabError, NotRunnable
from topolab.experiments.beside import result_of
from topolab.experiments.capacity import Clock, OnEvent, overrides, require_alive, what_died
from topolab.experiments.ceilings import ceiling, cheapest, most_inside
from topolab.figures import work as named
from topolab.loads import Calibration, Ceiling, Lap, Loaded, MemorySeen, Offered, RawLap, Work
from topolab.plan import Plan
from topolab.results import Finding, ReadBack
from topolab.runtimes.base import Ask, Runtime, Stack
from topolab.runtimes.lifecycle import temporary
from topolab.samples import lap_of

KEPT_S, ALONE_S, COSTS_S, WARMUP_S = 0.1, 0.3, 0.4, 0.1
AGAIN = 2  # times: a shared machine stands still for half a second now and then, and a short lap shows nothing then
FEW_ANSWERS = 2  # do not tell whether connections are kept
A_FEW, ROUNDS = 16, 4  # clients; how often each is to be answered at least
ENOUGH_S = 0.1  # of the work of all of them, before each is answered: fewer do where each asks for more
PATIENCE_S, PATIENCE_TIMES = 5.0, 20.0
ONCE_S, PATH_PATIENCE_S = 0.05, 60.0  # of a person's own view nobody knows how long it takes: it is asked once


@dataclass(slots=True)
class Stand:
    """A plan that is up, and what was seen of it so far."""

    runtime: Runtime
    plan: Plan
    stack: Stack
    ask: Ask  # one instrument for all laps
    versions: dict[str, str]
    on_event: OnEvent
    clock: Clock
    calibration: Calibration | None
    kept: list[RawLap]  # every lap's samples, in the order of measuring
    found: list[Finding] = field(default_factory=list)  # of the stack, before any lap

    def load(self, laps: Sequence[Offered]) -> list[RawLap]:
        """Offers them one after the other."""
        asked = json.dumps([asdict(lap) for lap in laps])
        loaded = self._ask(["load", "--laps", asked], Loaded)
        self.kept += loaded.laps
        return list(loaded.laps)

    def memory(self, *, requests: int = 0, idle: int = 0) -> MemorySeen:
        """The stack's memory with so many requests held, and with so many idle connections."""
        words = ["memory", "--requests", str(requests), "--idle", str(idle)]
        seen: MemorySeen = self._ask(words, MemorySeen)
        return seen

    def read_back(self) -> None:
        """What the kernel made of the limits and the queues."""
        seen = self._ask(["readback"], ReadBack)
        self.found += findings.applied(self.plan.asked, self.plan.limits, listeners.expected(self.plan), seen)
        self.found += findings.missing(seen.processes_seen, self.plan.processes())

    def alone(self, works: Sequence[Work], *, keepalive: bool | None) -> tuple[list[Ceiling], bool]:
        """The ceiling of each work, by one client alone and by a few; and whether the server keeps connections.

        The few ask before and after the one, because a shared machine is slow for a second at times. `keepalive` None:
        connections are kept where the server does.
        """
        require_front(self.plan, works)
        each_s = [self._each_s(work) for work in works]
        keeps = self._keeps(works[0], each_s[0]) if keepalive is None else keepalive
        few = most_inside(self.plan, A_FEW, kept=keeps)
        asked = []
        for work, takes_s in zip(works, each_s, strict=True):
            costs = _a_few(work, takes_s, few, keepalive=keeps)
            asked += [costs, _one(work, takes_s, keepalive=keeps), costs]
        laps = [doubts.of_the_ceiling(lap_of(raw), self.plan.pins) for raw in self._until_asked(asked)]
        limits = []
        for work, before, one, after in zip(works, laps[::3], laps[1::3], laps[2::3], strict=True):
            used = {"alone": one, "costs": cheapest(before, after)}
            limits.append(ceiling(self.plan, work, self.versions.get("python", ""), **used))
            self.found += doubts.gathered(used.values())
        return limits, keeps

    def _each_s(self, work: Work) -> float:
        """How long a request takes, by what it asks for; of a person's own view, by asking once."""
        if work.name != "path":
            return (work.io_ms + work.cpu_ms) / 1000
        once = Offered(
            work, "closed", ONCE_S, connections=1, keepalive=False, timeout_s=PATH_PATIENCE_S,
            label=f"{named(work)}, how long?",
        )  # fmt: skip
        lap = lap_of(self.load([once])[0])
        return lap.answered.p50_s if lap.answered else 0.0  # what else it got, the next lap says

    def _keeps(self, work: Work, each_s: float) -> bool:
        """Whether the server uses a connection again. Some (uWSGI) close it without having said so: that is seen only
        from who has to connect again, and what is reset meanwhile is no error of the work.
        """
        asked = replace(
            _one(work, each_s, keepalive=True), seconds=max(KEPT_S, ROUNDS * each_s), warmup_s=0.0,
            label=f"{named(work)}, kept?",
        )  # fmt: skip
        for _ in range(1 + AGAIN):
            lap = lap_of(self.load([asked])[0])
            if lap.instrument.responses > FEW_ANSWERS:
                break
        return doubts.kept(lap)

    def _until_asked(self, laps: Sequence[Offered]) -> list[RawLap]:
        """Offers them one after the other, and those anew in which nothing could be sent."""
        raws = self.load(laps)
        for _ in range(AGAIN):
            if not (still := [number for number, raw in enumerate(raws) if not raw.count]):
                break
            for number, raw in zip(still, self.load([laps[number] for number in still]), strict=True):
                raws[number] = raw
        return raws

    def judge(self, raw: RawLap, limit: Ceiling, **how: Any) -> Lap:
        """A lap with its figures and its doubts; `how` as `doubts.judge` takes it."""
        return doubts.judge(lap_of(raw), ceiling=limit, calibration=self.calibration, pins=self.plan.pins, **how)

    def envelope(self, experiment: str, laps: Iterable[Lap], **options: Any) -> dict[str, Any]:
        """The arguments that every kind of `LoadRun` takes. `options`: what was asked for; None was not."""
        found = (*self.found, *doubts.gathered(laps))
        return {
            "topology": self.plan.name,
            "runtime": self.runtime.name,
            "asked": self.plan.asked,
            "verdict": findings.verdict(found),
            "findings": found,
            "plan": self.plan.environment(),
            "host": host.fingerprint(),
            "versions": self.versions,
            "command": command(self.plan, self.runtime.name, experiment, options),
            "started": self.clock.started,
            "seconds": self.clock.seconds,
            "pins": self.plan.pins,
            "calibration": self.calibration,
        }

    def _ask(self, words: Sequence[str], kind: Any) -> Any:
        return result_of(self.ask([*words, "--processes", str(self.plan.processes())]), kind, self.on_event)


@contextlib.contextmanager
def stand(
    runtime: Runtime, plan: Plan, on_event: OnEvent, *,
    calibration: Calibration | None = None, kept: list[RawLap] | None = None, pinned: bool = True,
    as_server: bool = False, read_back: bool = True,
) -> Iterator[Stand]:  # fmt: skip
    """The plan up, and pinned, for as long as the context lasts. `plan` has passed `runtime.check`.

    `kept` gets the samples as they come. `as_server`: the instrument may look at the servers' memory. `read_back`
    False: this plan's limits have been read back before. Raises `LabError` when the stack or the instrument fails; then
    nothing is left running.
    """
    clock = Clock()
    plan = plan.pinned(pins.of_this_machine()) if pinned else plan
    on_event({"event": "progress", "phase": "starting"})
    with temporary(runtime, plan) as stack:
        kept, versions = [] if kept is None else kept, stack.versions()
        try:
            with stack.instrument(as_server=as_server) as ask:
                it = Stand(runtime, plan, stack, ask, versions, on_event, clock, calibration, kept)
                if read_back:
                    it.read_back()
                yield it
        except LabError as error:
            raise what_died(runtime, stack, error) from error
        require_alive(runtime, stack)
        on_event({"event": "progress", "phase": "stopping"})


def command(plan: Plan, runtime: str, experiment: str, options: Mapping[str, Any]) -> str:
    """What to type to measure this plan again."""
    words = ["topolab", experiment, plan.name, "--runtime", runtime]
    for name, value in options.items():
        if value is not None:
            words += [f"--{name}", as_typed(value)]
    return shlex.join([*words, *overrides(plan.asked)])


def as_typed(value: Any) -> str:
    """The value of an option as one types it."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(as_typed, value))
    if isinstance(value, Work):
        return offers.typed(value)
    if isinstance(value, offers.Rate):
        return value.typed
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def usual(plan: Plan, *works: Work) -> Sequence[Work]:
    """What is asked for where nobody says: these works, but of a person's own app its front page."""
    return (offers.DEFAULTS["path"],) if plan.own else works


def require_front(plan: Plan, works: Sequence[Work]) -> None:
    """Raises `NotRunnable` where a front is to send a file and there is none."""
    if plan.front is None and any(work.name == "front-static" for work in works):
        raise NotRunnable(
            f"{plan.name} has no front that could send a file itself.",
            remedy="Ask for static, which the app sends, or choose a topology with nginx or Apache.",
        )


def patience_s(limit: Ceiling) -> float:
    """How long a client waits that is to see all of a queue."""
    return round(max(PATIENCE_S, PATIENCE_TIMES * limit.service_s), 3)


def _one(work: Work, each_s: float, *, keepalive: bool) -> Offered:
    """One client alone, for as long as it takes to be answered a few times."""
    return Offered(
        work, "closed", max(ALONE_S, ROUNDS * each_s), connections=1, keepalive=keepalive, warmup_s=WARMUP_S,
        timeout_s=max(PATIENCE_S, PATIENCE_TIMES * each_s), label=f"{named(work)}, one client",
    )  # fmt: skip


def _a_few(work: Work, each_s: float, most: int, *, keepalive: bool) -> Offered:
    """A few clients and the same work but for its wait, so that the server has always something to do.

    Between the requests of one client it falls asleep, and to wake it costs as much CPU time as a short request itself:
    granian was seen to take 0.25 ms for one client's, 0.12 ms for those of sixteen.
    """
    each_s -= work.io_ms / 1000
    clients = min(most, A_FEW if each_s * A_FEW <= ENOUGH_S else max(2, round(ENOUGH_S / each_s)))
    round_s = clients * each_s
    return Offered(
        replace(work, io_ms=0.0), "closed", max(COSTS_S, ROUNDS * round_s), connections=clients, keepalive=keepalive,
        warmup_s=WARMUP_S, timeout_s=max(PATIENCE_S, PATIENCE_TIMES * round_s), label=f"{named(work)}, CPU time",
    )  # fmt: skip
