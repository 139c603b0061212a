"""When requests of the open loop are due: at a constant rate or by chance (Poisson), in a ramp if asked.

Arrivals are counted by a clock that runs as fast as the rate: the k-th is due when the integral of the rate reaches k
(constant), or the sum of k exponential waits (Poisson). So the same few lines do for a rate that changes.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Iterator

from topolab.loads import Offered

_SECOND_NS = 1_000_000_000


def schedule(offered: Offered) -> array[int]:
    """Nanoseconds from the lap's beginning, in order. The warm-up goes at the first rate; a ramp fills `seconds`."""
    rate, end = offered.rate, offered.rate if offered.rate_end is None else offered.rate_end
    warmup = rate * offered.warmup_s  # requests
    change = (end - rate) / offered.seconds  # requests/s, each second
    total = warmup + (rate + end) / 2 * offered.seconds
    due: array[int] = array("q")
    for count in _counts(offered):
        if count >= total:
            return due
        if count < warmup:
            at_s = count / rate
        elif not change:
            at_s = offered.warmup_s + (count - warmup) / rate
        else:  # rate * t + change / 2 * t**2 == count - warmup, in the form that stands a small `change`
            left = count - warmup
            at_s = offered.warmup_s + 2 * left / (rate + math.sqrt(max(0.0, rate * rate + 2 * change * left)))
        due.append(int(at_s * _SECOND_NS))
    raise AssertionError("counts have no end")


def _counts(offered: Offered) -> Iterator[float]:
    """Where on the clock that runs with the rate each arrival is."""
    count = 0.0
    if offered.arrivals == "constant":
        while True:
            yield count
            count += 1
    chance = random.Random(offered.seed)
    while True:
        count += chance.expovariate(1.0)
        yield count
