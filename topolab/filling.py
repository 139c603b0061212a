"""How places fill: what the capacity model counts with, apart from any server."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from topolab.ledger import Spot


class Rooms(NamedTuple):
    """How many requests each place of the app server holds, from the handler outwards."""

    handler: float
    waiting: float
    queue: float


@dataclass(slots=True)
class Filled:
    """How many requests stand where, and the bounds of what is not exact."""

    counts: Counter[Spot] = field(default_factory=Counter)
    bounds: dict[Spot, tuple[int, int]] = field(default_factory=dict)
    because: str | None = None

    def range(self, spot: Spot) -> tuple[int, int]:
        return self.bounds.get(spot, (self.counts[spot], self.counts[spot]))


def between(one: Filled, other: Filled) -> dict[Spot, tuple[int, int]]:
    """The bounds of everything that lies between the two."""
    bounds = {}
    for spot in {*one.counts, *other.counts, *one.bounds, *other.bounds}:
        lows, highs = zip(one.range(spot), other.range(spot), strict=True)
        if min(lows) < max(highs):
            bounds[spot] = (min(lows), max(highs))
    return bounds


def independent(
    arriving: int, listeners: int, rooms: Sequence[tuple[Spot, float]], overflow: Spot
) -> dict[Spot, tuple[int, int]]:
    """Bounds where N requests come to L listeners in any way at all, each filling its own rooms in the same order.

    A room of one listener holds the requests after its first `a` and up to its `b`-th. It is emptiest when as many
    listeners as possible are left at `a`, or when all requests come to one; fullest when listener after listener is
    filled to `b`.
    """
    bounds: dict[Spot, tuple[int, int]] = {}
    a = 0.0
    for spot, room in [*rooms, (overflow, math.inf)]:
        b = a + room / listeners
        full, left = divmod(arriving, min(b, arriving + 1))
        most = room if full >= listeners else (full * (b - a) if full else 0) + max(0, left - a)
        least = min(max(0, arriving - listeners * a), b - a)
        if least < most:
            bounds[spot] = (int(least), int(most))
        a = b
    return bounds
