"""Quantities of the page as text: medians with their intervals, and the short ones of scales."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from topolab.loads import Interval
from topolab.reports.quantities import quantity
from topolab.statistics import interval

Unit = Callable[[float], str]


def plain(value: float) -> str:
    """Three digits that count: `12,345`, `12.3`, `0.123`."""
    for above, digits in ((99.95, 0), (9.995, 1), (0.9995, 2)):
        if abs(value) >= above:
            return f"{value:,.{digits}f}"
    return f"{value:.3f}" if value else "0"


def count(value: float) -> str:
    return f"{value:,.0f}"


def rate(value: float) -> str:
    """What was offered: `200`, `67.8`."""
    return count(value) if value == int(value) else plain(value)


def duration(seconds: float) -> str:
    """`85.0 us`, `1.25 ms`, `350 ms`, `2.10 s`."""
    return quantity(seconds, "s") if seconds else "0 s"


def size(count: float) -> str:
    """Bytes: `310 bytes`, `34.0 KiB`, `48.2 MiB`."""
    return quantity(count, "bytes")


def share(part: float) -> str:
    return f"{part * 100:.0f} %"


def short(value: float) -> str:
    """For ticks: `5`, `2,000`, `20k`; no more digits than it has."""
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:,g}"


def tick(seconds: float) -> str:
    """A duration without digits that say nothing: `100 ms`, `2 s`."""
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= unit * 0.9995:
            return f"{round(seconds / unit, 6):g} {name}"
    return "0"


def spread(values: Iterable[float | None]) -> Interval | None:
    """The median of what is known, with its interval where there are repeats; None where nothing is known."""
    known = [value for value in values if value is not None]
    return interval(known) if known else None


def bounds(it: Interval) -> tuple[float, float]:
    """Its ends; of quantities, none of which is below zero. Of a single run both are its value."""
    if it.low is None or it.high is None:
        return it.median, it.median
    return max(it.low, 0.0), it.high


def ends(it: Interval, unit: Unit = plain) -> str:
    """`1,190 to 1,260`, `49.3 to 50.0 ms`; nothing where they are the same."""
    low, high = map(unit, bounds(it))
    number, _, name = low.partition(" ")
    return "" if low == high else f"{number if high.endswith(f' {name}') else low} to {high}"


def told(it: Interval | None, unit: Unit = plain) -> str:
    """`1,234 (1,190 to 1,260)`; of a single run just the value; `-` where there is none."""
    if it is None:
        return "-"
    around = ends(it, unit)
    return f"{unit(it.median)} ({around})" if around else unit(it.median)
