"""One experiment on each topology, one after the other; what fails does not stop the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from topolab import paths, store
from topolab.cli.console import COULD_NOT, DONE, SUSPECT, err, out, say
from topolab.errors import LabError, NotRunnable
from topolab.experiments.capacity import OnEvent
from topolab.plan import Plan
from topolab.results import NotRun, Run, to_json
from topolab.runtimes.base import Runtime

Measure = Callable[[Runtime, Plan, OnEvent], Run]
Save = Callable[[Run], Path]


class Storing:
    """Stores runs as they come; when that fails the measuring goes on, and what was measured is still printed."""

    def __init__(self, save: Save = lambda run: store.save(run, paths.RESULTS)) -> None:
        self._save = save
        self._problem: LabError | None = None

    def run(self, run: Run) -> None:
        try:
            say(f"stored {paths.shown(self._save(run))}")
        except LabError as error:
            self._problem = error

    def check(self) -> None:
        """Raises what went wrong."""
        if self._problem:
            raise self._problem


def measured(
    experiment: str, runtime: Runtime, plans: Sequence[Plan], measure: Measure, storing: Storing
) -> list[Run | NotRun]:
    """A result for each plan, by name: stored as it comes, or why there is none."""
    from topolab.reports.terminal import Progress

    results: list[Run | NotRun] = []
    checked: list[Plan] = []
    for plan in plans:
        try:
            checked.append(runtime.check(plan))
        except NotRunnable as error:
            results.append(NotRun(experiment, plan.name, runtime.name, str(error), error.remedy, plan.asked))
        except LabError as error:
            results.append(_failed(experiment, runtime, plan, error))
    not_made = runtime.prepare(checked, say)
    with Progress(err) as progress:
        for number, plan in enumerate(checked, 1):
            progress.start(plan.name, number, len(checked))
            try:
                if plan.name in not_made:
                    raise not_made[plan.name]
                run = measure(
                    runtime, plan,
                    lambda event: progress.event(event["phase"], event.get("done", 0), event.get("of", 0)),
                )  # fmt: skip
            except NotRunnable as error:
                results.append(NotRun(experiment, plan.name, runtime.name, str(error), error.remedy, plan.asked))
            except LabError as error:
                results.append(_failed(experiment, runtime, plan, error))
            else:
                results.append(run)
                storing.run(run)
    return sorted(results, key=lambda result: result.topology)


def _failed(experiment: str, runtime: Runtime, plan: Plan, error: LabError) -> NotRun:
    again = f"`topolab {experiment} {plan.name} --runtime {runtime.name}` shows it alone."
    reason = " ".join([str(error), *error.details])
    return NotRun(experiment, plan.name, runtime.name, reason, again, plan.asked, failed=True)


def write(experiment: str, results: Sequence[Run | NotRun], folder: Path) -> None:
    """The page, and the runs that it is made from."""
    from topolab.reports.behaviours import page

    lines = ",\n".join(json.dumps(to_json(result), separators=(",", ":")) for result in results)
    for name, text in ((f"{experiment}.json", f"[\n{lines}\n]\n"), (f"{experiment}.md", page(experiment, results))):
        store.write_text(folder / name, text)
        say(f"wrote {paths.shown(folder / name)}")


def show(experiment: str, results: Sequence[Run | NotRun], storing: Storing, *, as_json: bool) -> int:
    """Prints them; the exit code. Raises `LabError` where one could not be stored."""
    from topolab.reports.behaviours import terminal

    if as_json:
        click.echo(json.dumps([to_json(result) for result in results], indent=1))
    else:
        out.print(terminal(experiment, results))
    storing.check()
    runs = [result for result in results if isinstance(result, Run)]
    if not runs or any(isinstance(result, NotRun) and result.failed for result in results):
        return COULD_NOT
    return DONE if all(run.verdict == "VALID" for run in runs) else SUSPECT
