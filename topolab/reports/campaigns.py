"""A campaign as a table: each figure of each topology with its interval, and against the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from topolab.comparison import Comparison
from topolab.loads import Campaign, Change
from topolab.medians import Median
from topolab.reports import words
from topolab.reports.blocks import Block, Sheet
from topolab.reports.quantities import factor, factors, quantity, span

COLUMNS = ("Topology", "Median", "95 % interval", "Ratio", "its interval", "To the baseline", "Repeats", "Verdict")
RIGHT = frozenset(("Median", "Ratio", "Repeats"))


def sheet(comparison: Comparison, medians: Sequence[Median], changes: Sequence[Change], baseline: str | None) -> Sheet:
    """Figure by figure, in the order in which the experiments give them; topologies by name."""
    by_figure: dict[tuple[str, str], list[Median]] = {}
    for each in medians:
        by_figure.setdefault((each.experiment, each.figure), []).append(each)
    changed = {(change.experiment, change.topology, change.figure): change for change in changes}
    blocks = []
    for (experiment, figure), found in by_figure.items():
        rows = [
            _row(each, changed.get((experiment, each.topology, figure)), baseline)
            for each in sorted(found, key=lambda each: each.topology)
        ]
        blocks.append(Block(f"{experiment}: {figure}", tuple(rows)))
    title = _title(comparison.campaign) if comparison.campaign else ""
    return Sheet(title, COLUMNS, tuple(blocks), tuple(_lines(comparison, medians)), RIGHT)


def _title(campaign: Campaign) -> str:
    times = "one repeat" if campaign.repeats == 1 else f"{campaign.repeats} repeats"
    return f"Campaign {campaign.name}: {times} in random order (seed {campaign.seed}), {campaign.runtime} runtime"


def _row(each: Median, change: Change | None, baseline: str | None) -> tuple[str, ...]:
    ratio = change.ratio if change else None
    against = change.verdict if change else "the baseline" if each.topology == baseline else ""
    return (
        each.topology,
        quantity(each.interval.median, each.unit),
        "exact" if each.exact else span(each.interval, each.unit),
        factor(ratio.median) if ratio else "",
        factors(ratio) if ratio and not each.exact else "",
        against,
        str(each.interval.repeats),
        each.verdict,
    )


def _lines(comparison: Comparison, medians: Sequence[Median]) -> Iterator[str]:
    """Why what is SUSPECT is, what could not be measured, what is not alike, and where it was measured."""
    doubted: dict[str, list[tuple[str, str, str]]] = {}
    for run in comparison.measured:
        for found in run.findings:
            doubted.setdefault(found.code, []).append((run.experiment, run.topology, found.message))
    for each in medians:
        for found in each.findings:
            doubted.setdefault(found.code, []).append((each.experiment, each.topology, found.message))
    for code, where in doubted.items():
        yield f"SUSPECT  {code} in {_places(where)}"
    absent: dict[str, list[tuple[str, str, str]]] = {}
    for gap in comparison.not_run:
        why = f"{gap.reason} Type: {gap.remedy}"
        absent.setdefault(words.absence(gap).upper(), []).append((gap.experiment, gap.topology, why))
    for what, gaps in absent.items():
        for one in dict.fromkeys(gaps):
            yield f"{what}  {_places([gap for gap in gaps if gap == one])}"
    yield from _unlike(medians)
    valid, suspect = (sum(run.verdict == verdict for run in comparison.measured) for verdict in ("VALID", "SUSPECT"))
    failed = sum(gap.failed for gap in comparison.not_run)
    counts = ((valid, "VALID"), (suspect, "SUSPECT"), (failed, "failed"), (len(comparison.not_run) - failed, "not run"))
    yield ", ".join(f"{count} {what}" for count, what in counts if count) or "nothing was run"
    yield from dict.fromkeys(words.machine(run.host) for run in comparison.measured)


def _places(where: Sequence[tuple[str, str, str]]) -> str:
    """`latency on waitress and uwsgi (3 times), the first: what it said`."""
    experiments, topologies = (list(dict.fromkeys(each[part] for each in where)) for part in (0, 1))
    named = f"{' and '.join(experiments)} on {' and '.join(topologies)}"
    times = "" if len(where) == 1 else f" ({len(where)} times), the first"
    return f"{named}{times}: {where[0][2]}"


def _unlike(medians: Sequence[Median]) -> Iterator[str]:
    """Where servers were offered something else, as they don't keep connections, say."""
    loads: dict[tuple[str, str], dict[str, list[str]]] = {}
    for each in medians:
        for load in each.loads:
            loads.setdefault((each.experiment, each.figure), {}).setdefault(load, []).append(each.topology)
    said: dict[str, list[str]] = {}
    for (experiment, _figure), by_load in loads.items():
        if len(by_load) > 1:
            text = "; ".join(f"{load} ({' and '.join(names)})" for load, names in by_load.items())
            said.setdefault(text, []).append(experiment)
    for text, experiments in said.items():
        yield f"NOTE  {' and '.join(dict.fromkeys(experiments))} not under the same load: {text}"
