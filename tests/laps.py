"""Laps as the instrument gives them, made up request by request."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from topolab.instrument.board import Fate
from topolab.loads import LoadReport, MachineUse, Offered, RawLap, Work

Request = tuple[float, float, float, Fate, int]  # due, sent, ended (seconds), fate, status

OFFERED = Offered(work=Work("io", io_ms=20), loop="open", seconds=2.0, rate=100.0)
INSTRUMENT = LoadReport(
    lateness_p50_s=0.00005, lateness_p99_s=0.0002, lateness_max_s=0.001, cpu_s=0.2, gate_cpu_s=0.05, cpu_share=0.1,
    connections_opened=10, connections_held=2.0, responses=200,
)  # fmt: skip
MACHINE = MachineUse(wall_s=2.0, server_cpu_s=0.5, server_cpus=1, others_cpu_s=0.02, steal_s=0.0)


def answered(due_s: float, latency_s: float) -> Request:
    """A good answer to a request that was sent when it was due."""
    return (due_s, due_s, due_s + latency_s, Fate.ANSWERED, 200)


def evenly(rate: float, seconds: float, latency_s: float) -> list[Request]:
    """Good answers to requests at a constant rate."""
    return [answered(number / rate, latency_s) for number in range(round(rate * seconds))]


def raw(requests: Iterable[Request], offered: Offered = OFFERED, views: int = 0, **report: Any) -> RawLap:
    """A lap in which these requests were due; `report` changes what the instrument says of itself."""
    rows = list(requests)
    nanoseconds = [[round(row[at] * 1e9) for row in rows] for at in range(3)]
    data = b"".join(struct.pack(f"<{len(rows)}q", *column) for column in nanoseconds)
    data += struct.pack(f"<{len(rows)}B", *(row[3] for row in rows))
    data += struct.pack(f"<{len(rows)}H", *(row[4] for row in rows))
    return RawLap(
        offered=offered,
        count=len(rows),
        samples=base64.b64encode(zlib.compress(data)).decode(),
        views=views,
        instrument=replace(INSTRUMENT, **report),
        machine=MACHINE,
    )
