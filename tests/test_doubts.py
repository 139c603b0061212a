"""Every reason to doubt a lap is found when it is there, and only then."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.laps import MACHINE, OFFERED, Request, answered, evenly, raw
from topolab import doubts, samples
from topolab.instrument.board import Fate
from topolab.loads import Calibration, Ceiling, Lap, MachineUse, Offered, Pins
from topolab.results import Finding

CLOSED = replace(OFFERED, loop="closed", rate=0.0, connections=10, label="io 20 ms")
CEILING = Ceiling(rate=500, bound_by="threads", service_s=0.02, cpu_s=0.0005, slots=10, cpus=1)
CALIBRATION = Calibration(
    keepalive_rate=40_000, keepalive_cpu_s=0.025, reconnect_rate=8_000, reconnect_cpu_s=0.12, open_rate=10_000
)


def steady(clients: int = 10, latency_s: float = 0.02, seconds: float = 2.0) -> list[Request]:
    """What a closed loop of so many clients sees of a server that takes that long for each."""
    rounds = round(seconds / latency_s)
    return [answered(number * latency_s, latency_s) for number in range(rounds) for _client in range(clients)]


def lap(requests: list[Request], offered: Offered = OFFERED, **report: Any) -> Lap:
    """Its figures, with a keep-alive that was honoured unless `report` says otherwise."""
    report = {"responses": len(requests), "connections_held": float(offered.connections or 3), **report}
    return samples.lap_of(raw(requests, offered, **report))


def codes(judged: Lap) -> list[str]:
    return [finding.code for finding in judged.findings]


def only(judged: Lap) -> Finding:
    """The one finding of a lap that is suspect for it."""
    assert judged.verdict == "SUSPECT"
    (finding,) = judged.findings
    return finding


GOOD = lap(evenly(100, 2.0, 0.02))
PLATEAU = lap(steady(), CLOSED)


def test_a_good_lap_is_valid() -> None:
    """An even open loop and a steady plateau at its ceiling give no reason to doubt them."""
    assert (
        doubts.judge(GOOD, ceiling=CEILING, calibration=CALIBRATION, pins=Pins((0,), (1,)), percentile=0.95).findings
        == ()
    )
    judged = doubts.judge(PLATEAU, ceiling=CEILING, calibration=CALIBRATION, plateau=True)
    assert (judged.verdict, judged.findings) == ("VALID", ())


def test_clients_that_wait_unseen_break_littles_law() -> None:
    """100 connections at 3.3/s and 9 ms make 0.03 under way: 100 clients were somewhere else."""
    offered = replace(CLOSED, connections=100, seconds=30.0, keepalive=False)
    found = only(doubts.judge(lap([answered(number * 0.3, 0.009) for number in range(100)], offered)))
    assert found.code == "littles_law"
    assert found.message == (
        "3/s times 9 ms makes 0.0 requests under way, but 100 clients asked. The others stand where these latencies do "
        "not see them (a connection that nobody answers, a client that waits). Use fewer connections, or look at what "
        "they get."
    )


def test_more_under_way_than_connections_is_no_latency() -> None:
    """In an open loop no more can be under way than connections are open."""
    assert "littles_law" in codes(doubts.judge(lap(evenly(100, 2.0, 0.2), connections_held=10.0)))
    assert "littles_law" not in codes(doubts.judge(lap(evenly(100, 2.0, 0.2), connections_held=20.0)))


def test_one_client_may_have_gaps() -> None:
    """Between an answer and the next request one client alone has nothing under way."""
    offered = replace(CLOSED, connections=1)
    assert doubts.judge(lap([answered(number * 0.001, 0.0006) for number in range(2000)], offered)).findings == ()


def test_a_mean_above_p99_is_told() -> None:
    """A handful of very long requests move the mean past p99: neither figure shows them."""
    requests = [*evenly(1000, 2.0, 0.001), answered(1.0, 100.0)]
    found = only(doubts.judge(lap(requests, replace(OFFERED, rate=1000.0), connections_held=100.0)))
    assert found.code == "mean_above_p99"
    assert "mean latency (51 ms) is above p99 (1 ms)" in found.message
    assert "100,000 ms" in found.message


def test_more_than_the_ceiling_is_told() -> None:
    """413/s from a server that can answer 100/s: not all of these were answers. 4 % more is within the measuring."""
    ceiling = replace(CEILING, rate=100.0, slots=1, service_s=0.01)
    found = only(doubts.judge(lap(evenly(413, 2.0, 0.001), replace(OFFERED, rate=413.0)), ceiling=ceiling))
    assert found.code == "above_ceiling"
    assert found.message.startswith("413/s came out, and by threads it can be 100/s.")
    ceiling = replace(CEILING, rate=250.0, bound_by="CPU", cpu_s=0.004)
    found = only(doubts.judge(lap(evenly(413, 2.0, 0.001), replace(OFFERED, rate=413.0)), ceiling=ceiling))
    assert found.message.startswith("413/s came out, and by its CPU time it can be 250/s.")
    assert doubts.judge(GOOD, ceiling=replace(CEILING, rate=97.0)).findings == ()


def test_less_than_was_offered_is_told() -> None:
    """200/s offered and 100/s served: a queue grows. Poisson arrivals may be fewer by chance."""
    flooded = [(number / 200, number / 200, (number + 1) / 100, Fate.ANSWERED, 200) for number in range(400)]
    judged = doubts.judge(lap(flooded, replace(OFFERED, rate=200.0), connections_held=200.0))
    assert codes(judged) == ["below_offered"]
    assert judged.findings[0].message.startswith("200/s were offered and 100/s came out: a queue grows")
    few = lap(evenly(8, 2.0, 0.02), replace(OFFERED, rate=10.0, arrivals="poisson"))
    assert doubts.judge(few).findings == ()
    assert codes(doubts.judge(lap(evenly(8, 2.0, 0.02), replace(OFFERED, rate=10.0)))) == ["below_offered"]
    assert doubts.judge(lap(evenly(9, 2.0, 0.02), replace(OFFERED, rate=10.0))).findings == ()  # at the ends of a grid


def test_overload_is_no_doubt_where_it_is_meant() -> None:
    """More offered than comes out, errors and a growing queue are then the subject."""
    flooded = [(number / 200, number / 200, (number + 1) / 100, Fate.ANSWERED, 200) for number in range(350)]
    flooded += [(1.9, 1.9, 2.0, Fate.RESET, 0)] * 50
    crowd = lap(flooded, replace(OFFERED, rate=200.0), connections_held=200.0)
    assert doubts.judge(crowd, overload=True).findings == ()
    assert codes(doubts.judge(crowd, percentile=0.999)) == ["errors", "below_offered", "too_few_samples"]


def test_a_late_instrument_is_told() -> None:
    """More than a millisecond late at p99; or late by a tenth of the median, most of the time."""
    found = only(doubts.judge(lap(evenly(100, 2.0, 0.02), lateness_p99_s=0.0042)))
    assert found.code == "instrument_late"
    assert found.message.startswith("The instrument sent 4.2 ms late (p99; 1 ms at most)")
    often = only(doubts.judge(lap(evenly(100, 2.0, 0.0005), lateness_p50_s=0.0001)))
    assert "0.1 ms late (p50), 20% of the median latency of 0.5 ms" in often.message
    assert doubts.judge(lap(evenly(100, 2.0, 0.02), lateness_p50_s=0.0001)).findings == ()


def test_lateness_in_overload_is_beside_long_latencies() -> None:
    """1.5 ms late is much beside 2 ms, and nothing beside 200 ms, nor beside clients that all gave up after a while."""
    late: dict[str, Any] = {"lateness_p99_s": 0.0015, "connections_held": 100.0}
    assert doubts.judge(lap(evenly(100, 2.0, 0.2), **late), overload=True).findings == ()
    assert codes(doubts.judge(lap(evenly(100, 2.0, 0.002), **late), overload=True)) == ["instrument_late"]
    given_up = [(number / 100, number / 100, number / 100 + 0.4, Fate.TIMED_OUT, 0) for number in range(200)]
    assert doubts.judge(lap(given_up, replace(OFFERED, timeout_s=0.4), **late), overload=True).findings == ()


def test_an_instrument_at_its_ceiling_is_told() -> None:
    """Its core full; or more than four fifths of what it did against a null server, each way of connecting apart."""
    assert "core was 95% busy" in only(doubts.judge(lap(steady(), CLOSED, cpu_share=0.95))).message
    fast = lap(steady(10, 0.001), CLOSED)
    assert doubts.judge(fast, calibration=CALIBRATION).findings == ()
    slow = replace(CALIBRATION, keepalive_rate=12_000)
    found = only(doubts.judge(fast, calibration=slow))
    assert found.code == "instrument_saturated"
    assert found.message.startswith("10,000/s is 83% of what the instrument itself can do here (12,000/s)")
    each_anew = replace(CLOSED, keepalive=False)
    reconnecting = lap(steady(10, 0.001), each_anew, connections_opened=20_000)
    assert codes(doubts.judge(reconnecting, calibration=CALIBRATION)) == ["instrument_saturated"]


def test_missing_descriptors_are_told() -> None:
    """Connections that the instrument itself could not open say nothing of the server."""
    assert only(doubts.judge(lap(evenly(100, 2.0, 0.02), descriptors_short=7))).code == "instrument_descriptors"


def test_a_keepalive_that_is_not_honoured_is_told() -> None:
    """As many connections as responses although they were to be kept; none where that was not asked for."""
    many = {"connections_opened": 1000}
    found = only(doubts.judge(lap(steady(), CLOSED, **many)))
    assert found.code == "keepalive_not_honoured"
    assert found.message.startswith("1,000 responses took 1,000 connections: the server closes them")
    assert doubts.judge(lap(steady(), replace(CLOSED, keepalive=False), **many)).findings == ()
    assert doubts.judge(lap(steady(), CLOSED, connections_opened=25)).findings == ()


@pytest.mark.parametrize(("percentile", "needed"), [(0.99, 1000), (0.999, 10_000), (0.9, 100)])
def test_too_few_samples_for_a_percentile_are_told(percentile: float, needed: int) -> None:
    """Ten have to lie beyond it."""
    offered = replace(OFFERED, rate=needed / 2)
    enough = lap(evenly(needed / 2, 2.0, 0.0005), offered)
    assert doubts.judge(enough, percentile=percentile).findings == ()
    short = only(doubts.judge(lap(evenly(needed / 2, 2.0, 0.0005)[:-1], offered), percentile=percentile))
    assert short.code == "too_few_samples"
    assert f"{needed:,} are needed" in short.message


def test_the_message_on_samples_says_how_long_to_run() -> None:
    """43 requests in 2 s: p99 needs 47 s."""
    few = [answered(number / 21.5, 0.01) for number in range(43)]
    found = only(doubts.judge(lap(few, replace(OFFERED, rate=21.5)), percentile=0.99))
    assert found.message == (
        "p99 rests on 43 requests, of which 0.4 lie beyond it; 1,000 are needed. Run 47 s (--seconds), or read a lower "
        "percentile."
    )


def test_errors_are_told_by_kind() -> None:
    """Failures are no requests served."""
    requests = [*evenly(100, 1.9, 0.02), *[(1.9, 1.9, 1.91, Fate.ERROR, 503)] * 7, (1.95, 1.95, 0.0, Fate.SENT, 0)]
    found = only(doubts.judge(lap(requests)))
    assert found.code == "errors"
    assert found.message.startswith("8 of 198 requests got no good answer (7 error 503, 1 silence).")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (replace(MACHINE, others_cpu_s=0.5), "Other processes used 25% of a core"),
        (replace(MACHINE, steal_s=0.1), "The hypervisor took 5% of a core"),
    ],
)
def test_a_busy_machine_is_told(changed: MachineUse, says: str) -> None:
    """What others take of the CPUs, or the hypervisor."""
    found = only(doubts.judge(replace(GOOD, machine=changed)))
    assert (found.code, says in found.message) == ("machine_busy", True)


def test_a_tick_or_two_in_a_short_lap_say_nothing() -> None:
    """The kernel counts in hundredths of a second: two are 7 % of a lap of 0.3 s, and may have been one and a bit."""
    seen = replace(MACHINE, wall_s=0.3, steal_s=0.02, others_cpu_s=0.04)
    assert doubts.judge(replace(GOOD, machine=seen)).findings == ()
    assert only(doubts.judge(replace(GOOD, machine=replace(seen, steal_s=0.06)))).code == "machine_busy"


def test_pins_that_were_not_applied_are_told() -> None:
    """The server may use more CPUs than it was to have; nothing is said where it was not found, or not pinned."""
    pins = Pins((0,), (1,))
    found = only(doubts.judge(replace(GOOD, machine=replace(MACHINE, server_cpus=2)), pins=pins))
    assert found.code == "limit_clipped"
    assert found.message.startswith("The server may use 2 CPUs, the plan pins it to 1 (0).")
    assert doubts.judge(replace(GOOD, machine=replace(MACHINE, server_cpus=0)), pins=pins).findings == ()
    assert doubts.judge(replace(GOOD, machine=replace(MACHINE, server_cpus=2))).findings == ()


def test_drift_is_told() -> None:
    """The second half is faster than the first by more than a tenth."""
    found = only(doubts.judge(replace(PLATEAU, first_half=400.0, second_half=600.0)))
    assert found.code == "drift"
    assert found.message.startswith("400/s in the first half, 600/s in the second")
    assert doubts.judge(replace(PLATEAU, first_half=480.0, second_half=520.0)).findings == ()


def test_a_plateau_with_nothing_full_is_told() -> None:
    """Neither the slots nor the CPU of the server: something else held it back. Either of them full is enough."""
    held_back = lap(steady(2, 0.02), replace(CLOSED, connections=2))
    found = only(doubts.judge(held_back, ceiling=CEILING, plateau=True))
    assert found.code == "not_saturated"
    assert found.message.startswith("The server's CPU was 25% busy and its slots 20%")
    busy = replace(held_back, machine=replace(MACHINE, server_cpu_s=1.9))
    assert doubts.judge(busy, ceiling=CEILING, plateau=True).findings == ()
    assert codes(doubts.judge(busy, ceiling=replace(CEILING, cpus=2), plateau=True)) == ["not_saturated"]
    assert doubts.judge(held_back, ceiling=CEILING).findings == ()


def test_clients_outside_are_told() -> None:
    """Connections that the server has not taken are in none of its latencies."""
    found = only(doubts.judge(PLATEAU, outside=6))
    assert found.code == "clients_outside"
    assert found.message.startswith("Of 10 connections the server takes 4: 6 clients stand outside")


def test_repeats_that_disagree_are_told() -> None:
    """More than 15 % of their median apart."""
    (found,) = doubts.repeats("requests/s of io 20 ms", [100.0, 104.0, 120.0])
    assert found.code == "repeats_disagree"
    assert found.message.startswith(
        "requests/s of io 20 ms: 3 repeats lie between 100 and 120, 19% of their median apart"
    )
    assert list(doubts.repeats("requests/s", [100.0, 104.0, 112.0])) == []


def test_a_runs_findings_name_their_lap() -> None:
    """A run has the findings of its laps, each with the name of its lap."""
    judged = doubts.judge(PLATEAU, outside=6)
    (found,) = doubts.gathered([doubts.judge(PLATEAU), judged])
    assert found.message.startswith("io 20 ms: Of 10 connections")
