"""The verb waits: what clients get that find no handler."""

from __future__ import annotations

import json
from pathlib import Path

import click

from topolab import paths, store
from topolab.cli.console import COULD_NOT, DONE, SUSPECT, err, out, say
from topolab.cli.options import Wanted
from topolab.cli.plans import caution, runtime_for
from topolab.comparison import Comparison
from topolab.experiments.compare import compare
from topolab.experiments.waits import plans
from topolab.results import CapacityRun, NotRun, to_json
from topolab.topology import Catalog


@click.command()
@click.option("--output", type=click.Path(path_type=Path), help="Also write waits.json to this folder.")
def waits(output: Path | None) -> int:
    """Hold more requests than fit, one case for each way of waiting, and note what those get that find no handler."""
    from topolab.reports.terminal import Progress, table

    runtime = runtime_for(Wanted((), "default", runtime_name="process"))
    chosen = plans(Catalog())
    caution(chosen)
    with Progress(err) as progress:
        results = []
        for result in compare(
            runtime, chosen, say=say, on_start=progress.start,
            on_event=lambda event: progress.event(event.get("phase", ""), event.get("done", 0), event.get("of", 0)),
        ):  # fmt: skip
            progress.finish(result)
            results.append(result)
    runs = tuple(result for result in results if isinstance(result, CapacityRun))
    comparison = Comparison(runs, tuple(result for result in results if isinstance(result, NotRun)))
    out.print(table(comparison))
    if output:
        lines = ",\n".join(json.dumps(to_json(result), separators=(",", ":")) for result in results)
        store.write_text(output / "waits.json", f"[\n{lines}\n]\n")
        say(f"wrote {paths.shown(output / 'waits.json')}")
    if any(gap.failed for gap in comparison.not_run):
        return COULD_NOT
    return DONE if all(run.verdict == "VALID" for run in runs) else SUSPECT


VERBS = (waits,)
