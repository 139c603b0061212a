"""The tables of docs/picking-a-server.md that the reference campaign gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

from topolab.facts import Facts
from topolab.loads import Lap, LatencyRun, LoadRun, OverloadRun, Step
from topolab.medians import Median, medians, of_repeats
from topolab.reports import words
from topolab.reports.cells import table
from topolab.reports.quantities import quantity, span
from topolab.results import Verdict
from topolab.topology import Catalog

MARK = " (?)"  # behind a figure of which no more than half of the repeats are VALID, or whose repeats disagree
UNMEASURED = "Not measured yet: `make reference-campaign` does it.\n"


def measured(facts: Facts, _catalog: Catalog) -> str:
    """The picture of the campaign, where there is one."""
    if not facts.campaign.others:
        return UNMEASURED
    return "![What each topology took and gave under load](pictures/measured.svg)\n"


def costs(facts: Facts, _catalog: Catalog) -> str:
    """What each topology can do and takes, as medians over the repeats with their intervals."""
    return _of_medians(
        facts,
        {
            "throughput: requests/s, greeting": "Greetings/s",
            "throughput: requests/s, io": "20 ms of waiting, requests/s",
            "throughput: requests/s, cpu": "5 ms of CPU, requests/s",
            "throughput: CPU of 1,000 requests, greeting": "CPU of 1,000 greetings",
        },
    )


def memory(facts: Facts, _catalog: Catalog) -> str:
    """What a process that serves, a request in flight and an idle connection take."""
    return _of_medians(
        facts,
        {
            "memory: memory at rest": "At rest",
            "memory: memory of a worker": "For each process that serves",
            "memory: memory of a request in flight": "A request in flight",
            "memory: memory of an idle connection": "An idle connection",
        },
    )


def latencies(facts: Facts, _catalog: Catalog) -> str:
    """p99 at shares of each one's own ceiling: medians over the repeats, whose rates differ a little."""
    names = sorted({run.topology for run in facts.campaign.others if isinstance(run, LatencyRun)})
    if not names:
        return UNMEASURED
    points = facts.under_load(LatencyRun, names[0])[0].points
    labels = [lap.offered.label or f"{lap.offered.rate:g}/s" for lap in points]
    rows = []
    for name in names:
        runs = facts.under_load(LatencyRun, name)
        by_point = [[run.points[at] for run in runs if at < len(run.points)] for at in range(len(labels))]
        rows.append(
            (
                name,
                quantity(median(run.ceiling.rate for run in runs), "1/s"),
                *map(_percentile, by_point),
                _calm(runs),
            )
        )
    head = (
        "Topology",
        "Ceiling",
        *(f"p99 at {label}" for label in labels),
        "Calm up to",
    )
    return table(head, rows) + _where(facts)


def _calm(runs: Sequence[LatencyRun]) -> str:
    """The median of the rates up to which it held; a rate below all of them where it did not."""
    held = median(run.knee or 0.0 for run in runs)
    if not held:
        return "none"
    more = all(run.knee in (None, run.points[-1].offered.rate) for run in runs if (run.knee or 0.0) >= held)
    return quantity(held, "1/s") + (" or more" if more else "")


def _percentile(laps: Sequence[Lap]) -> str:
    """The median of their 99th percentiles of good answers."""
    found = [lap.answered.p99_s for lap in laps if lap.answered]
    return _marked(quantity(median(found), "s"), of_repeats(lap.verdict for lap in laps)) if found else "-"


