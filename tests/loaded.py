"""Runs under load with the figures that a test gives them: nothing is measured."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

from topolab.instrument.board import Fate
from topolab.loads import (
    Ceiling,
    Footprint,
    Lap,
    Latency,
    LatencyRun,
    LoadReport,
    MachineUse,
    MemoryRun,
    MemorySeen,
    Offered,
    OverloadRun,
    Plateau,
    RawLap,
    Step,
    ThroughputRun,
    Work,
)
from topolab.results import Asked, Finding, Host

HOST = Host("Debian GNU/Linux 12", "6.1.0", "Some CPU", 2, 8 * 2**30, 4096, 20_000)
DRIFT = Finding("drift", "The second half differs from the first.")


def run(experiment: str, topology: str, repeat: int, findings: tuple[Finding, ...] = ()) -> dict[str, Any]:
    """What every run under load has."""
    return {
        "topology": topology,
        "runtime": "process",
        "asked": Asked(requests=100, settings={}, limits={}),
        "verdict": "SUSPECT" if findings else "VALID",
        "findings": findings,
        "plan": {"TOPOLOGY": topology, "WORKERS": "2", "NOFILE": "16384"},
        "host": HOST,
        "versions": {"flask": "3.1.3", "gunicorn": "27.0.1"},
        "command": f"topolab {experiment} {topology}",
        "started": f"2026-11-21T09:{repeat:02d}:00.000Z",
        "seconds": 12.5,
        "repeat": repeat,
    }


def lap(offered: Offered, achieved: float, p99_s: float = 0.02, findings: tuple[Finding, ...] = ()) -> Lap:
    """One lap in which all went well."""
    good = round(achieved * offered.seconds)
    latency = Latency("answered", good, p99_s / 2, p99_s / 2, p99_s, p99_s, p99_s, p99_s, p99_s / 2, p99_s, "")
    return Lap(
        offered=offered, requests=good, fates=(), achieved=achieved, first_half=achieved, second_half=achieved,
        in_flight=achieved * p99_s, latencies=(latency,), views=0,
        instrument=LoadReport(0.00004, 0.0003, 0.004, 0.2, 0.1, 0.12, 64, 63.0, good),
        machine=MachineUse(offered.seconds, 1.0, 1, 0.02, 0.0),
        verdict="SUSPECT" if findings else "VALID", findings=findings,
    )  # fmt: skip


def ceiling(rate: float) -> Ceiling:
    return Ceiling(rate, "CPUs", 1 / rate, 1 / rate, 4, 1)


def throughput(
    topology: str, rate: float, repeat: int = 1, *, work: Work | None = None, findings: tuple[Finding, ...] = ()
) -> ThroughputRun:
    """One plateau."""
    work = work or Work()
    seen = lap(Offered(work, "closed", 5.0, connections=16), rate, findings=findings)
    plateau = Plateau(work, ceiling(rate * 1.1), seen, server_cpu_s=1000 / rate, instrument_cpu_s=0.01)
    return ThroughputRun(plateaus=(plateau,), **run("throughput", topology, repeat, findings))


def latency(topology: str, p99_s: float, repeat: int = 1) -> LatencyRun:
    """Two rates."""
    points = tuple(lap(Offered(Work(), "open", 5.0, rate=rate), rate, p99_s) for rate in (100.0, 200.0))
    return LatencyRun(ceiling=ceiling(400), points=points, knee=200.0, **run("latency", topology, repeat))


def overload(topology: str, good: float, recovery_s: float | None, repeat: int = 1) -> OverloadRun:
    """One step over the ceiling, and after it."""
    step = Step(2.0, lap(Offered(Work(), "open", 5.0, rate=800.0), good, 0.3), dead=12)
    after = lap(Offered(Work(), "open", 5.0, rate=100.0), 100)
    return OverloadRun(
        ceiling=ceiling(400), steps=(step,), after=after, recovery_s=recovery_s, watched_s=10.0,
        **run("overload", topology, repeat),
    )  # fmt: skip


def memory(topology: str, worker: int, repeat: int = 1) -> MemoryRun:
    """Without a figure for an idle connection."""
    seen = MemorySeen(
        at_rest=Footprint(2 * worker, 3), full=Footprint(2 * worker + 10**6, 3), served=4, accepted=100,
        after=Footprint(2 * worker, 3), idle=Footprint(2 * worker, 3), idle_connections=100,
    )  # fmt: skip
    return MemoryRun(
        memory=seen, workers=2, per_worker_bytes=worker, per_request_bytes=250_000, per_connection_bytes=None,
        **run("memory", topology, repeat),
    )  # fmt: skip


def raw_lap() -> RawLap:
    """Three requests: answered, an error, and one that never ended."""
    columns = (
        np.array([0, 10_000_000, 20_000_000], "<i8"),
        np.array([1_000, 10_001_000, 20_001_000], "<i8"),
        np.array([5_000_000, 17_500_000, 0], "<i8"),
        np.array([Fate.ANSWERED, Fate.ERROR, Fate.SENT], "|u1"),
        np.array([200, 503, 0], "<u2"),
    )
    data = base64.b64encode(zlib.compress(b"".join(column.tobytes() for column in columns))).decode()
    seen = throughput("waitress", 500.0).plateaus[0].lap
    return RawLap(seen.offered, 3, data, 0, seen.instrument, seen.machine)
