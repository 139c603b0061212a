"""The verb report: tables, page and picture from stored runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from topolab import paths, store
from topolab.artefacts import ArtefactRun
from topolab.cli.comparing import named
from topolab.cli.console import COULD_NOT, DONE, SUSPECT, out, say
from topolab.comparison import Comparison
from topolab.loads import LoadRun


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN_OR_CAMPAIGN...")
@click.option("--output", type=click.Path(path_type=Path), default=paths.RESULTS, help="Folder for page and picture.")
@click.option("--markdown", is_flag=True, help="Print the tables as Markdown.")
@click.option("--into", type=click.Path(path_type=Path), help="Put that table between the marks in a Markdown file.")
def report(runs: tuple[str, ...], output: Path, markdown: bool, into: Path | None) -> int:
    """Rebuild tables, page and picture from stored runs.

    Each is a file of runs, a folder of them, or the name of a campaign.
    """
    from topolab.reports import markdown as as_markdown

    comparison = _beside_baseline(store.load([named(run) for run in runs]))
    if markdown:
        click.echo(as_markdown.everything(comparison), nl=False)
    else:
        _print(comparison)
    if not comparison.measured and not comparison.claims:
        say("topolab: nothing was run, and nothing is written.")
        return COULD_NOT
    if into:
        store.replace_text(into, lambda text: as_markdown.insert(text, comparison))
        say(f"wrote the table into {paths.shown(into)}")
    write_report(comparison, output)
    return status(comparison)


def write_report(comparison: Comparison, directory: Path) -> None:
    """The page, and the picture where there are ledgers."""
    from topolab.reports.page import page
    from topolab.reports.picture import svg

    views = {"report.html": page(comparison)} | ({"report.svg": svg(comparison)} if comparison.runs else {})
    for name, text in views.items():
        store.write_text(directory / name, text)
        say(f"wrote {paths.shown(directory / name)}")


def status(comparison: Comparison) -> int:
    """The exit code: whether everything was measured, and is VALID."""
    unchecked = any(one.verdict == "not checked" for run in comparison.claims for one in run.checked)
    nothing = not comparison.measured and not comparison.claims
    if nothing or unchecked or any(missing.failed for missing in comparison.not_run):
        return COULD_NOT
    from topolab.medians import medians

    verdicts = {run.verdict for run in comparison.measured}
    verdicts |= {median.verdict for median in medians(comparison.measured)} if comparison.campaign else set()
    return SUSPECT if "SUSPECT" in verdicts else DONE


def _beside_baseline(comparison: Comparison) -> Comparison:
    """With every figure beside that of the campaign's baseline, where it has one."""
    from topolab.changes import against
    from topolab.medians import medians

    baseline = comparison.campaign.baseline if comparison.campaign else None
    return replace(comparison, changes=against(baseline, medians(comparison.measured))) if baseline else comparison


def _print(comparison: Comparison) -> None:
    """A table for each experiment that there are runs of; of a campaign, and of runs under load, one of figures."""
    from topolab.medians import grouped, medians
    from topolab.reports import artefacts, behaviours, blocks, claims, words
    from topolab.reports.campaigns import sheet
    from topolab.reports.terminal import table

    if campaign := comparison.campaign:
        figures = medians(comparison.measured)
        out.print(blocks.terminal(sheet(comparison, figures, comparison.changes, campaign.baseline)))
        return
    loads = comparison.of(LoadRun)
    name = words.namer(loads, comparison)
    if any(len(runs) > 1 for runs in grouped(loads, name).values()):
        out.print(blocks.terminal(sheet(Comparison((), others=loads), medians(loads, name), (), None)))
    if comparison.runs or not loads:
        out.print(table(comparison))
    for experiment in behaviours.ALL:
        if results := behaviours.results(experiment, comparison):
            out.print(behaviours.terminal(experiment, results))
    if made := comparison.of(ArtefactRun):
        out.print(artefacts.terminal(made))
    for run in comparison.claims:
        out.print(claims.terminal(run))


VERBS = (report,)
