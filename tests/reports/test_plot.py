"""Scales and ticks of plots, and what is drawn on them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest
from matplotlib.figure import Figure

from topolab.reports.looks import FATES, STROKES, Look, Stroke
from topolab.reports.plot import Plot, Point, Scale
from topolab.reports.sheet import Sheet
from topolab.reports.svg import drawing


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [([12, 480], 10, 500), ([0.002, 0.0021], 0.002, 0.005), ([3, 3], 2, 5), ([10, 1000], 10, 1000), ([0, 7], 5, 10)],
)
def test_a_logarithmic_scale_ends_at_round_values(values: list[float], low: float, high: float) -> None:
    """At 1, 2 or 5 times a power of ten, around all values above zero; a single value gets room on both sides."""
    scale = Scale.over(values, log=True)
    assert (scale.low, scale.high) == pytest.approx((low, high))


def test_equal_steps_are_equal_factors_on_a_logarithmic_scale() -> None:
    """1, 10 and 100 stand at the same distance; what lies outside stands at the end."""
    scale = Scale(1, 100, log=True)
    assert [scale.share(value) for value in (0, 1, 10, 100, 5000)] == pytest.approx([0, 0, 0.5, 1, 1])


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (Scale(0, 87.7), [0, 20, 40, 60, 80]),
        (Scale(0, 6), [0, 1, 2, 3, 4, 5, 6]),
        (Scale(0.02, 5, log=True), [0.03, 0.1, 0.3, 1, 3]),
        (Scale(0.001, 100, log=True), [0.001, 0.01, 0.1, 1, 10, 100]),
        (Scale(10, 50, log=True), [10, 20, 50]),
    ],
)
def test_ticks_are_round_and_few(scale: Scale, ticks: list[float]) -> None:
    """Steps of 1, 2 or 5 on a linear scale, parts of powers of ten on a logarithmic one."""
    assert scale.ticks() == pytest.approx(ticks)


def drawn(points: list[Point]) -> ElementTree.Element:
    def paint(figure: Figure) -> dict[str, str]:
        sheet = Sheet(figure, 372, 2)
        plot = Plot(sheet, 200, Scale(0, 10), Scale(0, 10))
        plot.curve(points, STROKES["p99"], "p99")
        plot.finish()
        sheet.finish()
        return sheet.names

    return ElementTree.fromstring(drawing(paint, prefix="x-", title="t", description="d"))


def styles(root: ElementTree.Element) -> list[str]:
    return [element.get("style") or "" for element in root.iter() if element.tag.endswith("use")]


def test_a_doubted_point_is_hollow() -> None:
    """It differs from the others by more than its colour: white inside, and larger."""
    root = drawn([Point(1, 1), Point(2, 2, doubted=True)])
    sure, doubted = styles(root)
    assert "fill: #12355b" in sure
    assert "fill: #ffffff" in doubted
    assert "stroke: #a3142c" in doubted


def test_an_interval_is_drawn_where_there_is_one() -> None:
    """A line from end to end at its point; none at a point without."""
    with_one, without = drawn([Point(5, 5, (4, 7))]), drawn([Point(5, 5)])
    upright = r"M ([\d.]+) [\d.]+ L \1 [\d.]+$"

    def lines(root: ElementTree.Element) -> int:
        return sum(bool(re.match(upright, element.get("d") or "")) for element in root.iter())

    assert lines(with_one) == lines(without) + 1


def test_lines_differ_without_colour() -> None:
    """Those that share a plot differ in their marks and in their dashes."""
    for names in (("p50", "p90", "p99"), ("low", "knee", "high")):
        strokes: list[Stroke] = [STROKES[name] for name in names]
        assert len({stroke.marker for stroke in strokes}) == len({stroke.dashes for stroke in strokes}) == 3


def test_lines_stand_out_from_white() -> None:
    """Each has a contrast of 3 or more with the page, as WCAG asks of graphics."""
    for name, stroke in STROKES.items():
        luminance = ((Look(stroke.colour).lightness + 16) / 116) ** 3
        assert 1.05 / (luminance + 0.05) >= 3, name


def test_ends_of_requests_differ_in_greyscale() -> None:
    """Any two differ in lightness or in hatch."""
    looks = list(FATES.items())
    for index, (name, look) in enumerate(looks):
        for other, another in looks[index + 1 :]:
            assert abs(look.lightness - another.lightness) >= 12 or look.hatch[:1] != another.hatch[:1], (name, other)
