"""When requests are due, and which laps can be asked for."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import pytest

from topolab.instrument import work
from topolab.instrument.arrivals import schedule
from topolab.instrument.offers import parse_laps
from topolab.loads import Offered, Work

S = 1_000_000_000


def offered(**more: Any) -> Offered:
    return Offered(**{"work": Work(), "loop": "open", "rate": 100.0, "seconds": 2.0, **more})


def test_constant() -> None:
    """A constant rate is an even grid that begins at once and ends before the time is up."""
    assert list(schedule(offered(rate=4.0))) == [number * S // 4 for number in range(8)]


def test_warmup() -> None:
    """The warm-up goes at the same rate before the counted time."""
    due = schedule(offered(rate=4.0, warmup_s=0.5))
    assert len(due) == 10
    assert due[2] == S // 2


def test_poisson_is_reproducible() -> None:
    """One seed is one schedule, another seed is another; their number and waits are those of chance."""
    first, again, other = (schedule(offered(rate=5000.0, arrivals="poisson", seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert abs(len(first) - 10_000) < 5 * 100  # five standard deviations
    waits = sorted(later - earlier for earlier, later in pairwise(first))
    assert waits[0] >= 0
    assert waits[len(waits) // 2] == pytest.approx(0.693 * S / 5000, rel=0.1)  # the median of an exponential


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
@pytest.mark.parametrize("rates", [(100.0, 500.0), (500.0, 100.0), (500.0, 0.0)])
def test_ramp(rates: tuple[float, float], arrivals: Any) -> None:
    """A ramp has as many requests as its mean rate, and in each quarter as many as the rate there."""
    begin, end = rates
    due = schedule(offered(rate=begin, rate_end=end, seconds=4.0, warmup_s=1.0, arrivals=arrivals))
    assert list(due) == sorted(due)
    counts = [sum(second * S <= at < (second + 1) * S for at in due) for second in range(6)]
    expected = [begin] + [begin + (end - begin) * (quarter + 0.5) / 4 for quarter in range(4)]
    spread = 1 if arrivals == "constant" else 5 * max(rates) ** 0.5
    assert all(abs(count - mean) <= spread for count, mean in zip(counts, expected, strict=False))
    assert counts[5] == 0


def test_a_ramp_of_nothing_is_a_constant_rate() -> None:
    """A ramp that ends where it began differs from none by rounding alone."""
    flat, ramp = schedule(offered()), schedule(offered(rate_end=100.0000001))
    assert all(abs(one - other) < 1000 for one, other in zip(flat, ramp, strict=False))
    assert abs(len(flat) - len(ramp)) <= 1


def test_laps_are_read() -> None:
    """What `dataclasses.asdict` makes of laps is read back as it was."""
    laps = (offered(), offered(loop="closed", rate=0.0, connections=5, work=Work("io", io_ms=20.0)))
    assert parse_laps(json.dumps([asdict(lap) for lap in laps])) == laps


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[", "this is no JSON: "),
        ("[]", "this is no list of laps"),
        ("[1]", "lap 1: it has no work"),
        ('[{"work": {}}]', "lap 1: Offered.__init__() missing 2 required positional arguments: 'loop' and 'seconds'"),
        ('[{"work": {"nam": "io"}}]', 'lap 1: "nam" is unknown; known are cpu_ms, io_ms, name, path, size'),
        (
            '[{"work": {}, "loop": "open", "seconds": 1, "rate": 1}, {"work": {}, "loop": "open", "seconds": 1}]',
            "lap 2: the rate of an open loop is above 0, 200000 at most",
        ),
        (
            '[{"work": {"name": "path", "path": "/ HTTP/1.1"}, "loop": "open", "rate": 1, "seconds": 1}]',
            "lap 1: work.path is the path of a URL, and for the work path only",
        ),
        ('[{"work": {}, "loop": "closed", "seconds": 1}]', "lap 1: a closed loop has 1 connection or more"),
        ('[{"work": {}, "loop": "closed", "connections": 1, "seconds": 0}]', "lap 1: seconds is above 0, 3600 at most"),
        ('[{"work": {}, "loop": "closed", "connections": 1, "seconds": "a"}]', "lap 1: '<' not supported"),
        (
            '[{"work": {}, "loop": "open", "rate": 100000, "seconds": 3600}]',
            "lap 1: these are more than 20000000 requests",
        ),
    ],
)
def test_laps_that_can_not_be(text: str, problem: str) -> None:
    """What is wrong is said, and with which lap."""
    with pytest.raises(ValueError) as refused:
        parse_laps(text)
    assert str(refused.value).startswith(problem)


@pytest.mark.parametrize("size", [27, 100, 1000, 12_345])
def test_documents(size: int) -> None:
    """The JSON that is sent has the size that was asked for, and is JSON."""
    document = work.document(size)
    assert len(document) == size
    assert set(json.loads(document)) == {"padding", "records"}


def test_requests() -> None:
    """Requests are HTTP/1.1 as a person would write it; views that call downstream are told their lap."""
    assert work.request(Work("io", io_ms=20.0), 3, "h:1", keepalive=True) == (
        b"GET /io?id=3&ms=20 HTTP/1.1\r\nHost: h:1\r\n\r\n"
    )
    assert work.request(Work("mixed", io_ms=1.5, cpu_ms=2.0), 0, "h:1", keepalive=False) == (
        b"GET /mixed?id=0&io_ms=1.5&cpu_ms=2 HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n\r\n"
    )
    posted = work.request(Work("json", size=200), 0, "h:1", keepalive=True)
    head, _, body = posted.partition(b"\r\n\r\n")
    assert head == b"POST /json HTTP/1.1\r\nHost: h:1\r\nContent-Type: application/json\r\nContent-Length: 200"
    assert len(body) == 200
    paths = [work.path(Work(name, cpu_ms=5.0, size=64), 0) for name in ("greeting", "cpu", "large", "static")]
    assert paths == ["/", "/cpu?ms=5", "/large?size=64", "/static?size=64"]
    assert work.path(Work("front-static", size=64), 0) == "/front-static/64.bin"
