"""Medians over repeats, how well they are known, and whether two of them differ.

It does not know the machine's noise: it has three to ten repeats to learn it from. With so few, resampling them (the
percentile bootstrap) gives intervals that are far too narrow: three repeats hold the true median between the smallest
and the largest in three of four campaigns only. So the bootstrap here is parametric: campaigns of as many repeats are
drawn from a normal distribution, and how far their median lies from the true one, in units of *their own* spread, is
the width that the interval needs. Values are logarithms, because the noise of speeds and times is a factor.
docs/method.md has the error rates; tests/test_statistics.py counts them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from topolab.loads import Change, ChangeVerdict, Interval

LEVEL = 0.95  # of one median's interval; of all intervals of ratios in a table together
SMALLEST = 0.03  # the smallest difference that matters
FEW = 3  # repeats on each side; with less hardly any difference can be told from noise
DRAWS, MOST, SEED = (
    200_000,
    30,
    1,
)  # campaigns drawn; more repeats than MOST count as so many: intervals grow wider by it


@dataclass(frozen=True, slots=True)
class Pair:
    """The repeats of one figure of one topology, before and after.

    `exact`: they do not scatter, so that any difference is one. `counted`: they are numbers of events, which scatter as
    chance does at least. `because`: why they are not to be compared.
    """

    experiment: str
    topology: str
    figure: str
    higher_is_better: bool
    before: tuple[float, ...]
    after: tuple[float, ...]
    exact: bool = False
    because: str = ""
    counted: bool = False


def interval(values: Sequence[float], *, level: float = LEVEL, counted: bool = False) -> Interval:
    """The median of some repeats, and the interval that holds the true one in `level` of all campaigns.

    One repeat alone has no interval: it says nothing of the noise. What was never below 0 has no interval that is.
    """
    middle, repeats = median(values), len(values)
    if repeats < 2:
        return Interval(middle, None, None, repeats)
    width = _critical(repeats, 0, False, 1 - level)
    if min(values) <= 0:  # no logarithm: a count that can be nothing, or a difference
        around = width * math.sqrt(max(_variance(values), _chance(values) if counted else 0))
        low = middle - around
        return Interval(middle, max(low, 0) if min(values) == 0 else low, middle + around, repeats)
    least = _chance_of_logs(values) if counted else 0
    factor = math.exp(width * math.sqrt(max(_variance(_logs(values)), least)))
    return Interval(middle, middle / factor, middle * factor, repeats)


def ratio(
    before: Sequence[float], after: Sequence[float], *, level: float = LEVEL, typical: float | None = None,
    counted: bool = False,
) -> Interval:  # fmt: skip
    """The second median over the first. All values are positive, and there are three or more in all.

    `typical`: the variance (of logarithms) of the same figure elsewhere, between one repeat and the next. A few repeats
    that lie close together by chance are not believed to be that quiet: the variance is then the mean of both.
    """
    first, second = _logs(before), _logs(after)
    own = _pooled(first, second)
    variance = own if typical is None else max(own, (own + typical) / 2)
    if counted:
        variance = max(variance, (_chance_of_logs(before) + _chance_of_logs(after)) / 2)
    width = _critical(len(before), len(after), typical is not None, 1 - level) * math.sqrt(variance)
    middle = median(after) / median(before)
    return Interval(middle, middle * math.exp(-width), middle * math.exp(width), min(len(before), len(after)))


def changes(pairs: Iterable[Pair], *, level: float = LEVEL, smallest: float = SMALLEST) -> tuple[Change, ...]:
    """What became better or worse. The intervals of all ratios hold together with `level` (Bonferroni).

    So two campaigns of the same thing say nothing but "no difference" in `level` of all cases, however many figures
    they have. A difference below `smallest` is none.
    """
    pairs = tuple(pairs)
    compared = [pair for pair in pairs if not (pair.exact or pair.because or _too_few(pair))]
    each = 1 - (1 - level) / max(1, len(compared))
    return tuple(change(pair, level=each, smallest=smallest, typical=_typical(pair, compared)) for pair in pairs)


def change(pair: Pair, *, level: float = LEVEL, smallest: float = SMALLEST, typical: float | None = None) -> Change:
    """One figure's change, and whether it is one."""
    between: Interval | None = None
    verdict: ChangeVerdict = "not comparable"
    because = pair.because or _too_few(pair)
    if not because and pair.exact:
        between = _of_counts(pair)
        verdict = _of_exact(pair)
    elif not because and _positive(pair):
        between = ratio(pair.before, pair.after, level=level, typical=typical, counted=pair.counted)
        verdict = _of_ratio(between, pair, smallest)
    elif not because:
        verdict = _of_step(pair, level, smallest)
    return Change(
        experiment=pair.experiment,
        topology=pair.topology,
        figure=pair.figure,
        higher_is_better=pair.higher_is_better,
        before=interval(pair.before, counted=pair.counted),
        after=interval(pair.after, counted=pair.counted),
        ratio=between,
        verdict=verdict,
        because=because,
    )


