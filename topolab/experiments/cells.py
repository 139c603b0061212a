"""What a campaign can measure: each experiment by its name, as one function of one plan on stacks of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from topolab.errors import LabError
from topolab.experiments import burst, deadwork, identity, isolation, latency, memory, overload, throughput
from topolab.experiments.capacity import OnEvent, capacity
from topolab.loads import Calibration, RawLap
from topolab.plan import Plan
from topolab.results import Run
from topolab.runtimes.base import Runtime


@dataclass(frozen=True, slots=True)
class Terms:
    """What every cell of a campaign is measured under.

    `options`: what was asked for beyond the plan, by name; each experiment takes those that it has. `kept` gets the
    samples of the cell that is measured.
    """

    calibration: Calibration | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    kept: list[RawLap] = field(default_factory=list)


Measure = Callable[[Runtime, Plan, OnEvent, Terms], Run]


@dataclass(frozen=True, slots=True)
class Experiment:
    """How it is measured, with how many requests where nobody says otherwise, and which of `Terms.options` it takes."""

    measure: Measure
    requests: int = 1000
    takes: tuple[str, ...] = ()


def _plain(run: Callable[[Runtime, Plan, OnEvent], Run]) -> Measure:
    """An experiment that takes a plan and nothing else."""
    return lambda runtime, plan, on_event, _terms: run(runtime, plan, on_event)


def _loaded(run: Callable[..., Run], *takes: str) -> Experiment:
    """An experiment of laps: it keeps their samples, and knows what the instrument can do."""

    def measure(runtime: Runtime, plan: Plan, on_event: OnEvent, terms: Terms) -> Run:
        options = {name: value for name, value in terms.options.items() if name in takes}
        if "work" in takes and "works" in terms.options:
            [options["work"]] = terms.options["works"]
        return run(runtime, plan, on_event, calibration=terms.calibration, kept=terms.kept, **options)

    return Experiment(measure, takes=takes)


EXPERIMENTS: dict[str, Experiment] = {
    "capacity": Experiment(_plain(capacity)),
    "throughput": _loaded(throughput.run, "works", "seconds", "connections", "keepalive"),
    "latency": _loaded(latency.run, "work", "rates", "arrivals", "seconds", "connections", "keepalive"),
    "overload": _loaded(overload.run, "work", "steps", "seconds", "keepalive"),
    "memory": Experiment(_plain(memory.run)),
    "identity": Experiment(_plain(identity.run), requests=40),
    "isolation": Experiment(_plain(isolation.run), requests=200),
    "deadwork": Experiment(_plain(deadwork.run), requests=200),
    "burst": Experiment(_plain(lambda runtime, plan, on_event: burst.run(runtime, [plan], on_event)), requests=400),
}


def require_taken(experiments: Sequence[str], options: Mapping[str, Any]) -> None:
    """Every option is taken by one of the experiments, and one that takes a single kind of work gets one."""
    for option in options:
        names = (option, "work") if option == "works" else (option,)
        if not any(name in EXPERIMENTS[experiment].takes for experiment in experiments for name in names):
            who = [experiment for experiment, it in EXPERIMENTS.items() if any(name in it.takes for name in names)]
            typed = "work" if option == "works" else option
            raise LabError(f"--{typed} is for {', '.join(who)}. Measure one of them (--experiments), or leave it out.")
    for experiment in experiments:
        if "work" in EXPERIMENTS[experiment].takes and len(options.get("works", ())) > 1:
            raise LabError(
                f"--work names several, and {experiment} takes one kind at a time. Name one, or leave {experiment} out."
            )
