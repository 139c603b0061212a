"""The experiments under load, on a runtime that starts nothing: its server has slots, a service time and a CPU."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pytest
from pydantic import TypeAdapter

from tests import loaded
from tests.laps import MACHINE, Request, raw
from topolab import listeners, store
from topolab.errors import LabError, NotRunnable
from topolab.experiments import latency, memory, overload, throughput
from topolab.experiments.overload import recovery_s
from topolab.instrument.board import Fate
from topolab.loads import Footprint, Loaded, MemorySeen, Offered, RawLap, Work
from topolab.model import predict
from topolab.offers import Rate
from topolab.plan import Plan, resolve
from topolab.results import Applied, ListenerQueue, ReadBack, Run, to_json
from topolab.runtimes.fake import FakeRuntime
from topolab.samples import Samples, columns
from topolab.topology import Catalog

MIB = 1 << 20


@pytest.fixture(autouse=True)
def state_here(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("topolab.paths.STATE", tmp_path)


class Simulated:
    """A server that serves first come, first served, in `slots`, each request for as long as its work takes."""

    def __init__(
        self, plan: Plan, slots: int, *, overhead_s: float = 0.001, keeps: bool = False, view_s: float = 0.0,
        still: Sequence[int] = (),
    ) -> None:  # fmt: skip
        """`view_s`: how long a person's own view takes. `still`: laps, by number, in which the machine stands still."""
        self.still = still
        self.plan, self.slots, self.overhead_s, self.keeps, self.view_s = plan, slots, overhead_s, keeps, view_s
        self.asked: list[Offered] = []
        self.number = 0  # of the lap

    def __call__(self, arguments: Sequence[str]) -> Any:
        if arguments[0] == "readback":
            return self.read_back()
        assert arguments[0] == "load"
        laps = TypeAdapter(tuple[Offered, ...]).validate_json(arguments[2])
        self.asked += laps
        return Loaded(tuple(self.lap(offered) for offered in laps))

    def read_back(self) -> ReadBack:
        applied = Applied(0, None, None, None, None, 0, None, None, None, None, None)
        queues = tuple(
            ListenerQueue(queue.service, "fake", recv_q=0, send_q=queue.bound, unaccepted=0)
            for queue in listeners.expected(self.plan)
        )
        return ReadBack(applied, queues, processes_seen=self.plan.processes(), greeting={"python": "3.11.7"})

    def lap(self, offered: Offered) -> RawLap:
        service_s = self.overhead_s + (offered.work.io_ms + offered.work.cpu_ms) / 1000
        service_s += self.view_s if offered.work.name == "path" else 0.0
        requests = (self.closed if offered.loop == "closed" else self.open)(offered, service_s)
        self.number += 1
        if self.number - 1 in self.still:
            requests = []
        good = [request for request in requests if request[3] == Fate.ANSWERED]
        served = sum(offered.loop == "closed" or request[2] <= offered.seconds for request in good)
        kept = offered.keepalive and self.keeps
        lap = raw(
            requests, offered, views=len(requests), responses=len(good), connections_opened=1 if kept else len(good),
            connections_held=float(offered.connections or 10_000),
        )  # fmt: skip
        cpu_s = min(1.0, served * self.overhead_s / offered.seconds) * offered.seconds
        return replace(lap, machine=replace(MACHINE, wall_s=offered.seconds, server_cpu_s=cpu_s))

    def closed(self, offered: Offered, service_s: float) -> list[Request]:
        rate = min(min(self.slots, offered.connections) / service_s, 1 / self.overhead_s)
        under_way_s = offered.connections / rate
        return [
            (number / rate, number / rate, number / rate + under_way_s, Fate.ANSWERED, 200)
            for number in range(max(1, round(rate * offered.seconds)))  # the first is due when the lap begins
        ]

    def open(self, offered: Offered, service_s: float) -> list[Request]:
        free = [-offered.warmup_s] * self.slots
        found = []
        warmup = round(offered.rate * offered.warmup_s)
        for number in range(-warmup, round(offered.rate * offered.seconds)):
            due = number / offered.rate
            slot = min(range(self.slots), key=free.__getitem__)
            free[slot] = ended = max(due, free[slot]) + service_s
            if ended - due <= offered.timeout_s:
                found.append((due, due, ended, Fate.ANSWERED, 200))
            else:
                found.append((due, due, due + offered.timeout_s, Fate.TIMED_OUT, 0))
        return found[warmup:]


