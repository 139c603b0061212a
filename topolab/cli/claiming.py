"""The verb claims: what the articles found, checked against today's releases."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from topolab import host, paths, store
from topolab.claims import Checked, ClaimsRun
from topolab.cli.console import COULD_NOT, DONE, err, out, say
from topolab.cli.options import json_option
from topolab.errors import LabError
from topolab.experiments.bench import Bench
from topolab.experiments.capacity import Clock
from topolab.experiments.claims import CLAIMS, Claim, check_all
from topolab.plan import resolve
from topolab.results import to_json
from topolab.runtimes import lifecycle
from topolab.runtimes.base import Event, RuntimeName
from topolab.runtimes.choice import RUNTIMES, choose
from topolab.topology import Catalog
from topolab.yamlfile import nearest


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--output", type=click.Path(path_type=Path), help="Also write claims.md and claims.json to this folder.")
@json_option
def claims(names: tuple[str, ...], output: Path | None, as_json: bool) -> int:
    """Check what the articles found against today's releases.

    Without names all claims. Exit code 0: each has a verdict. 2: one could not be checked.
    """
    from topolab.reports.claims import markdown, terminal
    from topolab.reports.terminal import Progress

    chosen = _chosen(names)
    catalog = Catalog()
    lifecycle.sweep(RUNTIMES, say)
    not_made = _prepared(chosen, catalog)
    clock = Clock()
    checked: list[Checked] = []
    command = " ".join(["topolab", "claims", *names])
    with Progress(err) as progress:

        def show(event: Event) -> None:
            if event["event"] == "progress":
                progress.event(event["phase"], event.get("done", 0), event.get("of", 0))

        def start(claim: Claim, number: int) -> None:
            progress.start(claim.name, number, len(chosen))

        try:
            for one in check_all(chosen, Bench(RUNTIMES, catalog, show, not_made), start):
                progress.ended(f"{one.verdict}, {one.seconds:.1f} s")
                checked.append(one)
        finally:  # also what was finished before an interruption
            run = ClaimsRun(
                checked=tuple(checked), host=host.fingerprint(), command=command, started=clock.started,
                seconds=clock.seconds,
            )  # fmt: skip
            if checked:
                say(f"stored {paths.shown(store.save(run, paths.RESULTS))}")
    if as_json:
        click.echo(json.dumps(to_json(run), indent=1))
    else:
        out.print(terminal(run))
    if output:
        store.write_text(output / "claims.json", json.dumps(to_json(run), indent=1) + "\n")
        store.write_text(output / "claims.md", markdown(run))
        say(f"wrote {paths.shown(output / 'claims.json')} and claims.md")
    return COULD_NOT if any(one.verdict == "not checked" for one in checked) else DONE


def _chosen(names: Sequence[str]) -> list[Claim]:
    """Claims by name, in the order of all; without names all."""
    known = [claim.name for claim in CLAIMS]
    for name in names:
        if name not in known:
            raise LabError(f'There is no claim "{name}".{nearest(name, known)}')
    return [claim for claim in CLAIMS if not names or claim.name in names]


def _prepared(claims: Sequence[Claim], catalog: Catalog) -> dict[tuple[RuntimeName, str], LabError]:
    """Makes what the claims need; what could not be made, by runtime and topology."""
    not_made: dict[tuple[RuntimeName, str], LabError] = {}
    for runtime in RUNTIMES:
        needed = dict.fromkeys(name for claim in claims for where, name in claim.needs if where == runtime)
        if not needed:
            continue
        try:
            choose(runtime)
            failed = RUNTIMES[runtime].prepare([resolve(catalog, name) for name in needed], say)
        except LabError as error:
            failed = dict.fromkeys(needed, error)
        not_made |= {(runtime, name): error for name, error in failed.items()}
    return not_made


VERBS = (claims,)
