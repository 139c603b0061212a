"""From the instrument's samples to figures, and to a file and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram

from tests.laps import OFFERED, answered, evenly, raw
from topolab import samples, store
from topolab.errors import LabError
from topolab.instrument.board import ENDED, Fate
from topolab.loads import Fated


def test_the_ends_are_the_instruments() -> None:
    """Each fate that ends a request has a name here, and none other has: the board's numbers and these agree."""
    assert {Fate(number): name for number, name in samples.FATES.items()} == {
        fate: {"TIMED_OUT": "timeout"}.get(fate.name, fate.name.lower()) for fate in ENDED
    }


def test_a_lap_is_counted_by_what_became_of_each_request() -> None:
    """Answers, errors with their status, resets and silences are told apart; each class has latencies of its own."""
    lap = samples.lap_of(
        raw(
            [
                *evenly(100, 1.5, 0.02),
                (1.5, 1.5, 1.51, Fate.ERROR, 503),
                (1.6, 1.6, 1.61, Fate.RESET, 0),
                (1.7, 1.7, 0, Fate.SENT, 0),
                (1.8, 0, 0, Fate.NOT_OPENED, 0),
            ]
        )
    )
    assert lap.requests == 154
    assert lap.fates == (
        Fated("reset", None, 1),
        Fated("error", 503, 1),
        Fated("answered", 200, 150),
        Fated("silence", None, 2),
    )
    assert {latency.fate: latency.count for latency in lap.latencies} == {"reset": 1, "error": 1, "answered": 150}
    assert lap.good == 150
    assert lap.answered
    assert lap.answered.p50_s == lap.answered.p99_s == lap.answered.mean_s == 0.02


def test_percentiles_are_the_nearest_rank_and_count_from_when_a_request_was_due() -> None:
    """Of 100 latencies of 1 to 100 ms the 99th is 99 ms; what was sent 10 ms late was answered 10 ms faster."""
    lap = samples.lap_of(raw((0.0, 0.01, 0.01 + number / 1000, Fate.ANSWERED, 200) for number in range(1, 101)))
    assert lap.answered
    assert (lap.answered.p50_s, lap.answered.p90_s, lap.answered.p99_s) == (0.06, 0.1, 0.109)
    assert (lap.answered.p999_s, lap.answered.max_s) == (0.11, 0.11)
    assert (lap.answered.sent_p50_s, lap.answered.sent_p99_s) == (0.05, 0.099)


def test_what_was_never_sent_has_no_latency_from_its_send() -> None:
    """Of those that gave up, one had been sent 0.1 s late, the other never: only the first counts from its send."""
    given_up = [(1.0, 1.1, 1.5, Fate.TIMED_OUT, 0), (1.0, 0.0, 1.5, Fate.TIMED_OUT, 0)]
    [seen] = samples.lap_of(raw(given_up)).latencies
    assert (seen.count, seen.max_s, seen.sent_p50_s, seen.sent_p99_s) == (2, 0.5, 0.4, 0.4)
    [never] = samples.lap_of(raw(given_up[1:])).latencies
    assert (never.sent_p50_s, never.sent_p99_s) == (0.0, 0.0)


def test_the_histogram_holds_the_same_latencies() -> None:
    """Decoded by the library, it has every sample, and the same percentiles within its three digits."""
    latencies = np.random.default_rng(1).exponential(0.02, 5000)
    lap = samples.lap_of(raw(answered(number / 2500, float(latency)) for number, latency in enumerate(latencies)))
    assert lap.answered
    histogram = HdrHistogram.decode(lap.answered.hdr)
    assert histogram.get_total_count() == 5000
    assert histogram.get_value_at_percentile(99) / 1e6 == pytest.approx(lap.answered.p99_s, rel=0.002)


def test_throughput_of_the_open_loop_is_what_came_within_the_lap() -> None:
    """A growing queue is answered after the lap, too: that is no throughput. Below capacity, all that is due counts."""
    calm = samples.lap_of(raw(evenly(100, 2.0, 0.02)))
    assert calm.achieved == pytest.approx(100, rel=0.01)
    assert calm.in_flight == pytest.approx(2.0, rel=0.01)
    # 200/s offered, 100/s served in turn: the last answer comes after 4 s
    flooded = samples.lap_of(
        raw((number / 200, number / 200, (number + 1) / 100, Fate.ANSWERED, 200) for number in range(400))
    )
    assert flooded.achieved == pytest.approx(100, rel=0.01)


def test_throughput_of_the_closed_loop_is_what_was_sent_within_the_lap() -> None:
    """Ten clients, 0.1 s each: 100 per second; what is under way at the end stands for what was at the beginning."""
    closed = replace(OFFERED, loop="closed", connections=10)
    lap = samples.lap_of(raw((answered(round_ / 10, 0.1) for round_ in range(20) for _ in range(10)), closed))
    assert lap.achieved == 100
    assert lap.in_flight == pytest.approx(10)


def test_drift_shows_in_the_halves() -> None:
    """50 per second at first and 150 per second later are told apart."""
    closed = replace(OFFERED, loop="closed", connections=10)
    moments = [number / 50 for number in range(50)] + [1 + number / 150 for number in range(150)]
    lap = samples.lap_of(raw((answered(moment, 0.01) for moment in moments), closed))
    assert (lap.first_half, lap.second_half) == (50, 150)


def test_nothing_answered_is_no_zero_latency() -> None:
    """A lap without a good answer has no latencies, and throughput 0."""
    lap = samples.lap_of(raw([(0.0, 0.0, 0.001, Fate.REFUSED, 0)] * 3))
    assert (lap.achieved, lap.in_flight, lap.answered) == (0, 0, None)
    assert samples.lap_of(raw([])).requests == 0


def test_samples_that_are_cut_off_are_refused() -> None:
    """Fewer bytes than requests, or no base64, is a LabError that says so."""
    lap = raw(evenly(10, 1, 0.01))
    with pytest.raises(LabError, match=r"are 270 bytes, 297 were expected"):
        samples.columns(replace(lap, count=11))
    with pytest.raises(LabError, match="can't be decoded"):
        samples.columns(replace(lap, samples="no"))


def test_samples_survive_on_disk(tmp_path: Path) -> None:
    """What was kept beside a run is what the instrument saw, with what was offered; any other file is refused."""
    laps = [raw(evenly(100, 2, 0.02)), raw([(0.0, 0.0, 0.001, Fate.REFUSED, 0)], replace(OFFERED, label="second"))]
    path = tmp_path / "run.samples.npz"
    store.write_bytes(path, samples.packed(laps))
    kept = samples.read(path)
    assert [offered for offered, _seen in kept] == [lap.offered for lap in laps]
    for (_offered, seen), lap in zip(kept, laps, strict=True):
        for name, _kind in samples.COLUMNS:
            assert np.array_equal(getattr(seen, name), getattr(samples.columns(lap), name))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(LabError, match="holds no samples of topolab"):
        samples.read(path)
