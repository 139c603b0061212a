"""The verb artefact: famous numbers that their harness had made itself, made again and caught."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from topolab import paths, store
from topolab.artefacts import ArtefactRun
from topolab.cli.console import COULD_NOT, DONE, SUSPECT, err, out, say
from topolab.cli.options import Number, json_option
from topolab.errors import LabError, NotRunnable
from topolab.experiments.artefacts import ARTEFACTS, planned, run
from topolab.experiments.artefacts.case import Case
from topolab.experiments.capacity import OnEvent
from topolab.results import NotRun, to_json
from topolab.runtimes import lifecycle
from topolab.runtimes.choice import RUNTIMES
from topolab.topology import Catalog
from topolab.yamlfile import nearest

RUNTIME = RUNTIMES["process"]  # a published port of a container accepts for its server, and would hide two of them


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option(
    "--seconds", type=Number(1, 600), help="How long each naive harness runs. By default as long as its page."
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="Also write artefacts.json, artefacts.md and a page for each."
)
@json_option
def artefact(names: tuple[str, ...], seconds: float | None, output: Path | None, as_json: bool) -> int:
    """Make famous artefacts again: a naive number, ours, and what catches it.

    Without names all: keepalive, pacing, outside, failures. Real servers in local processes, and under a minute.
    """
    from topolab.reports.artefacts import index, page, terminal
    from topolab.reports.terminal import Progress

    chosen = _chosen(names)
    lifecycle.sweep(RUNTIMES, say)
    results: list[ArtefactRun | NotRun] = []
    with Progress(err) as progress:
        for number, case in enumerate(chosen, 1):
            progress.start(case.name, number, len(chosen))
            made = _made(
                case, seconds, lambda event: progress.event(event["phase"], event.get("done", 0), event.get("of", 0))
            )
            if isinstance(made, ArtefactRun):
                say(f"stored {paths.shown(store.save(made, paths.RESULTS))}")
            results.append(made)
    if as_json:
        click.echo(json.dumps([to_json(result) for result in results], indent=1))
    else:
        out.print(terminal(results))
    if output:
        lines = ",\n".join(json.dumps(to_json(result), separators=(",", ":")) for result in results)
        pages = {f"artefacts/{made.artefact}.md": page(made) for made in results if isinstance(made, ArtefactRun)}
        if not names:  # those of a few would say that there are no others
            pages |= {"artefacts.json": f"[\n{lines}\n]\n", "artefacts.md": index(results)}
        for name, text in pages.items():
            store.write_text(output / name, text)
            say(f"wrote {paths.shown(output / name)}")
    if any(isinstance(result, NotRun) for result in results):
        return COULD_NOT
    return DONE if all(isinstance(made, ArtefactRun) and made.verdict == "VALID" for made in results) else SUSPECT


def _chosen(names: Sequence[str]) -> list[Case]:
    """Artefacts by name, in the order of all; without names all."""
    known = [case.name for case in ARTEFACTS]
    for name in names:
        if name not in known:
            raise LabError(f'There is no artefact "{name}".{nearest(name, known)}')
    return [case for case in ARTEFACTS if not names or case.name in names]


def _made(case: Case, seconds: float | None, on_event: OnEvent) -> ArtefactRun | NotRun:
    """One of them; what can't be made here does not stop the others."""
    plan = planned(Catalog(), case)
    again = f"`topolab artefact {case.name}` makes it alone."
    try:
        checked = RUNTIME.check(plan)
        for error in RUNTIME.prepare([checked], say).values():
            raise error
        return run(RUNTIME, checked, case, on_event, seconds=seconds)
    except NotRunnable as error:
        return NotRun("artefact", plan.name, RUNTIME.name, f"{case.name}: {error}", error.remedy, plan.asked)
    except LabError as error:
        reason = " ".join([f"{case.name}: {error}", *error.details])
        return NotRun("artefact", plan.name, RUNTIME.name, reason, again, plan.asked, failed=True)


VERBS = (artefact,)
