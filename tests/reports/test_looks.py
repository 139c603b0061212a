"""Places can be told apart without colour."""

from __future__ import annotations

from itertools import combinations, pairwise

from topolab.ledger import SPOTS
from topolab.reports.looks import INK, LOOKS, MUTED, Look

COMMON = [
    ("app", "handler"),
    ("app", "waiting"),
    ("app", "accept_queue"),
    ("client", "unanswered"),
    ("client", "error"),
]


def test_every_place_has_a_look() -> None:
    """No place of the ledger is left without a colour."""
    assert set(LOOKS) == set(SPOTS)


def test_any_two_places_differ_in_greyscale() -> None:
    """Any two places, neighbours or not, differ in lightness or in hatch."""
    for one, other in combinations(LOOKS.values(), 2):
        assert abs(one.lightness - other.lightness) >= 12 or one.hatch[:1] != other.hatch[:1], (one, other)


def test_the_common_places_differ_in_lightness_alone() -> None:
    """The places of an ordinary comparison are steps of lightness, at least 12 of 100 apart."""
    steps = sorted(look.lightness for spot, look in LOOKS.items() if spot in COMMON)
    assert min(b - a for a, b in pairwise(steps)) >= 12


def test_lightness_is_that_of_the_eye() -> None:
    """L* is 0 for black, 100 for white, 53 for the middle grey; text is dark enough to read."""
    assert Look("#000000").lightness == 0
    assert round(Look("#ffffff").lightness, 3) == 100
    assert round(Look("#808080").lightness, 1) == 53.6
    assert Look(INK).lightness < Look(MUTED).lightness < 45
