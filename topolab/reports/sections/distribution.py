"""The distribution of latencies: percentiles of one lap, from its histogram."""

from __future__ import annotations

import math
import zlib
from functools import partial

from hdrh.codec import HdrCookieException, HdrHistogramSettingsException, HdrLengthException
from hdrh.histogram import HdrHistogram

from topolab.comparison import Comparison
from topolab.errors import LabError
from topolab.loads import Lap
from topolab.reports import units
from topolab.reports.looks import STROKES
from topolab.reports.plot import Plot, Point, Scale
from topolab.reports.sections.card import card, data_of
from topolab.reports.sections.doubts import Doubts
from topolab.reports.sections.latency import Runs, at_knee, latencies, offered, steps
from topolab.reports.sections.shape import Cell, Chart, Column, Row, Section, figure
from topolab.reports.sheet import Sheet

PERCENTS = (50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99)
ENOUGH = 10  # answers beyond a percentile, for it to say anything
_PERCENTILE = Column("Percentile")
Percentiles = dict[float, float]


def section(comparison: Comparison, doubts: Doubts) -> Section | None:
    found = [(subject, _curves(subject)) for subject in latencies(comparison)]
    every = [value for _subject, curves in found for curve in curves.values() for value in curve.values()]
    if not every:
        return None
    y = Scale.over(every, log=True)
    return Section(
        name="distribution",
        short="Distribution",
        title="How latencies are distributed",
        how="From left to right ever rarer: at 99 %, one answer of a hundred took longer. A line ends where fewer than "
        f"{ENOUGH} answers lie beyond. Dotted: the lowest rate; solid: the knee; dashed: the highest rate.",
        why="A mean hides who waits. Each line is the whole histogram of one lap (HdrHistogram, three digits), of all "
        "repeats together; a step in it is a queue, a time-out or a dropped handshake that some requests met.",
        charts=tuple(_chart(subject, curves, doubts, y) for subject, curves in found if curves),
    )


def percentiles(laps: tuple[Lap, ...]) -> Percentiles:
    """Seconds by per cent, of the good answers of all repeats; only what enough of them lie beyond."""
    whole = HdrHistogram(1, 3_600_000_000, 3)  # microseconds, up to an hour
    for lap in laps:
        if lap.answered and lap.answered.hdr:
            whole.add(_decoded(lap.answered.hdr))
    total = whole.get_total_count()
    told = [percent for percent in PERCENTS if total * (1 - percent / 100) >= ENOUGH]
    values = whole.get_percentile_to_value_dict(told)
    return {percent: values[percent] / 1e6 for percent in told}


def _decoded(text: str) -> HdrHistogram:
    try:
        return HdrHistogram.decode(text)
    except (HdrCookieException, HdrLengthException, HdrHistogramSettingsException, ValueError, zlib.error) as error:
        raise LabError(f"A histogram of latencies can't be read: {error}. The run is damaged; run it again.") from error


def _chosen(subject: Runs) -> dict[str, tuple[Lap, ...]]:
    """`low`, `knee` and `high`: the laps at the lowest rate, at the knee, and at the highest; each rate once."""
    every = steps(subject)
    if not every:
        return {}
    found = {"low": every[0], "high": every[-1]} if len(every) > 1 else {"low": every[0]}
    knee = at_knee(subject)
    if knee and offered(knee) not in [offered(laps) for laps in found.values()]:
        found = {"low": every[0], "knee": knee, "high": every[-1]}
    return found


def _curves(subject: Runs) -> dict[str, Percentiles]:
    curves = {name: percentiles(laps) for name, laps in _chosen(subject).items()}
    return {name: curve for name, curve in curves.items() if curve}


def _rates(subject: Runs) -> dict[str, str]:
    return {name: f"{units.rate(offered(laps))}/s" for name, laps in _chosen(subject).items()}


def _chart(subject: Runs, curves: dict[str, Percentiles], doubts: Doubts, y: Scale) -> Chart:
    rates = _rates(subject)
    columns = tuple(Column(f"{rates[name]}{' (knee)' if name == 'knee' else ''}") for name in curves)
    told = [percent for percent in PERCENTS if any(percent in curve for curve in curves.values())]
    rows = tuple(
        Row(
            Cell(f"{percent:g} %", percent),
            tuple(
                figure(units.spread([curve[percent]]) if percent in curve else None, units.duration)
                for curve in curves.values()
            ),
        )
        for percent in told
    )
    return card(
        "distribution", subject, doubts.of(subject.runs), partial(_draw, curves, rates, y),
        data_of(subject, _PERCENTILE, columns, rows), title="latency by percentile",
    )  # fmt: skip


def _rarity(percent: float) -> float:
    """Where a percentile stands: each ten times rarer one a step further."""
    return -math.log10(1 - percent / 100)


def _draw(curves: dict[str, Percentiles], rates: dict[str, str], y: Scale, sheet: Sheet) -> None:
    x = Scale(_rarity(50), max(_rarity(99.9), *(_rarity(max(curve)) for curve in curves.values())))
    plot = Plot(sheet, 242, x, y, right=62)
    plot.titles("percentile", "latency")
    shown = [percent for percent in (50, 90, 99, 99.9, 99.99) if _rarity(percent) <= x.high * 1.001]
    plot.ticks([(_rarity(at), f"{at:g} %") for at in shown], [(at, units.tick(at)) for at in y.ticks(7)])
    for name, curve in curves.items():
        points = [Point(_rarity(percent), value) for percent, value in curve.items()]
        plot.curve(points, STROKES[name], rates[name])
    plot.finish()
