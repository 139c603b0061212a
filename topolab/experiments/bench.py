"""What checks of claims measure with: capacity and the instrument's other experiments, or stacks to ask oneself."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from topolab import pins
from topolab.behaviours import DeadWork, Identity
from topolab.errors import LabError
from topolab.experiments.beside import beside
from topolab.experiments.capacity import OnEvent, Pace, capacity, command, require_alive, what_died
from topolab.experiments.identity import handlers_of_one_process
from topolab.experiments.stand import Stand, stand
from topolab.ledger import Place
from topolab.loads import Pins
from topolab.plan import Plan, resolve
from topolab.results import CapacityRun, FindingCode, Route
from topolab.runtimes.base import Runtime, RuntimeName, Stack
from topolab.runtimes.lifecycle import Runtimes, temporary
from topolab.topology import Catalog

T = TypeVar("T")
Words = Callable[[Plan], Sequence[str]]  # what the instrument is told, for a plan

# With one of these the counts themselves are in doubt. The others doubt the model, or what came after the census.
UNTRUSTED: tuple[FindingCode, ...] = (
    "unbalanced", "queue_mismatch", "listener_missing", "limit_not_applied", "not_at_rest", "calls_under_way",
    "strangers", "server_occupied", "processes_missing", "instrument_descriptors",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stood:
    """Where the requests of one run stood, and what the server wrote meanwhile."""

    run: CapacityRun
    log: str

    def at(self, *places: Place) -> int:
        """How many stood at these places of any service."""
        return sum(place.count for place in self.run.measured.places if place.place in places)

    @property
    def listeners(self) -> int:
        return len(self.run.measured.listeners)


@dataclass(slots=True)
class Bench:
    """Measures, once for each question; notes what it did for the check under way."""

    runtimes: Runtimes
    catalog: Catalog
    on_event: OnEvent
    not_made: Mapping[tuple[RuntimeName, str], LabError] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    _stood: dict[str, Stood] = field(default_factory=dict)

    def begin(self) -> None:
        """A new check."""
        self.commands, self.versions = [], {}

    def capacity(
        self, name: str, *sets: str, requests: int, route: Route = "gate", hold_s: float = 0.0,
        runtime: RuntimeName = "process",
    ) -> Stood:  # fmt: skip
        """Where so many stood. Tried twice where the counts can't be trusted; then a `LabError`."""
        chosen, plan = self._plan(runtime, name, sets, requests, route, hold_s)
        typed = command(plan, runtime)
        self.commands.append(typed)
        if typed not in self._stood:
            stood = self._measured(chosen, plan)
            if doubts(stood.run):
                stood = self._measured(chosen, plan)
            for doubt in doubts(stood.run):
                raise LabError(f"{plan.name} was measured twice, and its counts can't be trusted: {doubt}")
            self._stood[typed] = stood
        self.versions |= self._stood[typed].run.versions
        return self._stood[typed]

    def identity(self, name: str, *sets: str) -> Identity:
        """Who serves 30 requests one by one, and 40 at once."""
        return self._seen("identity", Identity, name, sets, 40, lambda plan: [
            "--handlers", str(handlers_of_one_process(plan)), "--mixed", "0", "--rate", "1",
        ])  # fmt: skip

    def dead_work(self, name: str, *sets: str, requests: int) -> DeadWork:
        """What ran for clients that had gone."""
        pace = Pace.of(requests)
        return self._seen("deadwork", DeadWork, name, sets, requests, lambda plan: [
            "--requests", str(requests), "--rate", f"{pace.rate:g}", "--deadline", "30", "--route", plan.asked.route,
        ])  # fmt: skip

    @contextlib.contextmanager
    def up(self, name: str, *sets: str) -> Iterator[Stack]:
        """A stack to ask oneself; the server's own end, where that is why asking failed."""
        runtime, plan = self._plan("process", name, sets, 1, "gate", 0.0)
        self.on_event({"event": "progress", "phase": f"starting {name}"})
        with temporary(runtime, plan) as stack:
            self.versions |= stack.versions()
            try:
                yield stack
                require_alive(runtime, stack)
            except LabError as error:
                raise what_died(runtime, stack, error) from error

    @contextlib.contextmanager
    def on_stand(self, name: str, *sets: str) -> Iterator[Stand]:
        """A stack under load: one CPU for the server, another for the instrument, whatever else the machine has."""
        runtime, plan = self._plan("process", name, sets, 1, "gate", 0.0)
        found = pins.of_this_machine()
        if not found:
            raise LabError("Server and instrument need a CPU each: this machine has one.")
        pair = Pins(found.server[:1], found.instrument[:1])
        with stand(runtime, plan.pinned(pair), self.on_event, pinned=False) as it:
            self.versions |= it.versions
            yield it

    def tell(self, phase: str, done: int = 0, of: int = 0) -> None:
        self.on_event({"event": "progress", "phase": phase, "done": done, "of": of})

    def _measured(self, runtime: Runtime, plan: Plan) -> Stood:
        log = io.StringIO()

        def read(stack: Stack) -> None:
            require_alive(runtime, stack)
            with contextlib.redirect_stdout(log):
                runtime.logs(stack.name, follow=False)

        return Stood(capacity(runtime, plan, self.on_event, at_end=read), log.getvalue())

    def _seen(self, experiment: str, kind: type[T], name: str, sets: Sequence[str], requests: int, words: Words) -> T:
        runtime, plan = self._plan("process", name, sets, requests, "gate", 0.0)
        self.commands.append(command(plan, runtime.name, experiment=experiment))
        seen = beside(runtime, plan, experiment, words(plan), kind, self.on_event)
        self.versions |= seen.envelope["versions"]
        result: T = seen.result
        return result

    def _plan(
        self, runtime: RuntimeName, name: str, sets: Sequence[str], requests: int, route: Route, hold_s: float
    ) -> tuple[Runtime, Plan]:
        if (runtime, name) in self.not_made:
            raise self.not_made[runtime, name]
        chosen = self.runtimes[runtime]
        plan = resolve(self.catalog, name, sets=sets, requests=requests, route=route, hold_s=hold_s)
        return chosen, chosen.check(plan)


def doubts(run: CapacityRun) -> list[str]:
    """Why its counts can't be trusted."""
    return [finding.message for finding in run.findings if finding.code in UNTRUSTED]