def overloads(facts: Facts, _catalog: Catalog) -> str:
    """At the top of the staircase: good answers, how long they took, what the others got, and the way back; medians."""
    names = sorted({run.topology for run in facts.campaign.others if isinstance(run, OverloadRun)})
    if not names:
        return UNMEASURED
    rows = []
    for name in names:
        runs = facts.under_load(OverloadRun, name)
        tops = [run.steps[-1] for run in runs]
        back = [run.recovery_s for run in runs if run.recovery_s is not None]
        rows.append(
            (
                name,
                f"{tops[0].times_ceiling:g}",
                f"{median(map(good_share, runs)):.0%}",
                _percentile([top.lap for top in tops]),
                _others([top.lap for top in tops]),
                _dead(tops),
                f"{median(back):.1f} s" if len(back) == len(runs) else f"not in {runs[0].watched_s:g} s",
            )
        )
    head = (
        "Topology", "Times its ceiling", "Good answers, of its best", "Their p99", "The others got", "Run for nobody",
        "Well again after",
    )  # fmt: skip
    return table(head, rows) + _where(facts)


def _dead(tops: Sequence[Step]) -> str:
    found = [top.dead for top in tops if top.dead is not None]
    return f"{median(found):,.0f}" if found else "-"


def good_share(run: OverloadRun) -> float:
    """Good answers per second at the top of the staircase, of the best step's."""
    best = max(step.lap.achieved for step in run.steps)
    return run.steps[-1].lap.achieved / best if best else 0.0


def _others(laps: Sequence[Lap]) -> str:
    """What those got that got no good answer, in shares of all requests."""
    counts: Counter[str] = Counter()
    for lap in laps:
        for fated in lap.fates:
            if fated.fate != "answered":
                counts[f"status {fated.status}" if fated.fate == "error" else fated.fate] += fated.count
    total = sum(lap.requests for lap in laps)
    return ", ".join(f"{count / total:.0%} {kind}" for kind, count in counts.most_common()) or "nothing else"


def doubts(facts: Facts, _catalog: Catalog) -> str:
    """Why what is SUSPECT is, each reason once."""
    if not facts.campaign.others:
        return UNMEASURED
    found: dict[tuple[str, str], list[str]] = {}
    for run in facts.campaign.others:
        for finding in run.findings:
            found.setdefault((finding.code, f"{run.topology} ({run.experiment})"), []).append(finding.message)
    rows = [
        (code, where, f"{told[0]}{f' (and {len(told) - 1} more like it)' if len(told) > 1 else ''}")
        for (code, where), told in sorted(found.items())
    ]
    return table(("Finding", "Where", "What was seen"), rows) if rows else "Nothing is SUSPECT.\n"


def _of_medians(facts: Facts, columns: dict[str, str]) -> str:
    """A row for each topology: the figures that are asked for, by `experiment: figure`, under other names."""
    found = {(f"{one.experiment}: {one.figure}", one.topology): one for one in medians(facts.campaign.others)}
    names = sorted({name for figure, name in found if figure in columns})
    if not names:
        return UNMEASURED
    rows = []
    for name in names:
        rows.append((name, *(_quantity(found.get((figure, name))) for figure in columns)))
    return table(("Topology", *columns.values()), rows) + _where(facts)


def _quantity(one: Median | None) -> str:
    if one is None:
        return "-"
    middle = quantity(one.interval.median, one.unit)
    text = middle if one.interval.low is None else f"{middle} ({span(one.interval, one.unit)})"
    return _marked(text, one.verdict)


def _marked(text: str, verdict: Verdict) -> str:
    return f"{text}{MARK}" if verdict == "SUSPECT" else text


def _where(facts: Facts) -> str:
    """What measured it, and where."""
    runs = [run for run in facts.campaign.others if isinstance(run, LoadRun)]
    repeats = max(run.repeat for run in runs)
    machines = "; and on ".join(dict.fromkeys(words.machine(run.host) for run in runs))
    times = "once" if repeats == 1 else f"{repeats} times in random order (medians)"
    pins = next((run.pins for run in runs if run.pins), None)
    apart = f", the servers pinned to {len(pins.server)} of its CPUs" if pins else ""
    marked = f"{MARK.strip()} marks what is SUSPECT."
    return f"\nMeasured {times} in the {runs[0].runtime} runtime on {machines}{apart}. {marked}\n"


MADE = {
    "measured": measured, "costs": costs, "memory": memory, "latencies": latencies, "overloads": overloads,
    "doubts": doubts,
}  # fmt: skip
