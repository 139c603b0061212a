"""Latency at fixed rates: percentiles against the rate, up to the knee and beyond."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from topolab.comparison import Comparison
from topolab.figures import work as work_of
from topolab.loads import Interval, Lap, Latency, LatencyRun
from topolab.medians import of_repeats
from topolab.reports import units
from topolab.reports.looks import STROKES
from topolab.reports.plot import Plot, Point, Scale
from topolab.reports.sections.card import card, data_of, one_row
from topolab.reports.sections.doubts import Doubts
from topolab.reports.sections.shape import TOPOLOGY, Cell, Chart, Column, Row, Section, Table, count, figure
from topolab.reports.sections.subjects import Subject, subjects
from topolab.reports.sheet import Sheet

Runs = Subject[LatencyRun]
PERCENTILES: dict[str, Callable[[Latency], float]] = {
    "p50": lambda latency: latency.p50_s, "p90": lambda latency: latency.p90_s, "p99": lambda latency: latency.p99_s,
}  # fmt: skip
_OFFERED = Column("Offered/s")
_DATA = (
    Column("Achieved/s"), Column("p50"), Column("p90"), Column("p99"), Column("p99.9"), Column("Longest"),
    Column("Not answered"), Column("Sent late, p99"),
)  # fmt: skip
_COLUMNS = (
    Column("Knee/s"), Column("Ceiling/s"), Column("p50 at the lowest rate"), Column("p99 there"),
    Column("p99 at the knee"), Column("Highest achieved/s"),
)  # fmt: skip


def section(comparison: Comparison, doubts: Doubts) -> Section | None:
    found = latencies(comparison)
    if not found:
        return None
    laps = [lap for subject in found for run in subject.runs for lap in run.points]
    y = Scale.over([of(lap.answered) for lap in laps if lap.answered for of in PERCENTILES.values()], log=True)
    return Section(
        name="latency",
        short="Latency",
        title="Latency against the rate",
        how="Each mark is one rate, offered for a while: half, nine tenths and 99 of 100 of its answers came faster. "
        "The scale of latency is logarithmic and the same in all topologies, that of rates is each topology's own. A "
        "hollow red mark is SUSPECT; a red dashed line leads from what was achieved to the rate that had been offered.",
        why="Requests are due at fixed moments, whatever became of those before, and latency counts from the moment a "
        "request was due: a server that stalls can't hide its queue. The knee is the highest rate whose p99 is below "
        "ten times the p50 of the lowest rate; a little beyond it the queue grows for as long as the load lasts.",
        charts=tuple(_chart(subject, doubts, y) for subject in found),
        table=Table(
            TOPOLOGY, _COLUMNS, tuple(one_row(subject, _cells(subject), doubts.of(subject.runs)) for subject in found)
        ),
    )  # fmt: skip


def latencies(comparison: Comparison) -> list[Runs]:
    """The runs of latency; those that asked for another kind of work stand apart."""
    return subjects(comparison, LatencyRun, lambda run: work_of(run.points[0].offered.work) if run.points else "")


def percentile(laps: tuple[Lap, ...], of: Callable[[Latency], float]) -> Interval | None:
    """One percentile of the good answers, over repeats."""
    return units.spread(of(lap.answered) if lap.answered else None for lap in laps)


def knee(subject: Runs) -> Interval | None:
    """None where no rate held in any repeat; one in which none held counts as 0."""
    return units.spread(run.knee or 0.0 for run in subject.runs) if any(run.knee for run in subject.runs) else None


def at_knee(subject: Runs) -> tuple[Lap, ...]:
    """Of each repeat the lap at its own knee; none of one that has none."""
    below = [
        [lap for lap in run.points if run.knee is not None and lap.offered.rate <= run.knee * 1.001]
        for run in subject.runs
    ]
    return tuple(laps[-1] for laps in below if laps)


def steps(subject: Runs) -> list[tuple[Lap, ...]]:
    """The laps of all repeats, lowest rate first."""
    return subject.aligned(lambda run: run.points)


def offered(laps: tuple[Lap, ...]) -> float:
    """What was offered: the median of the repeats, whose rates differ where their ceilings do."""
    rates = units.spread(lap.offered.rate for lap in laps)
    return rates.median if rates else 0.0


def _cells(subject: Runs) -> tuple[Cell, ...]:
    every, knees = steps(subject), at_knee(subject)
    lowest = every[0] if every else ()
    p50, p99 = PERCENTILES["p50"], PERCENTILES["p99"]
    return (
        figure(knee(subject)), figure(units.spread(run.ceiling.rate for run in subject.runs)),
        figure(percentile(lowest, p50), units.duration), figure(percentile(lowest, p99), units.duration),
        figure(percentile(knees, p99), units.duration),
        figure(units.spread(max((lap.achieved for lap in run.points), default=None) for run in subject.runs)),
    )  # fmt: skip


def _chart(subject: Runs, doubts: Doubts, y: Scale) -> Chart:
    rows = tuple(
        Row(
            count(offered(laps), units.rate),
            (
                figure(units.spread(lap.achieved for lap in laps)),
                *(figure(percentile(laps, of), units.duration) for of in PERCENTILES.values()),
                figure(percentile(laps, lambda latency: latency.p999_s), units.duration),
                figure(percentile(laps, lambda latency: latency.max_s), units.duration),
                figure(units.spread(lap.requests - lap.good for lap in laps), units.count),
                figure(units.spread(lap.instrument.lateness_p99_s for lap in laps), units.duration),
            ),
            doubts.of_laps(subject.runs, laps),
        )
        for laps in steps(subject)
    )
    found = knee(subject)
    said = f"Knee at {units.told(found)}/s." if found else "No knee: the p99 of no rate stayed below the line."
    return card(
        "latency", subject, doubts.of(subject.runs), partial(_draw, subject, y),
        data_of(subject, _OFFERED, _DATA, rows), title="latency against the rate", told=(said,),
    )  # fmt: skip


def _draw(subject: Runs, y: Scale, sheet: Sheet) -> None:
    rates = [rate for run in subject.runs for lap in run.points for rate in (lap.offered.rate, lap.achieved)]
    x = Scale.over([*rates, *(run.ceiling.rate * 1.05 for run in subject.runs)])
    plot = Plot(sheet, 262, x, y)
    plot.titles("answered requests/s", "latency")
    plot.ticks([(at, units.short(at)) for at in x.ticks()], [(at, units.tick(at)) for at in y.ticks(7)])
    ceiling, found = units.spread(run.ceiling.rate for run in subject.runs), knee(subject)
    if ceiling:
        plot.upright(ceiling.median, f"ceiling {units.plain(ceiling.median)}/s", line=0, dotted=True)
    if found:
        plot.upright(found.median, f"knee {units.plain(found.median)}/s", line=1)
    for name, of in PERCENTILES.items():
        points = []
        for laps in steps(subject):
            achieved, value = units.spread(lap.achieved for lap in laps), percentile(laps, of)
            if achieved and value:
                doubted = of_repeats(lap.verdict for lap in laps) == "SUSPECT"
                points.append(Point(achieved.median, value.median, units.bounds(value), doubted))
                if name == "p99":
                    plot.shortfall(points[-1], offered(laps))
        plot.curve(points, STROKES[name], name)
    plot.finish()