def _of_ratio(between: Interval, pair: Pair, smallest: float) -> ChangeVerdict:
    assert between.low is not None
    assert between.high is not None
    if between.low <= 1 <= between.high or abs(math.log(between.median)) < math.log1p(smallest):
        return "no difference"
    return _direction(between.median > 1, pair)


def _of_exact(pair: Pair) -> ChangeVerdict:
    if max(pair.before) < min(pair.after) or max(pair.after) < min(pair.before):
        return _direction(min(pair.after) > max(pair.before), pair)
    return "no difference"


def _of_counts(pair: Pair) -> Interval | None:
    """The ratio of two exact counts, which has no interval but itself."""
    if not _positive(pair):
        return None
    of = median(pair.after) / median(pair.before)
    return Interval(of, of, of, min(len(pair.before), len(pair.after)))


def _of_step(pair: Pair, level: float, smallest: float) -> ChangeVerdict:
    """Of counts that were nothing at least once: by their difference, as they have no ratio."""
    first, second = median(pair.before), median(pair.after)
    least = (_chance(pair.before) + _chance(pair.after)) / 2 if pair.counted else 0
    noise = math.sqrt(max(_pooled(pair.before, pair.after), least))
    sure = abs(second - first) > noise * _critical(len(pair.before), len(pair.after), False, 1 - level)
    if not sure or abs(second - first) <= smallest * max(abs(first), abs(second)):
        return "no difference"
    return _direction(second > first, pair)


def _direction(more: bool, pair: Pair) -> ChangeVerdict:
    return "better" if more == pair.higher_is_better else "worse"


def _too_few(pair: Pair) -> str:
    if pair.exact or len(pair.before) + len(pair.after) > 2:
        return ""
    return "one run each says nothing of the noise: measure with --repeats 5"


def _typical(pair: Pair, pairs: Sequence[Pair]) -> float | None:
    """The variance of the same figure in the other topologies; None where there are none."""
    others = [
        (_pooled(_logs(other.before), _logs(other.after)), _freedom(other))
        for other in pairs
        if other is not pair and (other.experiment, other.figure) == (pair.experiment, pair.figure) and _positive(other)
    ]
    if not others:
        return None
    return sum(variance * freedom for variance, freedom in others) / sum(freedom for _, freedom in others)


def _positive(pair: Pair) -> bool:
    return min(*pair.before, *pair.after) > 0


def _freedom(pair: Pair) -> int:
    return len(pair.before) + len(pair.after) - 2


def _logs(values: Sequence[float]) -> list[float]:
    return [math.log(value) for value in values]


def _squares(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)


def _variance(values: Sequence[float]) -> float:
    return _squares(values) / (len(values) - 1)


def _pooled(before: Sequence[float], after: Sequence[float]) -> float:
    return (_squares(before) + _squares(after)) / (len(before) + len(after) - 2)


def _chance(counts: Sequence[float]) -> float:
    """The least variance of counts: Poisson's, and 1 where they are so few that it is not known."""
    return max(1.0, math.fsum(counts) / len(counts))


def _chance_of_logs(counts: Sequence[float]) -> float:
    """The same of their logarithms; all counts are positive."""
    return len(counts) / math.fsum(counts)


def _critical(before: int, after: int, borrowed: bool, alpha: float) -> float:
    """How many of its own spreads a median (a difference of two) may lie off, in all but `alpha` of all campaigns."""
    drawn = _drawn(min(before, MOST), min(after, MOST), borrowed)
    return float(drawn[min(len(drawn) - 1, math.ceil((1 - alpha) * len(drawn)))])


@functools.cache
def _drawn(before: int, after: int, borrowed: bool) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The same of DRAWS campaigns without any difference, sorted.

    A borrowed variance counts as no better known than the own one, however many topologies it comes from: they may be
    quieter than this one.
    """
    random = np.random.default_rng(SEED)
    off, squares, freedom = np.zeros(DRAWS), np.zeros(DRAWS), -1 if not after else -2
    for repeats in filter(None, (before, after)):
        values = random.standard_normal((DRAWS, repeats))
        off = np.median(values, axis=1) - off
        squares += ((values - values.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        freedom += repeats
    variance = squares / freedom
    if borrowed:
        variance = np.maximum(variance, (variance + random.chisquare(freedom, DRAWS) / freedom) / 2)
    return np.sort(np.abs(off) / np.sqrt(variance))
