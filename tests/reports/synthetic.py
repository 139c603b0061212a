"""Runs under load as a server with so many slots would give them, from formulas and a seed: nothing is measured."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import Any

from hdrh.histogram import HdrHistogram

from topolab.doubts import gathered
from topolab.loads import (
    AnyLoadRun,
    Calibration,
    Ceiling,
    Change,
    Fated,
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
    Pins,
    Plateau,
    Step,
    ThroughputRun,
    Work,
)
from topolab.results import Asked, Finding, Host, OutcomeFate, Verdict
from topolab.statistics import Pair
from topolab.statistics import changes as compared

HOST = Host(
    os="Debian GNU/Linux 12 (bookworm)",
    kernel="6.18.44",
    cpu="Intel Xeon Processor @ 2.90GHz",
    cores=2,
    memory_bytes=8 * 2**30,
    somaxconn=4096,
    nofile_hard=20000,
)

Values = tuple[float, ...]
CALIBRATION = Calibration(98_000, 0.0102, 21_000, 0.047, 14_000)
IO = Work("io", io_ms=50)
KINDS = ("throughput", "latency", "overload", "memory")
SHARES = (0.1, 0.3, 0.5, 0.7, 0.85, 0.95, 1.1)
STEPS = (0.5, 0.75, 1, 1.5, 2, 3)


@dataclass(frozen=True)
class Server:
    """What the formulas need of a server: who serves, what a request costs it, and how its excess ends."""

    topology: str
    slots: int
    cpu_s: float  # of one greeting
    workers: int
    excess: OutcomeFate
    memory_mib: float

    @property
    def io_rate(self) -> float:
        return min(self.slots / (0.05 + self.cpu_s), 1 / self.cpu_s)


SERVERS = (
    Server("gunicorn-sync", 4, 0.00018, 4, "timeout", 98),
    Server("gunicorn-gthread", 10, 0.00021, 1, "timeout", 41),
    Server("gunicorn-gevent", 1000, 0.00016, 1, "reset", 52),
    Server("uwsgi-threads", 10, 0.00014, 1, "refused", 33),
    Server("flask-single", 1, 0.00055, 1, "timeout", 30),
    Server("nginx-gunicorn-sync", 4, 0.00024, 4, "error", 112),
)


def runs_of(server: Server, *, repeat: int = 1, kinds: tuple[str, ...] = KINDS) -> list[AnyLoadRun]:
    """One run of each kind; another repeat differs by a few per cent."""
    dice = random.Random(f"{server.topology} {repeat}")
    made: dict[str, Any] = {
        "throughput": _throughput, "latency": _latency, "overload": _overload, "memory": _memory,
    }  # fmt: skip
    return [made[kind](server, repeat, dice) for kind in kinds]


def _common(server: Server, kind: str, repeat: int, laps: list[Lap]) -> dict[str, Any]:
    findings = gathered(laps)
    return {
        "topology": server.topology,
        "runtime": "process",
        "asked": Asked(requests=100, settings={}, limits={}),
        "verdict": "SUSPECT" if findings else "VALID",
        "findings": findings,
        "plan": {"TOPOLOGY": server.topology, "WORKERS": str(server.workers), "NOFILE": "16384"},
        "host": HOST,
        "versions": {"flask": "3.1.3"},
        "command": f"topolab {kind} {server.topology} --runtime process --work io:50",
        "started": f"2026-11-21T09:{repeat:02d}:{len(kind):02d}Z",
        "seconds": 31.5,
        "pins": Pins((0,), (1,)),
        "calibration": CALIBRATION,
        "repeat": repeat,
    }


def _ceiling(server: Server, work: Work) -> Ceiling:
    if work.name == "io":
        service = work.io_ms / 1000 + server.cpu_s
        return Ceiling(server.io_rate, "slots", service, server.cpu_s, server.slots, 1)
    return Ceiling(1 / server.cpu_s, "CPUs", server.cpu_s * 1.2, server.cpu_s, server.slots, 1)


def _histogram(values_s: list[float]) -> str:
    histogram = HdrHistogram(1, 3_600_000_000, 3)
    for value in values_s:
        histogram.record_value(max(int(value * 1e6), 1))
    encoded: bytes = histogram.encode()
    return encoded.decode()


def latency_of(values_s: list[float], fate: OutcomeFate = "answered") -> Latency:
    """The figures of some latencies."""
    values = sorted(values_s)

    def at(share: float) -> float:
        return values[max(0, math.ceil(share * len(values)) - 1)]

    return Latency(
        fate, len(values), sum(values) / len(values), at(0.5), at(0.9), at(0.99), at(0.999), values[-1], at(0.5),
        at(0.99), _histogram(values),
    )  # fmt: skip


def lap(
    offered: Offered, achieved: float, typical_s: float, dice: random.Random, *, excess: OutcomeFate = "timeout",
    views: int = 0, findings: tuple[Finding, ...] = (),
) -> Lap:  # fmt: skip
    """What was offered and how much of it came out; the rest ends in `excess`."""
    requests = max(int((offered.rate or achieved) * offered.seconds), 1)
    good = min(int(achieved * offered.seconds), requests)
    values = [typical_s * (0.9 + dice.expovariate(8)) for _ in range(min(max(good, 1), 400))]
    late = requests - good
    ends: dict[OutcomeFate, int | None] = {"error": 503}
    fates = [Fated("answered", 200, good)] + ([Fated(excess, ends.get(excess), late)] if late else [])
    suspect: Verdict = "SUSPECT" if findings else "VALID"
    return Lap(
        offered=offered,
        requests=requests,
        fates=tuple(fates),
        achieved=achieved,
        first_half=achieved,
        second_half=achieved,
        in_flight=achieved * typical_s,
        latencies=(latency_of(values),) if good else (),
        views=views,
        instrument=LoadReport(0.00004, 0.0003, 0.004, 0.2, 0.1, 0.12, 64, 63.0, good),
        machine=MachineUse(offered.seconds, achieved * offered.seconds * 0.0002, 1, 0.02, 0.0),
        verdict=suspect,
        findings=findings,
    )


def _throughput(server: Server, repeat: int, dice: random.Random) -> ThroughputRun:
    plateaus = []
    for work, clients in ((Work(), 32), (IO, min(server.slots * 2, 400))):
        ceiling = _ceiling(server, work)
        achieved = ceiling.rate * dice.uniform(0.9, 0.97)
        offered = Offered(work, "closed", 5.0, connections=clients, warmup_s=1.0)
        seen = lap(offered, achieved, clients / achieved, dice)
        cpu = server.cpu_s * 1000 * dice.uniform(0.98, 1.05)
        plateaus.append(Plateau(work, ceiling, seen, cpu, 0.0104 * dice.uniform(0.97, 1.1)))
    laps = [plateau.lap for plateau in plateaus]
    return ThroughputRun(plateaus=tuple(plateaus), **_common(server, "throughput", repeat, laps))


def _latency(server: Server, repeat: int, dice: random.Random) -> LatencyRun:
    ceiling = _ceiling(server, IO)
    points = []
    for share in SHARES:
        rate = round(ceiling.rate * share, 1)
        achieved = min(rate, ceiling.rate * dice.uniform(0.96, 0.99))
        waiting = 1 + share**6 * 2 / max(1.04 - share, 0.03) / math.sqrt(server.slots)
        findings: tuple[Finding, ...] = ()
        if achieved < rate * 0.97:
            said = f"{achieved:.0f} of {rate:.0f} requests/s came back. Read this lap as overload, not as latency."
            findings = (Finding("below_offered", said),)
        label = f"{rate:g}/s"
        offered = Offered(IO, "open", 10.0, rate=rate, arrivals="poisson", warmup_s=1.0, label=label)
        points.append(lap(offered, achieved, ceiling.service_s * waiting, dice, findings=findings))
    good = [point.offered.rate for point in points if not point.findings]
    return LatencyRun(
        ceiling=ceiling, points=tuple(points), knee=good[-2], **_common(server, "latency", repeat, points)
    )  # fmt: skip


def _overload(server: Server, repeat: int, dice: random.Random) -> OverloadRun:
    ceiling = _ceiling(server, IO)
    steps = []
    for times in STEPS:
        rate = ceiling.rate * times
        achieved = min(rate, ceiling.rate * dice.uniform(0.9, 0.97) / max(1, times / 3))
        offered = Offered(IO, "open", 5.0, rate=rate, timeout_s=1.0)
        typical = ceiling.service_s * (1 + min(max(times - 0.8, 0) * 12, 18))
        dead = int(max(times - 1, 0) * 30 * dice.uniform(0.8, 1.2)) if server.excess == "timeout" else 0
        steps.append(Step(times, lap(offered, achieved, typical, dice, excess=server.excess), dead))
    after = lap(Offered(IO, "open", 5.0, rate=ceiling.rate / 4), ceiling.rate / 4, ceiling.service_s, dice)
    recovery = None if server.topology == "flask-single" else dice.uniform(0.2, 2.5)
    laps = [step.lap for step in steps]
    return OverloadRun(
        ceiling=ceiling, steps=tuple(steps), after=after, recovery_s=recovery, watched_s=10.0,
        **_common(server, "overload", repeat, laps),
    )  # fmt: skip


def _memory(server: Server, repeat: int, dice: random.Random) -> MemoryRun:
    rest = int(server.memory_mib * 2**20 * dice.uniform(0.99, 1.01))
    served = min(server.slots, 100)
    request, connection = int(dice.uniform(40, 90) * 1024), int(dice.uniform(2, 9) * 1024)
    full, idle = rest + served * request, rest + 1000 * connection
    processes = server.workers + 1
    seen = MemorySeen(
        Footprint(rest, processes), Footprint(full, processes), served, 100, Footprint((rest + full) // 2, processes),
        Footprint(idle, processes), 1000,
    )  # fmt: skip
    return MemoryRun(
        memory=seen, workers=server.workers, per_worker_bytes=int(rest * 0.8 / server.workers),
        per_request_bytes=request, per_connection_bytes=connection if server.slots > 4 else None,
        **_common(server, "memory", repeat, []),
    )  # fmt: skip


def changes() -> tuple[Change, ...]:
    """Two figures of two topologies in two campaigns: one worse, one better, one neither, one not to be compared."""

    def pair(
        topology: str, figure: str, before: tuple[float, ...], after: tuple[float, ...], because: str = ""
    ) -> Pair:
        return Pair("latency", topology, figure, False, before, after, because=because)

    quiet, slower, faster = (0.050, 0.0505, 0.0498), (0.060, 0.0604, 0.0599), (0.040, 0.0402, 0.0399)
    found = compared([
        pair("gunicorn-sync", "p50 at 40/s", quiet, slower), pair("gunicorn-sync", "p99 at 40/s", quiet, quiet),
        pair("uwsgi-threads", "p50 at 40/s", quiet, faster),
        pair("uwsgi-threads", "p99 at 40/s", quiet, quiet, "other kernel: 6.1 and 6.18"),
    ])  # fmt: skip
    return tuple(replace(change, unit="s") for change in found)
