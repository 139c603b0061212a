"""Figures as text: a unit that fits, and no more digits than are known."""

from __future__ import annotations

import pytest

from topolab.loads import Interval
from topolab.reports.quantities import factor, factors, quantity, span


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (5120.4, "1/s", "5,120/s"),
        (12.345, "1/s", "12.3/s"),
        (0.00123, "s", "1.23 ms"),
        (0.000045, "s", "45.0 us"),
        (2.5, "CPU s", "2.50 s"),
        (42_000_000, "bytes", "40.1 MiB"),
        (1536, "bytes", "1.50 KiB"),
        (996, "requests", "996"),
        (0, "requests", "0"),
    ],
)
def test_a_quantity_has_a_unit_that_fits(value: float, unit: str, text: str) -> None:
    """Three digits in the largest unit that the value reaches; counts in full."""
    assert quantity(value, unit) == text


def test_an_interval_has_the_unit_of_its_median() -> None:
    """Both ends in the median's unit, so that they can be compared by eye; one repeat has no interval."""
    assert span(Interval(0.0011, 0.0009, 0.0014, 5), "s") == "0.90 to 1.40 ms"
    assert span(Interval(0.0011, None, None, 1), "s") == "one repeat"


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.0004, "<0.001"), (0.012, "0.012"), (0.97, "0.97"), (12.44, "12.4"), (130.4, "130"), (5e4, ">999")],
)
def test_a_ratio_has_three_digits(ratio: float, text: str) -> None:
    """Beyond a thousandfold it is only said to be beyond."""
    assert factor(ratio) == text


def test_an_interval_of_a_ratio() -> None:
    """Its ends, each as a ratio."""
    assert factors(Interval(1.0, 0.95, 1.05, 5)) == "0.95 to 1.05"
    assert factors(Interval(1.0, None, None, 1)) == "one repeat"