def of(catalog: Catalog, name: str, slots: int, **how: Any) -> tuple[FakeRuntime, Plan, Simulated]:
    plan = resolve(catalog, name)
    server = Simulated(plan, slots, **how)
    return FakeRuntime({name: server}), plan, server


def stored(run: Run) -> None:
    """The run fits its published schema, and reads back as the same run."""
    document = json.loads(json.dumps(to_json(run)))
    jsonschema.validate(document, store.schema())
    assert TypeAdapter(type(run)).validate_python(document) == run


def test_throughput_reaches_the_ceiling_that_was_predicted(catalog: Catalog) -> None:
    """Four slots at 21 ms make 190/s; the run holds the ceiling, the lap and the CPU time beside each other."""
    runtime, plan, server = of(catalog, "gunicorn-sync", 4)
    kept: list[RawLap] = []
    run = throughput.run(runtime, plan, lambda _: None, works=[Work("io", io_ms=20)], kept=kept)
    assert (run.verdict, run.findings) == ("VALID", ())
    (plateau,) = run.plateaus
    assert plateau.ceiling.rate == pytest.approx(4 / 0.021, rel=0.01)
    assert plateau.ceiling.bound_by == "workers"
    assert plateau.lap.achieved == pytest.approx(4 / 0.021, rel=0.02)
    assert plateau.server_cpu_s == pytest.approx(1.0, rel=0.1)
    assert [each.offered for each in kept] == server.asked
    assert [each.connections for each in server.asked] == [1, 16, 1, 16, 16]
    assert runtime.up_now == []
    stored(run)


def test_short_laps_in_which_the_machine_stood_still_are_measured_again(catalog: Catalog) -> None:
    """Whether connections are kept, and both kinds of lap that give the ceiling; a machine that stays still is told."""
    for still, extra in (((0,), 1), ((1,), 1), ((2, 4), 2), ((3, 4), 2), ((1, 2, 3, 4, 5), 5)):
        runtime, plan, server = of(catalog, "gunicorn-sync", 4, keeps=True, still=still)
        run = throughput.run(runtime, plan, lambda _: None, works=[Work("io", io_ms=20)])
        assert run.plateaus[0].ceiling.rate == pytest.approx(4 / 0.021, rel=0.01)
        assert run.plateaus[0].lap.offered.keepalive is True
        assert len(server.asked) == 5 + extra
    runtime, plan, _server = of(catalog, "gunicorn-sync", 4, still=range(1, 99))
    with pytest.raises(LabError, match=r"no good answer to io 20 ms, one client within 0.3 s \(none was due\)"):
        throughput.run(runtime, plan, lambda _: None, works=[Work("io", io_ms=20)])


def test_connections_are_kept_where_the_server_keeps_them(catalog: Catalog) -> None:
    """The client alone finds out; what is asked for is used, and doubted where the server does not do it."""
    for keeps, asked, used in ((True, None, True), (False, None, False), (True, False, False), (False, True, True)):
        runtime, plan, server = of(catalog, "gunicorn-sync", 4, keeps=keeps)
        run = throughput.run(runtime, plan, lambda _: None, works=[Work("io", io_ms=20)], keepalive=asked, seconds=8)
        assert server.asked[-1].keepalive is used
        doubted = used and not keeps
        assert [finding.code for finding in run.findings] == (["keepalive_not_honoured"] if doubted else [])


def test_the_command_measures_the_same_again(catalog: Catalog) -> None:
    """Every option that was given is in it, as it is typed."""
    runtime, plan, _server = of(catalog, "gunicorn-sync", 4)
    works = (Work("io", io_ms=20), Work("mixed", io_ms=5, cpu_ms=2))
    run = throughput.run(runtime, plan, lambda _: None, works=works, seconds=2, connections=32, keepalive=False)
    assert run.command == (
        "topolab throughput gunicorn-sync --runtime process --work io:20,mixed:5+2 --seconds 2 --connections 32 "
        "--keepalive off"
    )
    rates = (Rate(50), Rate(0.5, of_ceiling=True))
    found = latency.run(runtime, plan, lambda _: None, work=works[0], rates=rates)
    assert "--work io:20 --rates 50,0.5x --arrivals constant" in found.command


