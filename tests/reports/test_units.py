"""Quantities as text."""

from __future__ import annotations

import pytest

from topolab.loads import Interval
from topolab.reports import units


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0000851, "85.1 us"), (0.00125, "1.25 ms"), (0.35, "350 ms"), (2.1, "2.10 s"), (75, "75.0 s")],
)
def test_a_duration_is_told_in_the_unit_that_suits_it(seconds: float, text: str) -> None:
    """Three digits that count, from microseconds to seconds."""
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345.6, "12,346"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.1234, "0.123"), (0, "0")],
)
def test_a_figure_has_three_digits(value: float, text: str) -> None:
    """More would say more than was measured; whole numbers keep all of theirs."""
    assert units.plain(value) == text


@pytest.mark.parametrize(("count", "text"), [(310, "310 bytes"), (34 * 1024, "34.0 KiB"), (50 * 2**20, "50.0 MiB")])
def test_a_size_is_told_in_binary_units(count: int, text: str) -> None:
    """As `free -h` does."""
    assert units.size(count) == text


def test_repeats_have_an_interval_and_a_single_run_has_none() -> None:
    """The median, with its bounds where several runs say something of the noise; nothing where nothing is known."""
    assert units.told(units.spread([200.0])) == "200"
    assert units.told(units.spread([200.0, 210.0, 205.0])).startswith("205 (")
    assert units.told(units.spread([None, None])) == "-"
    assert units.told(Interval(0.05, 0.0493, 0.0512, 3), units.duration) == "50.0 ms (49.3 to 51.2 ms)"
    assert units.told(Interval(1.2, 0.9, 1.6, 3), units.duration) == "1.20 s (900 ms to 1.60 s)"
    assert units.bounds(Interval(3.0, -2.0, 8.0, 3)) == (0.0, 8.0)
