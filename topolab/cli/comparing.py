"""Verbs about what was measured before: diff, export."""

from __future__ import annotations

import json
from pathlib import Path

import click

from topolab import paths, store
from topolab.circumstances import CIRCUMSTANCES
from topolab.cli.console import COULD_NOT, DONE, SUSPECT, out, say
from topolab.cli.options import Number, json_option
from topolab.errors import LabError
from topolab.results import to_json

WORSE = 1  # the exit code of `--fail-on worse`
ACROSS = (*CIRCUMSTANCES, "all")


@click.command()
@click.argument("before", metavar="RUN_OR_CAMPAIGN")
@click.argument("after", metavar="OTHER")
@click.option(
    "--across", multiple=True, type=click.Choice(ACROSS), help="What may differ, because it is what is compared."
)
@click.option(
    "--smallest", type=Number(0, 100), default=3.0, show_default=True, metavar="PERCENT",
    help="The smallest difference that matters.",
)  # fmt: skip
@click.option("--fail-on", type=click.Choice(["worse"]), help="Exit with 1 when anything is worse, or failed.")
@click.option("--markdown", is_flag=True, help="Print it for a pull request.")
@json_option
def diff(
    before: str, after: str, across: tuple[str, ...], smallest: float, fail_on: str | None, markdown: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """What changed from some runs to others: better, worse, no difference.

    Each is a file of a run, a folder of runs, or the name of a campaign. Figures are compared where nothing else
    differs; say what may: `--across versions` for two releases of a server. Exit code 0: compared. 1: with
    --fail-on worse, something is worse, or was measured before and failed after. 2: nothing could be compared.
    """
    from topolab.changes import between
    from topolab.reports import blocks, diffs

    if markdown and as_json:
        raise LabError("--markdown and --json: it is printed as one of them. Leave one out.")
    found = between(store.load([named(before)]), store.load([named(after)]), across=across, smallest=smallest / 100)
    if as_json:
        click.echo(json.dumps(to_json(found), indent=1))
    elif markdown:
        click.echo(diffs.markdown(found), nl=False)
    else:
        out.print(blocks.terminal(diffs.sheet(found)))
    if fail_on and (found.worse or found.vanished):
        return WORSE
    if all(change.verdict == "not comparable" for change in found.changes) and (fail_on or not found.ledgers):
        say("topolab: nothing could be compared.")
        return COULD_NOT
    return DONE


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN_OR_CAMPAIGN...")
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV.  [default]")
@click.option("--parquet", is_flag=True, help="Write Parquet (needs pyarrow: `make export`).")
@click.option("--samples", is_flag=True, help="One line for each request, where samples are kept, not each figure.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="The file to write.")
def export(runs: tuple[str, ...], as_csv: bool, parquet: bool, samples: bool, output: Path) -> int:
    """Write stored runs as one flat table: a line for each figure, or with --samples for each request.

    Exit code 0: all is in it. 1: the samples of some runs are missing. 2: nothing was written.
    """
    from topolab import export as exporting

    if as_csv and parquet:
        raise LabError("--csv and --parquet: a table is written as one of them. Leave one out.")
    if str(output) == "-":
        raise LabError("--output -: a table is written to a file. Name one: --output figures.csv.")
    files = [named(run) for run in runs]
    if parquet:
        exporting.pyarrow()  # before any work: is it here?
    lacking: list[Path] = []
    table = exporting.sample_table(files, lacking) if samples else exporting.figure_table(files)
    names = exporting.SAMPLE if samples else exporting.FIGURE
    lines = exporting.write(output, "parquet" if parquet else "csv", table, names)
    without = tuple(dict.fromkeys(map(paths.shown, lacking)))
    if not lines:
        what = "samples beside it: throughput, latency and overload keep them" if samples else "figures"
        raise LabError(f"None of these runs has {what}.", details=without)
    say(f"wrote {lines:,} lines to {paths.shown(output)}")
    if without:
        say(f"topolab: left out, as there are no samples beside them: {', '.join(without)}")
    return SUSPECT if without else DONE


def named(name: str) -> Path:
    """A file, a folder, or the folder of the campaign of that name."""
    campaign = paths.RESULTS / "campaigns" / name
    return campaign if not Path(name).exists() and campaign.is_dir() else Path(name)


VERBS = (diff, export)