def test_latency_is_measured_at_shares_of_the_ceiling_and_as_asked(catalog: Catalog) -> None:
    """Lowest first, each as long as p99 needs within three seconds; the knee is where a queue begins to grow."""
    runtime, plan, server = of(catalog, "waitress", 4)
    rates = [Rate(1.3, of_ceiling=True), Rate(400), Rate(0.5, of_ceiling=True)]
    run = latency.run(runtime, plan, lambda _: None, rates=rates)
    assert run.ceiling.rate == pytest.approx(1000, rel=0.01)  # a CPU at 1 ms
    assert [lap.offered.rate for lap in run.points] == [400, 500, 1300]
    assert [lap.offered.label for lap in run.points] == ["400/s", "0.5 of the ceiling", "1.3 of the ceiling"]
    assert [lap.offered.seconds for lap in run.points] == [2.625, 2.1, 0.808]
    assert run.knee == 1300  # four slots of 1 ms take it
    assert [offered.loop for offered in server.asked] == ["closed"] * 4 + ["open"] * 3
    stored(run)


def test_a_rate_that_is_named_is_worth_a_percentile(catalog: Catalog) -> None:
    """It is measured until p99 has its thousand requests; shares of a low ceiling are left at three seconds."""
    runtime, plan, _server = of(catalog, "gunicorn-sync", 4)
    io = Work("io", io_ms=20)
    named = latency.run(runtime, plan, lambda _: None, work=io, rates=[Rate(50), Rate(10)])
    assert [(lap.offered.rate, lap.offered.seconds) for lap in named.points] == [(10, 30), (50, 21)]
    assert [finding.code for finding in named.findings] == ["too_few_samples"]
    shares = latency.run(runtime, plan, lambda _: None, work=io, rates=[Rate(0.1, of_ceiling=True)])
    assert shares.points[0].offered.seconds == 3


@pytest.mark.parametrize(
    ("name", "keepalive", "connections", "most"),
    [("waitress", None, None, 98), ("waitress", False, None, 0), ("waitress", None, 7, 7), ("cheroot", None, None, 0)],
)
def test_no_more_connections_are_kept_than_the_server_takes(
    catalog: Catalog, name: str, keepalive: bool | None, connections: int | None, most: int
) -> None:
    """Those outside would wait for ever behind idle ones. New ones have their turn; and who names a number has that."""
    runtime, plan, _server = of(catalog, name, 4, keeps=True)
    run = latency.run(runtime, plan, lambda _: None, keepalive=keepalive, connections=connections)
    assert {lap.offered.connections for lap in run.points} == {most}


def test_requests_that_take_seconds_have_laps_that_they_fit_into(catalog: Catalog) -> None:
    """Long polling comes out as it was offered: no queue grows, and nothing drifts."""
    runtime, plan, _server = of(catalog, "gunicorn-gevent", 2000)
    run = latency.run(runtime, plan, lambda _: None, work=Work("io", io_ms=2000))
    assert [round(lap.offered.seconds, 3) for lap in run.points] == [10.005] * 3
    assert run.verdict == "VALID", run.findings


def test_the_knee_lies_below_every_rate_that_does_not_hold() -> None:
    """A rate that holds again above one that did not is chance: the knee is where it ended for the first time."""
    at = [(100.0, 0.02), (200.0, 0.15), (300.0, 0.02)]
    points = [loaded.lap(Offered(Work(), "open", 5.0, rate=rate), rate, p99_s) for rate, p99_s in at]
    assert latency.knee(points) == 100.0
    assert latency.knee([points[0], points[2]]) == 300.0


@pytest.mark.parametrize(
    ("work", "alone", "few"),
    [
        (Work(), (1, 0.3, 5.0), (16, 0.4, 5.0)),
        (Work("io", io_ms=500), (1, 2.0, 10.0), (16, 0.4, 5.0)),
        (Work("cpu", cpu_ms=5), (1, 0.3, 5.0), (16, 0.4, 5.0)),
        (Work("cpu", cpu_ms=1000), (1, 4.0, 20.0), (2, 8.0, 40.0)),
    ],
)
def test_what_a_request_costs_is_measured_for_as_long_as_it_takes(
    catalog: Catalog, work: Work, alone: tuple[int, float, float], few: tuple[int, float, float]
) -> None:
    """Long work has longer laps, fewer clients at once, and clients that wait for it."""
    runtime, plan, server = of(catalog, "gunicorn-gthread", 10)
    throughput.run(runtime, plan, lambda _: None, works=[work])
    laps = [(lap.connections, lap.seconds, lap.timeout_s) for lap in server.asked]
    assert laps[1:4] == [few, alone, few]
    assert laps[4][1] >= 10 * (work.io_ms + work.cpu_ms) / 1000
    assert laps[4][2] >= 10 * (work.io_ms + work.cpu_ms) / 1000


