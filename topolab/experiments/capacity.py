"""Capacity: send N requests that all hold. Where is each one, and which setting drew that line?"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from topolab import findings, host, listeners
from topolab.errors import LabError
from topolab.model import predict
from topolab.plan import Plan
from topolab.results import Asked, CapacityRun, Finding, Host, Measured, Observation
from topolab.runtimes.base import Event, Runtime, Stack
from topolab.runtimes.lifecycle import temporary

OnEvent = Callable[[Event], None]

NOTICE_S = 1.0  # the runtime has noticed by then that a server has ended
AFTERWARDS = (
    "The places were counted before; what the requests got after that is the end of the server, not its way to serve. "
    "Run it again; if it stays, its log says why."
)


@dataclass(frozen=True, slots=True)
class Pace:
    """How the requests arrive, and how long they may take to come to rest, and again to end after the release.

    1,000 per second is slow enough for the slowest server here to accept as they come (a thread or a fork for each):
    faster, its queue overflows on the way, and the kernel's retries have to be waited for.
    """

    rate: float  # connections opened per second
    deadline_s: float = 60.0

    @classmethod
    def of(cls, requests: int) -> Pace:
        """1,000 per second, or as many as it takes to open all within five seconds."""
        return cls(rate=max(1000.0, requests / 5))


def capacity(
    runtime: Runtime,
    plan: Plan,
    on_event: OnEvent,
    *,
    pace: Pace | None = None,
    at_end: Callable[[Stack], None] = lambda _stack: None,
) -> CapacityRun:
    """Brings the plan up, holds `plan.asked.requests` requests in it, and takes it down.

    `plan` has passed `runtime.check`; `at_end` gets the stack before it goes down. Raises `LabError` when the stack
    or the instrument fails; then nothing is left running.
    """
    pace = pace or Pace.of(plan.asked.requests)
    clock = Clock()
    on_event({"event": "progress", "phase": "starting"})
    with temporary(runtime, plan) as stack:
        versions, image_bytes = stack.versions(), stack.image_bytes()
        try:
            with stack.instrument() as ask:
                observed = _observe(ask(arguments(plan, pace)), on_event)
        except LabError as error:
            raise what_died(runtime, stack, error) from error
        died = death(runtime, stack) if _lost(observed) else None
        at_end(stack)
        on_event({"event": "progress", "phase": "stopping"})
    run = judged(plan, runtime.name, observed, host.fingerprint(), versions, clock, command(plan, runtime.name))
    if died:
        run = replace(run, verdict="SUSPECT", findings=(*run.findings, Finding("server_died", f"{died} {AFTERWARDS}")))
    return replace(run, image_bytes=image_bytes)


def _lost(observed: Observation) -> bool:
    """Whether requests ended, after the census, as those of a server do that has ended."""
    return bool(observed.after_release.failed) or any(
        one.fate in ("reset", "closed", "refused") for one in observed.held
    )


class Clock:
    """When a run began, and how long ago that is."""

    def __init__(self) -> None:
        self._began, self._monotonic = time.time(), time.monotonic()

    @property
    def started(self) -> str:
        """ISO 8601, UTC."""
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self._began)) + f".{int(self._began % 1 * 1000):03d}Z"

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self._monotonic, 3)


def judged(
    plan: Plan,
    runtime: str,
    observed: Observation,
    machine: Host,
    versions: dict[str, str],
    clock: Clock,
    command: str,
) -> CapacityRun:
    """What was observed beside what the model says of the same plan, and the reasons to doubt it."""
    predicted = replace(predict(plan, plan.asked.requests), queues=listeners.expected(plan))
    found = findings.examine(plan.asked, dict(plan.limits), predicted, observed)
    return CapacityRun(
        experiment="capacity",
        topology=plan.name,
        runtime=runtime,
        asked=plan.asked,
        predicted=predicted,
        measured=Measured(observed.places, observed.listeners, observed.applied),
        after_release=observed.after_release,
        verdict=findings.verdict(found),
        findings=found,
        instrument=observed.instrument,
        plan=plan.environment(),
        host=machine,
        versions=versions,
        command=command,
        started=clock.started,
        seconds=clock.seconds,
        held=observed.held,
    )


def what_died(runtime: Runtime, stack: Stack, error: LabError) -> LabError:
    """The instrument's error, or rather the server's, when it was the server that ended."""
    dead = death(runtime, stack)
    return LabError(dead, details=(str(error),)) if dead else error


def death(runtime: Runtime, stack: Stack) -> str | None:
    """How a server of the stack ended, in a sentence; a runtime may need a moment to notice."""
    until = time.monotonic() + NOTICE_S
    while True:
        try:
            require_alive(runtime, stack)
        except LabError as dead:
            return str(dead)
        if time.monotonic() >= until:
            return None
        time.sleep(NOTICE_S / 10)


def require_alive(runtime: Runtime, stack: Stack) -> None:
    """Raises `LabError` when a server has ended: what was seen of it then says nothing of it."""
    dead = [f"{name}: {how}" for name, how in runtime.alive(stack.name).items() if how != "running"]
    if dead:
        raise LabError(f"{stack.plan.name} died while it was measured: {', '.join(dead)}.")


def command(plan: Plan, runtime: str, where: Sequence[str] = (), experiment: str = "capacity") -> str:
    """What to type to measure this plan again; `where` are the words that name its host."""
    asked = plan.asked
    words = ["topolab", experiment, plan.name, *where, "--runtime", runtime, "--requests", str(asked.requests)]
    if asked.route != "gate":
        words += ["--route", asked.route]
    if asked.hold_s:
        words += ["--hold", f"{asked.hold_s:g}"]
    return shlex.join([*words, *overrides(asked)])


def overrides(asked: Asked) -> list[str]:
    """--app, --limits and --set, as they were typed."""
    words = ["--app", asked.app] if asked.app else []
    words += ["--limits", asked.limits_name] if asked.limits_name != "default" else []
    for name, value in {**asked.settings, **asked.limits}.items():
        words += ["--set", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
    return words


def arguments(plan: Plan, pace: Pace) -> list[str]:
    """What the instrument is told to do."""
    return [
        "capacity", "--requests", str(plan.asked.requests), "--processes", str(plan.processes()),
        "--rate", f"{pace.rate:g}", "--deadline", f"{pace.deadline_s:g}",
        "--route", plan.asked.route, "--hold", f"{plan.asked.hold_s:g}",
    ]  # fmt: skip


def observation(event: Event) -> Observation:
    """The instrument's last event as what it saw."""
    return TypeAdapter(Observation).validate_python({key: value for key, value in event.items() if key != "event"})


def _observe(events: Iterator[Event], on_event: OnEvent) -> Observation:
    for event in events:
        if event["event"] == "result":
            return observation(event)
        on_event(event)
    raise LabError("The instrument ended without a result. Run it again.")
