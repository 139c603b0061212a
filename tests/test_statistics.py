"""Intervals that hold as often as they say, and verdicts with known error rates: counted over simulated campaigns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from topolab.statistics import Pair, change, changes, interval, ratio

CAMPAIGNS = 300
SLOWER = 1 / 1.15
TEN_QUIET, TWO_LOUD = (0.035,) * 10, (0.035,) * 8 + (0.105,) * 2

Noise = Callable[[np.random.Generator, int], Sequence[float]]


def normal(random: np.random.Generator, repeats: int) -> Sequence[float]:
    return list(random.standard_normal(repeats))


def spiky(random: np.random.Generator, repeats: int) -> Sequence[float]:
    """One repeat in ten is four times as far off: a neighbour was busy."""
    return list(random.standard_normal(repeats) * np.where(random.random(repeats) < 0.1, 4, 1))


def repeats_of(
    random: np.random.Generator, count: int, spread: float, factor: float, noise: Noise
) -> tuple[float, ...]:
    return tuple(1000 * factor * math.exp(spread * value) for value in noise(random, count))


def campaigns(
    repeats: int, spreads: Sequence[float], figures: int, factors: dict[int, float] | None = None, noise: Noise = normal
) -> Iterator[list[Pair]]:
    """Two campaigns at a time, the second with some topologies `factors` times as fast."""
    random = np.random.default_rng(7)
    for _ in range(CAMPAIGNS):
        yield [
            Pair(
                "throughput", f"topology{number}", f"requests/s {figure}", True,
                repeats_of(random, repeats, spread, 1, noise),
                repeats_of(random, repeats, spread, (factors or {}).get(number, 1), noise),
            )
            for number, spread in enumerate(spreads)
            for figure in range(figures)
        ]  # fmt: skip


def share(hits: Iterator[bool]) -> float:
    counted = list(hits)
    return sum(counted) / len(counted)


@pytest.mark.parametrize("repeats", [2, 3, 4, 5, 7, 10])
def test_an_interval_holds_the_true_median_as_often_as_it_says(repeats: int) -> None:
    """Of 1,000 campaigns of 2 to 10 repeats, the 95 % intervals of 93.5 to 96.5 % hold the true median."""
    random = np.random.default_rng(repeats)

    def held() -> Iterator[bool]:
        for _ in range(1000):
            found = interval(repeats_of(random, repeats, 0.035, 1, normal))
            assert found.low is not None
            assert found.high is not None
            yield found.low <= 1000 <= found.high

    assert 0.935 <= share(held()) <= 0.965


@pytest.mark.parametrize(
    ("repeats", "spreads", "figures", "noise", "most"),
    [
        (3, (0.035,), 1, normal, 0.07),
        (5, (0.035,), 1, normal, 0.07),
        (3, (0.15,), 2, normal, 0.07),  # a p99, say
        (3, (0.035,), 2, spiky, 0.05),
        (5, (0.035,), 2, spiky, 0.05),
        (3, TEN_QUIET, 4, normal, 0.05),
        (5, TEN_QUIET, 4, normal, 0.05),
        (3, TWO_LOUD, 4, normal, 0.08),
        (5, TWO_LOUD, 4, normal, 0.08),
    ],
)
def test_two_campaigns_of_the_same_thing_say_no_difference(
    repeats: int, spreads: Sequence[float], figures: int, noise: Noise, most: float
) -> None:
    """At most one pair of campaigns in twenty says better or worse of *any* of its figures, be it one or forty.

    (Counted over 300 pairs, so bounds are a little wider; 8 % where two of ten topologies are three times as noisy.)
    """
    wrong = (
        any(found.verdict != "no difference" for found in changes(pairs))
        for pairs in campaigns(repeats, spreads, figures, noise=noise)
    )
    assert share(wrong) <= most


@pytest.mark.parametrize(
    ("repeats", "spread", "figures", "least"),
    [(3, 0.03, 1, 0.93), (3, 0.035, 1, 0.87), (4, 0.04, 1, 0.93), (5, 0.04, 2, 0.93)],
)
def test_a_slow_down_of_15_percent_is_worse(repeats: int, spread: float, figures: int, least: float) -> None:
    """One topology: three repeats see it at 3 % noise in 93 of 100 campaigns, five at 4 % too; never as better."""
    found = [each.verdict for pairs in campaigns(repeats, (spread,), figures, {0: SLOWER}) for each in changes(pairs)]
    assert found.count("worse") / len(found) >= least
    assert "better" not in found


def test_a_slow_down_of_one_topology_of_ten_is_worse() -> None:
    """Five repeats see it among 40 figures in 19 of 20 campaigns; in as many, nothing is said of the others."""
    seen, strays = [], []
    for pairs in campaigns(5, TEN_QUIET, 4, {3: SLOWER}):
        found = changes(pairs)
        seen.append(any(each.verdict == "worse" for each in found if each.topology == "topology3"))
        strays.append(any(each.verdict != "no difference" for each in found if each.topology != "topology3"))
    assert sum(seen) / len(seen) >= 0.95
    assert sum(strays) / len(strays) <= 0.05


def test_the_percentile_bootstrap_of_three_repeats_would_be_wrong() -> None:
    """Its interval (at most from the smallest to the largest) misses the true median once in four."""
    random = np.random.default_rng(3)
    found = [repeats_of(random, 3, 0.035, 1, normal) for _ in range(2000)]
    assert 0.72 <= sum(min(values) <= 1000 <= max(values) for values in found) / len(found) <= 0.78


def test_the_same_numbers_give_the_same_interval() -> None:
    """Intervals are seeded: the same in each call, and in proportion as wide for thousandths as for thousands."""
    values = (1000.0, 1030.0, 990.0)
    again = ratio(values, (900.0, 930.0, 905.0))
    assert again == ratio(values, (900.0, 930.0, 905.0))
    small = interval([value / 1e6 for value in values])
    large = interval(values)
    assert (small.low or 0) * 1e6 == pytest.approx(large.low)
    assert (large.low or 0) < 1000 < (large.high or 0)


def test_a_difference_below_the_smallest_that_matters_is_none() -> None:
    """Repeats that agree to a thousandth show a difference of 2 % for certain, and it is still no difference."""
    before, after = (1000.0, 1000.5, 999.5), (1020.0, 1020.5, 1019.5)
    pair = Pair("throughput", "waitress", "requests/s", True, before, after)
    assert change(pair).verdict == "no difference"
    assert change(pair, smallest=0.01).verdict == "better"
    lower = Pair("latency", "waitress", "p99", False, before, after)
    assert change(lower, smallest=0.01).verdict == "worse"


def test_one_run_each_is_not_compared() -> None:
    """Two single runs have no verdict, and the reason says what to do; one beside five has."""
    pair = Pair("throughput", "waitress", "requests/s", True, (1000.0,), (500.0,))
    found = change(pair)
    assert (found.verdict, found.ratio) == ("not comparable", None)
    assert found.because == "one run each says nothing of the noise: measure with --repeats 5"
    assert (found.before.low, found.before.high, found.before.repeats) == (None, None, 1)
    five = Pair("throughput", "waitress", "requests/s", True, (1000.0, 1010.0, 990.0, 1005.0, 1001.0), (500.0,))
    assert change(five).verdict == "worse"


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), "no difference"),
        ((0.0, 0.0, 0.0), (120.0, 118.0, 125.0), "worse"),
        ((0.0, 1.0, 0.0), (0.0, 0.0, 2.0), "no difference"),
        ((40.0, 44.0, 41.0), (0.0, 0.0, 0.0), "better"),
    ],
)
def test_counts_that_were_nothing_have_no_ratio(before: Sequence[float], after: Sequence[float], verdict: str) -> None:
    """From nothing to 120 is worse although no ratio says how much; from nothing to nothing is no difference."""
    found = change(Pair("deadwork", "waitress", "ran for nobody", False, tuple(before), tuple(after)))
    assert (found.verdict, found.ratio) == (verdict, None)


@pytest.mark.parametrize("repeats", [3, 5])
@pytest.mark.parametrize("mean", [0.3, 0.6, 1.0, 3.0, 10.0])
def test_counts_of_the_same_thing_say_no_difference(mean: float, repeats: int) -> None:
    """A few events that come by chance (Poisson) often agree in all repeats, and that is no certainty."""
    random = np.random.default_rng(11)

    def wrong() -> Iterator[bool]:
        for _ in range(1000):
            before, after = (tuple(map(float, random.poisson(mean, repeats))) for _ in range(2))
            found = change(Pair("overload", "a", "begun for nobody", False, before, after, counted=True))
            yield found.verdict != "no difference"

    assert share(wrong()) <= 0.05


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "no difference"),
        ((1.0, 1.0, 1.0), (2.0, 2.0, 2.0), "no difference"),
        ((0.0, 0.0, 0.0), (12.0, 12.0, 12.0), "worse"),
        ((3.0, 3.0, 3.0), (30.0, 30.0, 30.0), "worse"),
        ((100.0, 100.0, 100.0), (50.0, 50.0, 50.0), "better"),
    ],
)
def test_counts_that_agree_are_no_certainty(before: Sequence[float], after: Sequence[float], verdict: str) -> None:
    """One view more in each of three repeats is no difference, ten more are; every interval has a width."""
    found = change(Pair("overload", "a", "begun for nobody", False, tuple(before), tuple(after), counted=True))
    assert found.verdict == verdict
    for each in (found.before, found.after):
        assert each.low is not None
        assert each.high is not None
        assert 0 <= each.low <= each.median < each.high
    if found.ratio:
        assert found.ratio.low != found.ratio.high


def test_what_is_not_comparable_says_why() -> None:
    """A pair with a reason keeps it, has its medians all the same, and does not widen the intervals of the others."""
    values = (1000.0, 1010.0, 990.0)
    good = Pair("throughput", "a", "requests/s", True, values, values)
    bad = Pair("throughput", "b", "requests/s", True, values, values, because="other kernel: 6.1 and 6.18")
    alone, beside = changes([good])[0], changes([good, bad])
    assert beside[0] == alone
    assert (beside[1].verdict, beside[1].because) == ("not comparable", "other kernel: 6.1 and 6.18")
    assert beside[1].after.median == 1000.0
