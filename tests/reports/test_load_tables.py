"""Runs under load as tables: every number with its verdict, and what could not be told as a dash."""

from __future__ import annotations

from dataclasses import replace

from tests import loaded
from topolab.loads import Fated, Work
from topolab.reports import loads
from topolab.reports.behaviours import ALL, markdown


def test_throughput_shows_each_work_beside_its_ceiling() -> None:
    """The rate, the ceiling and what draws it, the connections and whether they were kept, and both CPU times."""
    run = loaded.throughput("waitress", 500.0, work=Work("io", io_ms=20), findings=(loaded.DRIFT,))
    assert loads.throughput(run) == [
        ("io 20 ms", "500/s", "550/s", "CPUs", "16 kept", "2.00 s", "10.0 ms", "SUSPECT")
    ]  # fmt: skip
    (plateau,) = run.plateaus
    new = replace(plateau.lap, offered=replace(plateau.lap.offered, keepalive=False))
    unknown = replace(run, plateaus=(replace(plateau, lap=new, server_cpu_s=None),))
    assert loads.throughput(unknown)[0][4:6] == ("16 new", "-")


def test_latency_shows_each_rate_and_up_to_which_one_it_holds() -> None:
    """A row for each rate, and the knee in the last; no percentiles of no answers."""
    run = loaded.latency("waitress", 0.02)
    assert loads.latency(run) == [
        ("100/s", "100/s", "500", "10.0 ms", "20.0 ms", "20.0 ms", "20.0 ms", "0", "VALID"),
        ("200/s", "200/s", "1,000", "10.0 ms", "20.0 ms", "20.0 ms", "20.0 ms", "0", "VALID"),
        ("holds to", "200/s or more", "", "", "", "", "", "", ""),
    ]
    silent = replace(run.points[0], latencies=(), fates=(Fated("timeout", None, 480), Fated("error", 503, 20)))
    rows = loads.latency(replace(run, points=(silent,), knee=None))
    assert rows[0][3:8] == ("-", "-", "-", "-", "480 timeout, 20 status 503")
    assert rows[1][:2] == ("holds to", "no rate")


def test_overload_shows_the_stairs_and_the_recovery() -> None:
    """What came out of each step, what ran for nobody, and when all was well again."""
    run = loaded.overload("waitress", 390.0, 1.234)
    assert loads.overload(run) == [
        ("800/s", "2", "390/s", "150 ms", "300 ms", "0", "12", "VALID"),
        ("well again", "after 1.2 s", "", "", "", "", "", "VALID"),
    ]
    assert loads.overload(replace(run, recovery_s=None))[-1][1] == "not within 10 s"


def test_memory_says_of_how_many_it_was_told() -> None:
    """What could not be told is a dash, with the number that was too few."""
    assert loads.memory(loaded.memory("waitress", 20 << 20)) == [
        ("3", "40.0 MiB", "20.0 MiB", "244 KiB (of 4)", "- (of 100)", "40.0 MiB", "VALID")
    ]  # fmt: skip


def test_each_row_has_as_many_cells_as_its_table() -> None:
    """And a verdict behind them."""
    runs = [
        loaded.throughput("a", 1.0), loaded.latency("a", 1.0), loaded.overload("a", 1.0, None), loaded.memory("a", 1)
    ]  # fmt: skip
    for run in runs:
        sheet = ALL[run.experiment]
        assert {len(row) for row in sheet.rows(run)} == {len(sheet.columns) + 1}
        table = markdown(run.experiment, [run])
        assert {line.count(" |") for line in table.splitlines()} == {len(sheet.columns) + 2}