def test_a_slow_view_of_ones_own_is_asked_once_to_know_how_long(catalog: Catalog) -> None:
    """Nobody knows how long it takes: what is found out by asking once makes the other laps as long as they need."""
    runtime, plan, server = of(catalog, "gunicorn-gthread", 10, view_s=0.8)
    run = throughput.run(runtime, plan, lambda _: None, works=[Work("path", path="/report")])
    once, kept, few, one, again, _plateau = server.asked
    assert (once.label, once.warmup_s, once.timeout_s) == ("path /report, how long?", 0.0, 60.0)
    assert min(kept.seconds, few.seconds, one.seconds) > 4 * 0.8
    assert few == again
    assert min(kept.timeout_s, few.timeout_s, one.timeout_s) > 10 * 0.8
    assert run.plateaus[0].ceiling.service_s == pytest.approx(0.801)


def test_processes_that_never_answered_are_told(catalog: Catalog) -> None:
    """Three of four workers serve: what is measured of them is SUSPECT, and the count is said."""
    runtime, plan, server = of(catalog, "gunicorn-sync", 4)
    missing = replace(server.read_back(), processes_seen=3, greeting={})
    server.read_back = lambda: missing  # type: ignore[method-assign]
    run = throughput.run(runtime, plan, lambda _: None, works=[Work("io", io_ms=20)])
    assert [finding.code for finding in run.findings] == ["processes_missing"]
    assert "Only 3 of 4 serving processes answered" in run.findings[0].message


def test_what_a_request_costs_is_asked_by_no_more_than_the_server_takes(catalog: Catalog) -> None:
    """Of sixteen clients most would be turned away, and the CPU time of that is no request's."""
    runtime, _plan, server = of(catalog, "nginx-uwsgi", 1)
    plan = server.plan = resolve(catalog, "nginx-uwsgi", sets=["threads=1", "processes=1", "app.backlog=4"])
    throughput.run(runtime, plan, lambda _: None, works=[Work("io", io_ms=10)])
    few = server.asked[1].connections
    assert 1 < few < 16
    assert not predict(plan, 2 * few).ledger.turned_away
    assert predict(plan, 2 * few + 2).ledger.turned_away


def test_the_knee_is_the_last_rate_that_holds(catalog: Catalog) -> None:
    """Ten times the median of the lowest rate is too much; a rate that is above the slots is not held."""
    runtime, plan, _server = of(catalog, "waitress", 4)
    rates = [Rate(50), Rate(150), Rate(260)]
    run = latency.run(runtime, plan, lambda _: None, work=Work("io", io_ms=20), rates=rates, seconds=8)
    assert run.knee == 150
    assert run.points[-1].verdict == "SUSPECT"
    assert {finding.code for finding in run.points[-1].findings} == {"below_offered"}


def test_overload_shows_what_the_excess_gets_and_what_ran_for_nobody(catalog: Catalog) -> None:
    """An endless queue is soon longer than clients wait: then all that is served is served for nobody."""
    runtime, plan, server = of(catalog, "gunicorn-sync", 4)
    run = overload.run(runtime, plan, lambda _: None, steps=(0.5, 3))
    assert [step.times_ceiling for step in run.steps] == [0.5, 3]
    calm, flood = run.steps
    assert calm.lap.achieved == pytest.approx(95, rel=0.02)
    assert calm.dead == 0
    assert flood.lap.achieved == 0
    timeouts = sum(fated.count for fated in flood.lap.fates if fated.fate == "timeout")
    assert flood.dead == timeouts == flood.lap.requests
    assert run.verdict == "VALID"  # it was meant
    assert (run.recovery_s, run.watched_s) == (0.398, 2.9)  # the last client gave up so long after its step
    assert not any(lap.keepalive for lap in server.asked)
    stored(run)


def test_the_light_load_afterwards_is_light_for_slow_work_too(catalog: Catalog) -> None:
    """Never more than half of the ceiling, for as long as it takes a few to tell that all is well again."""
    runtime, plan, server = of(catalog, "flask-single", 1)
    run = overload.run(runtime, plan, lambda _: None, work=Work("io", io_ms=100), steps=(0.5,))
    after = server.asked[-1]
    assert after.rate == pytest.approx(run.ceiling.rate / 2, rel=0.01)
    assert after.seconds == pytest.approx(20 / after.rate, rel=0.02)
    assert run.recovery_s is not None
    assert run.recovery_s < run.watched_s


