"""Ceilings from the model and from one client alone, and how many connections fill a server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.laps import OFFERED, Request, answered, raw
from topolab.errors import LabError
from topolab.experiments.ceilings import as_python_counts, busy_cpus, ceiling, cheapest, enough, outside, slots
from topolab.instrument.board import Fate
from topolab.loads import Ceiling, Lap, Pins, Work
from topolab.plan import Plan, resolve
from topolab.results import Finding
from topolab.samples import lap_of
from topolab.topology import Catalog

IO = Work("io", io_ms=20)
EIGHT = Pins(tuple(range(8)), (8, 9))


def plan(catalog: Catalog, name: str, *sets: str) -> Plan:
    return resolve(catalog, name, sets=sets).pinned(Pins((0,), (1,)))


def alone(latency_s: float, server_cpu_s: float = 0.5, requests: list[Request] | None = None) -> Lap:
    """One client in two seconds, which took that much of the server's CPU."""
    seen = requests or [answered(number * latency_s, latency_s) for number in range(round(2 / latency_s))]
    lap = raw(seen, replace(OFFERED, loop="closed", connections=1))
    return lap_of(replace(lap, machine=replace(lap.machine, server_cpu_s=server_cpu_s)))


@pytest.mark.parametrize(
    ("name", "sets", "expected"),
    [
        ("gunicorn-sync", [], (4, "workers")),
        ("uwsgi-threads", ["threads=3", "processes=2"], (6, "threads")),
        ("waitress", [], (4, "threads")),
        ("gunicorn-gevent", [], (2000, "worker_connections")),
        ("nginx-gunicorn-sync", [], (4, "workers")),
        ("flask-single", [], (1, "threaded=false")),
    ],
)
def test_slots_are_the_handlers_of_the_model(
    catalog: Catalog, name: str, sets: list[str], expected: tuple[int, str]
) -> None:
    """As many as the ledger has handlers, and the setting that draws that line."""
    assert slots(plan(catalog, name, *sets), IO) == expected


def test_slots_of_a_file_that_the_front_sends_are_the_fronts(catalog: Catalog) -> None:
    """The app is not asked for it."""
    assert slots(plan(catalog, "nginx-gunicorn-sync"), Work("front-static", size=1)) == (
        2047,
        "front.worker_connections",
    )


def test_the_lower_of_both_ceilings_counts(catalog: Catalog) -> None:
    """Four workers at 20 ms allow 200/s; a CPU at 10 ms allows 100/s."""
    sync = plan(catalog, "gunicorn-sync")
    by_slots = ceiling(sync, IO, "3.11.7", alone=alone(0.02), costs=alone(0.001, server_cpu_s=1.0))
    assert by_slots == Ceiling(rate=200, bound_by="workers", service_s=0.02, cpu_s=0.0005, slots=4, cpus=1)
    by_cpu = ceiling(sync, IO, "3.11.7", alone=alone(0.02), costs=alone(0.01, server_cpu_s=2.0))
    assert (by_cpu.rate, by_cpu.bound_by, by_cpu.cpu_s) == (100, "CPU", 0.01)


def test_the_cheaper_of_two_laps_counts_unless_it_was_disturbed() -> None:
    """Noise makes requests dearer, never cheaper; what the machine disturbed is taken where there is nothing else."""
    dear, cheap = alone(0.001, server_cpu_s=1.9), alone(0.001, server_cpu_s=1.0)
    assert cheapest(dear, cheap) is cheapest(cheap, dear) is cheap
    busy = replace(cheap, findings=(Finding("machine_busy", "Others used the CPU."),))
    assert cheapest(dear, busy) is dear
    assert cheapest(busy, replace(dear, findings=busy.findings)) is busy
    nothing = alone(0.02, requests=[(0.0, 0.0, 0.01, Fate.ERROR, 404)])
    assert cheapest(nothing, dear) is dear


def test_nothing_is_said_of_cpu_time_that_is_not_known(catalog: Catalog) -> None:
    """Where the server's processes could not be found, its slots alone are the ceiling."""
    unknown = alone(0.02)
    unknown = replace(unknown, machine=replace(unknown.machine, server_cpu_s=None))
    assert ceiling(plan(catalog, "gunicorn-sync"), IO, "3.11.7", alone=unknown, costs=unknown).rate == 200


def test_one_client_without_a_good_answer_is_an_error(catalog: Catalog) -> None:
    """There is no ceiling then, and the error says what came instead."""
    bad = alone(0.02, requests=[(0.0, 0.0, 0.01, Fate.ERROR, 404)] * 3)
    with pytest.raises(LabError, match=r"gunicorn-sync: no good answer to .* within 2 s \(3 error 404\)"):
        ceiling(plan(catalog, "gunicorn-sync"), IO, "3.11.7", alone=bad, costs=bad)


def test_thread_pools_count_cpus_as_their_python_does(catalog: Catalog) -> None:
    """hypercorn's default pool has a thread for each CPU and four more: of the machine, or from 3.13 on of its own."""
    hypercorn = plan(catalog, "hypercorn").on(10)
    assert slots(as_python_counts(hypercorn, "3.12.9"), IO)[0] == 14
    assert slots(as_python_counts(hypercorn, "3.13.0"), IO)[0] == 5
    assert slots(as_python_counts(hypercorn, "3.14.0rc1"), IO)[0] == 5


@pytest.mark.parametrize(
    ("name", "sets", "cpus"),
    [
        ("gunicorn-sync", [], 4),  # a process each
        ("gunicorn-gthread", [], 1),  # Python's lock
        ("nginx-gunicorn-gthread", [], 2),  # and nginx beside it
        ("nginx-balanced", [], 7),
        ("granian", [], 2),
        ("flask-forking", ["processes=100"], 8),  # no more than there are
        ("flask-threaded", [], 1),
    ],
)
def test_cpus_that_a_server_can_keep_busy(catalog: Catalog, name: str, sets: list[str], cpus: int) -> None:
    """One for each process with Python's lock, those of a front, and at most those that it is pinned to."""
    assert busy_cpus(plan(catalog, name, *sets).pinned(EIGHT), IO) == cpus


def test_enough_connections_fill_what_is_to_be_full(catalog: Catalog) -> None:
    """Four times what is under way at the ceiling, at least sixteen, and never more than the server takes."""
    limit = Ceiling(rate=1000, bound_by="CPU", service_s=0.02, cpu_s=0.001, slots=2000, cpus=1)
    assert enough(plan(catalog, "gunicorn-gevent"), limit, kept=True) == 80
    assert enough(plan(catalog, "gunicorn-gevent"), replace(limit, rate=100), kept=True) == 16
    assert enough(plan(catalog, "gunicorn-gevent", "worker_connections=20"), limit, kept=True) == 40
    assert enough(plan(catalog, "uwsgi-threads"), replace(limit, rate=5000), kept=False) == 101


def test_connections_outside_are_those_that_nobody_takes(catalog: Catalog) -> None:
    """Kept ones stand in the accept queue for ever; new ones have their turn there. An event loop takes all of them."""
    waitress = plan(catalog, "waitress")
    assert [outside(waitress, number, kept=True) for number in (98, 200)] == [0, 102]
    assert [outside(waitress, number, kept=False) for number in (200, 1200)] == [0, 77]
    assert outside(plan(catalog, "tornado-wsgi"), 100, kept=True) == 0
    assert outside(plan(catalog, "nginx-gunicorn-sync"), 500, kept=True) == 0
