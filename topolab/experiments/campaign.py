"""A campaign: every cell that is still to be measured, one after the other, each on a stack of its own."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from topolab.campaigns import Cell, Folder, Result
from topolab.errors import LabError, NotRunnable
from topolab.experiments.capacity import OnEvent
from topolab.experiments.cells import Measure, Terms
from topolab.loads import LoadRun, RawLap
from topolab.plan import Plan
from topolab.results import NotRun, Run
from topolab.runtimes.base import Runtime, Say

Plans = Mapping[tuple[str, str], Plan]  # by experiment and topology
OnStart = Callable[[Cell, int, int], None]  # its number from 1, and how many in all
ATTEMPTS = 2
VAIN = 3  # cells in a row that the machine was busy in once more: it will be in the next


def run(
    folder: Folder, runtime: Runtime, measures: Mapping[str, Measure], plans: Plans, terms: Terms, *,
    say: Say, on_start: OnStart, on_event: OnEvent, attempts: int = ATTEMPTS,
) -> Iterator[tuple[Cell, Result]]:  # fmt: skip
    """Measures each cell that has no run yet, and stores it before it yields it: an end at any moment loses one cell.

    What fails is stored with its reason, and the others go on. At the end come those cells once more that the machine
    was busy in (`Folder.disturbed`), until each was measured `attempts` times, or until that helps no more: the less
    disturbed run stays. Whether it was busy is nothing that a server could choose, so this picks no result.
    """
    todo, done = folder.todo, len(folder.campaign.cells) - len(folder.todo)
    keys = dict.fromkeys(map(_key, [*todo, *folder.disturbed(attempts)]))
    checked = {key: _checked(runtime, key[0], plans[key]) for key in keys}
    makeable = {plan.name: plan for plan in checked.values() if isinstance(plan, Plan)}
    not_made = runtime.prepare(list(makeable.values()), say)

    def measured(cell: Cell) -> Result:
        plan = checked[_key(cell)]
        terms.kept.clear()
        if isinstance(plan, NotRun):
            return plan
        if plan.name in not_made:
            return _failed(runtime, cell.experiment, plan, not_made[plan.name])
        return _measured(runtime, cell, plan, measures[cell.experiment], terms, on_event)

    for number, cell in enumerate(todo, done + 1):
        on_start(cell, number, len(folder.campaign.cells))
        result = measured(cell)
        folder.store(cell, result, _samples(terms.kept))
        yield cell, result
    vain = 0
    for attempt in range(2, attempts + 1):
        again = folder.disturbed(attempt)
        if again:
            say(f"the machine was busy while {len(again)} of {len(folder.campaign.cells)} cells were measured: again")
        for number, cell in enumerate(again, 1):
            if cell not in folder.disturbed(attempt):
                continue  # by now most of its repeats are undisturbed
            on_start(cell, number, len(again))
            before, now = folder.results[cell], measured(cell)
            assert isinstance(before, LoadRun)
            if isinstance(now, LoadRun) and now.disturbed < before.disturbed:
                result, kept = replace(now, attempts=attempt), terms.kept
            else:
                result, kept = replace(before, attempts=attempt), []
            folder.store(cell, result, _samples(kept))
            yield cell, result
            vain = vain + 1 if not isinstance(now, LoadRun) or now.disturbed else 0
            if vain >= VAIN and (left := len(folder.disturbed(attempts))):
                say(
                    f"the machine is still busy: {left} cells stay as they are. When it is quiet, "
                    f"`topolab compare --resume {folder.campaign.name}` measures them again"
                )
                return


def _key(cell: Cell) -> tuple[str, str]:
    return cell.experiment, cell.topology


def _measured(runtime: Runtime, cell: Cell, plan: Plan, measure: Measure, terms: Terms, on_event: OnEvent) -> Result:
    try:
        run = measure(runtime, plan, on_event, terms)
        return replace(run, repeat=cell.repeat) if isinstance(run, LoadRun) else run
    except LabError as error:
        return _failed(runtime, cell.experiment, plan, error)


def _samples(kept: Sequence[RawLap]) -> bytes:
    """As they stand beside the run; also of what failed in the middle."""
    if not kept:
        return b""
    from topolab.samples import packed  # numpy: other verbs start sooner without it

    return packed(kept)


def _checked(runtime: Runtime, experiment: str, plan: Plan) -> Plan | NotRun:
    try:
        return runtime.check(plan)
    except NotRunnable as error:
        return NotRun(experiment, plan.name, runtime.name, str(error), error.remedy, plan.asked)
    except LabError as error:
        return _failed(runtime, experiment, plan, error)


def _failed(runtime: Runtime, experiment: str, plan: Plan, error: LabError) -> NotRun:
    again = f"`topolab {experiment} {plan.name} --runtime {runtime.name}` shows it alone."
    reason = " ".join([str(error), *error.details])
    return NotRun(experiment, plan.name, runtime.name, reason, again, plan.asked, failed=True)


@dataclass
class TimeLeft:
    """How long what is left will take: the median of what each experiment took so far."""

    folder: Folder
    attempts: int = ATTEMPTS

    def seconds(self) -> float | None:
        """None as long as nothing was measured. An experiment that had no turn yet counts like the others."""
        taken: dict[str, list[float]] = {}
        for cell, result in self.folder.results.items():
            if isinstance(result, Run):
                taken.setdefault(cell.experiment, []).append(result.seconds)
        if not taken:
            return None
        every = statistics.median(_flat(list(taken.values())))
        each = {experiment: statistics.median(seconds) for experiment, seconds in taken.items()}
        left = [*self.folder.todo, *self.folder.disturbed(self.attempts)]
        return sum(each.get(cell.experiment, every) for cell in left)


def _flat(lists: Sequence[Sequence[float]]) -> list[float]:
    return [value for each in lists for value in each]