def test_a_file_of_the_front_needs_a_front(catalog: Catalog) -> None:
    """A topology without one is told, by name, and is none that failed."""
    runtime, plan, server = of(catalog, "gunicorn-sync", 4)
    with pytest.raises(NotRunnable, match="gunicorn-sync has no front that could send a file itself"):
        throughput.run(runtime, plan, lambda _: None, works=[Work("front-static", size=1024)])
    assert (server.asked, runtime.up_now) == ([], [])


@pytest.mark.parametrize(
    ("slow", "recovered_s"),
    [
        (range(0), 0.5),  # well from the first on: no earlier than that can be told
        (range(30), 2.0),  # slow for 1.5 s
        ([70], 0.5),  # one alone is the machine's
        (range(30, 35), 2.25),
        (range(90, 100), None),
        (range(100), None),
    ],
)
def test_recovery_is_when_latencies_stay_low(slow: Sequence[int], recovered_s: float | None) -> None:
    """100 requests at 20/s, which begin half a second after the load ended; those in `slow` took 100 ms, not 21."""
    latency_ns = np.array([100_000_000 if number in slow else 21_000_000 for number in range(100)])
    due_ns = np.arange(100) * 50_000_000
    fate = np.full(100, Fate.ANSWERED, np.uint8)
    seen = Samples(due_ns, due_ns, due_ns + latency_ns, fate, np.full(100, 200, np.uint16))
    found = recovery_s(seen, idle_s=0.02, since_s=0.5)
    assert found == (None if recovered_s is None else pytest.approx(recovered_s, abs=0.11))


def test_recovery_of_nothing_is_not_told() -> None:
    """Without answers there is none."""
    empty = columns(raw([]))
    assert recovery_s(empty, idle_s=0.02) is None


def sized(plan: Plan, *, served: int, idle: int, taken: dict[str, int]) -> Callable[[Sequence[str]], Any]:
    """A server of 100 MiB whose requests and connections take what is said."""

    def script(arguments: Sequence[str]) -> Any:
        if arguments[0] == "readback":
            return Simulated(plan, 1).read_back()
        rest = Footprint(100 * MIB, 5)
        requests, connections = int(arguments[2]), int(arguments[4])
        full = Footprint(rest.pss_bytes + (served * taken["request"] if requests else 0), 5)
        grown = Footprint(rest.pss_bytes + (idle * taken["connection"] if connections else 0), 5)
        return MemorySeen(
            at_rest=rest, full=full, served=served if requests else 0, accepted=served, after=rest, idle=grown,
            idle_connections=idle if connections else 0, before_idle=rest,
        )  # fmt: skip

    return script


def test_memory_is_shared_out(catalog: Catalog) -> None:
    """Of a worker, a request and a connection; a request where there are enough to tell."""
    plan = resolve(catalog, "uwsgi-processes")  # four processes of five threads
    taken = {"request": 3 * MIB, "connection": MIB}
    run = memory.run(FakeRuntime({plan.name: sized(plan, served=20, idle=100, taken=taken)}), plan, lambda _: None)
    assert (run.workers, run.per_worker_bytes) == (4, 25 * MIB)
    assert (run.per_request_bytes, run.per_connection_bytes) == (3 * MIB, MIB)
    assert run.pins is None
    assert (run.verdict, run.command) == (
        "VALID", "topolab memory uwsgi-processes --runtime process --requests 1000 --idle 100"
    )  # fmt: skip
    stored(run)


def test_memory_of_a_few_is_not_told(catalog: Catalog) -> None:
    """Four requests can't be told from what the server does by itself, nor can what takes nothing."""
    plan = resolve(catalog, "gunicorn-sync")
    taken = {"request": MIB, "connection": 0}
    run = memory.run(FakeRuntime({plan.name: sized(plan, served=4, idle=100, taken=taken)}), plan, lambda _: None)
    assert (run.per_request_bytes, run.per_connection_bytes) == (None, None)
    assert run.verdict == "VALID"


def test_fewer_in_handlers_than_predicted_are_doubted(catalog: Catalog) -> None:
    """Their memory would be shared out wrongly."""
    plan = resolve(catalog, "uwsgi-processes")
    taken = {"request": MIB, "connection": MIB}
    run = memory.run(FakeRuntime({plan.name: sized(plan, served=15, idle=100, taken=taken)}), plan, lambda _: None)
    assert [finding.code for finding in run.findings] == ["prediction_differs"]
    assert run.verdict == "SUSPECT"
