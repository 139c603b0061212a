"""The load engine against the tools that people trust: rates, CPU time, punctuality, plateaus, and a stall.

Server and generator are on a CPU each, the generators take turns, and medians of the rounds are compared: read the
ratios, not the rates.
"""

from __future__ import annotations

import contextlib
import functools
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from benchmarks import tools
from benchmarks.figures import Figure
from benchmarks.tools import Told
from topolab import packages, pins
from topolab.errors import LabError
from topolab.instrument.serving import Serving
from topolab.loads import Lap, Loaded, Offered, Pins, Work
from topolab.plan import resolve
from topolab.runtimes.greeting import until_healthy
from topolab.runtimes.instrument import Instrument
from topolab.runtimes.lifecycle import temporary
from topolab.runtimes.ports import free_port
from topolab.runtimes.process import ProcessRuntime
from topolab.samples import lap_of
from topolab.statistics import interval
from topolab.topology import Catalog

ROUNDS, SECONDS = 15, 1  # many and short: the machine itself is faster at times
MOST_TIMES = 3  # as many rounds, where the machine is so noisy that a bound is in the interval of the median
LOCUSTS_ROUNDS, LOCUSTS_SECONDS = 3, 4  # it takes a while to be at its best
TIMER_ROUNDS, TIMER_SECONDS, MOST_LATE_MS = 5, 5.0, 0.3
CONNECTIONS = 64
SMALL = 16  # connections on servers that the generators do not strain
FULL = 90  # percent of a CPU
STALL_AT_S, STALL_S, STALL_RATE, STALL_CLIENTS, STALL_RUN_S = 2.0, 1.0, 200.0, 10, 10

NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr crit;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {folder};
        location = /healthz {{ default_type application/json; return 200 '{{"pid": $pid}}'; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Target:
    """A server that is up, and its pins."""

    port: int
    gate: str
    pins: Pins

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def cpu(self) -> int:
        """The generator's."""
        return self.pins.instrument[0]

    def ours(self, **more: Any) -> Lap:
        """One lap of our own engine."""
        offered = Offered(**{"work": Work(), "seconds": SECONDS, "warmup_s": 0.2, **more})
        command = [
            sys.executable, "-m", "topolab.instrument", "session", "--listener", f"app=127.0.0.1:{self.port}", "--gate",
            self.gate, "--watch-stdin",
        ]  # fmt: skip
        with Instrument(command, cpus=self.pins.instrument) as ask:
            for event in ask(["load", "--laps", json.dumps([asdict(offered)])]):
                if event["event"] == "result":
                    [raw] = TypeAdapter(Loaded).validate_python({"laps": event["laps"]}).laps
                    return lap_of(raw)
        raise LabError("The instrument ended without a result.")

    def closed(self, connections: int, *, keepalive: bool = True, seconds: int = SECONDS) -> tuple[Told, float]:
        """Our closed loop, and how full it kept the server's CPU."""
        lap = self.ours(loop="closed", connections=connections, keepalive=keepalive, seconds=seconds)
        if bad := [fated for fated in lap.fates if fated.fate != "answered"]:
            raise LabError(f"Not all requests of our own were answered: {bad}.")
        told = Told(lap.good, lap.offered.seconds, lap.instrument.cpu_s)
        return told, (lap.machine.server_cpu_s or 0.0) / lap.machine.wall_s

    def wrk(self, connections: int, *, keepalive: bool = True) -> tuple[Told, float]:
        """wrk's, and how full it kept the server's CPU."""
        with urllib.request.urlopen(f"{self.url}healthz") as answer:
            serving = Serving([json.load(answer)["pid"]], [])
        before = serving.cpu_s() or 0.0
        told = tools.wrk(self.url, self.cpu, connections=connections, seconds=SECONDS, keepalive=keepalive)
        return told, ((serving.cpu_s() or 0.0) - before) / told.seconds


def instrument() -> Iterator[Figure]:
    """All of it; some five minutes."""
    found = pins.of_this_machine()
    if not found:
        raise LabError("Server and generator need a CPU each: this machine has one.")
    tools.install()
    apart = Pins(found.server[:1], found.instrument[:1])
    with nginx(apart) as target:
        yield from against_wrk(target)
        yield from against_locust(target)
        yield from in_time(target)
    for name, keepalive in (("gunicorn-gthread", True), ("gunicorn-gevent", True), ("gunicorn-sync", False)):
        with stack(name, apart) as target:
            yield from plateau(name, target, keepalive=keepalive)
    with stack("gunicorn-sync", apart) as target:
        yield from stalled(target)


def against_wrk(target: Target) -> Iterator[Figure]:
    kept = turns(lambda: target.closed(CONNECTIONS)[0], lambda: target.wrk(CONNECTIONS)[0])
    yield Figure("kept connections, requests/s / wrk's", *_ratio(kept, lambda told: told.rate, 1.0), at_least=True)
    yield Figure("kept connections, CPU per request / wrk's", *_ratio(kept, lambda told: told.cpu_each_s, 1.0))
    anew = turns(
        lambda: target.closed(CONNECTIONS, keepalive=False)[0],
        lambda: target.wrk(CONNECTIONS, keepalive=False)[0],
        sure=lambda pairs: _sure([ours.cpu_each_s / theirs.cpu_each_s for ours, theirs in pairs], 1.2),
    )
    yield Figure("a connection each, CPU per request / wrk's", *_ratio(anew, lambda told: told.cpu_each_s, 1.2))


def against_locust(target: Target) -> Iterator[Figure]:
    told = turns(
        lambda: target.closed(CONNECTIONS, seconds=LOCUSTS_SECONDS)[0],
        lambda: tools.locust(target.url, target.cpu, connections=CONNECTIONS, seconds=LOCUSTS_SECONDS),
        LOCUSTS_ROUNDS,
    )
    yield Figure("requests/s per core / Locust's", *_ratio(told, lambda one: 1 / one.cpu_each_s, 8.0), at_least=True)


def in_time(target: Target) -> Iterator[Figure]:
    laps: list[Lap] = []
    late_ms: list[float] = []
    while len(laps) < TIMER_ROUNDS or (len(laps) < MOST_TIMES * TIMER_ROUNDS and not _sure(late_ms, MOST_LATE_MS)):
        laps.append(target.ours(loop="open", rate=1000.0, seconds=TIMER_SECONDS))
        late_ms.append(laps[-1].instrument.lateness_p99_s * 1000)
    cpu = statistics.median(lap.instrument.cpu_share for lap in laps)
    note = f"rounds {_list(late_ms)}; {cpu:.0%} of a core"
    yield Figure("open loop at 1,000/s, send error p99", statistics.median(late_ms), MOST_LATE_MS, "ms", note)


def plateau(name: str, target: Target, *, keepalive: bool) -> Iterator[Figure]:
    pairs = turns(
        lambda: target.closed(SMALL, keepalive=keepalive),
        lambda: target.wrk(SMALL, keepalive=keepalive),
        sure=lambda pairs: _sure([ours.rate / theirs.rate for (ours, _), (theirs, _) in pairs], 0.95, 1.05),
    )
    ratio = statistics.median(ours.rate / theirs.rate for (ours, _), (theirs, _) in pairs)
    mine, other = (statistics.median(pair[which][0].rate for pair in pairs) for which in (0, 1))
    yield Figure(f"{name}: off wrk's plateau", abs(ratio - 1) * 100, 5.0, "%", f"{mine:,.0f}/s, wrk {other:,.0f}/s")
    for which, who in enumerate(("ours", "wrk")):
        full = statistics.median(pair[which][1] for pair in pairs)
        yield Figure(f"{name}: the server's CPU under {who}", full * 100, FULL, "%", at_least=True)


def stalled(target: Target) -> Iterator[Figure]:
    """The server's only worker is away for a second, once."""

    def stall() -> None:
        with urllib.request.urlopen(f"{target.url}sleep?seconds={STALL_S:g}"):
            pass

    def with_stall(run: Callable[[], float]) -> float:
        away = threading.Timer(STALL_AT_S, stall)
        away.start()
        try:
            return run()
        finally:
            away.join()

    def ours() -> float:
        lap = target.ours(loop="open", rate=STALL_RATE, seconds=float(STALL_RUN_S))
        return lap.answered.p99_s if lap.answered else 0.0

    def theirs(tool: Callable[..., Told]) -> float:
        return tool(target.url, target.cpu, connections=STALL_CLIENTS, seconds=STALL_RUN_S).p99_s

    yield Figure("1 s of stall: p99 of our open loop", with_stall(ours), 0.5, "s", f"{STALL_RATE:g}/s", at_least=True)
    for tool in (tools.ab, tools.hey):
        p99_s = with_stall(functools.partial(theirs, tool))
        yield Figure(f"1 s of stall: p99 of {tool.__name__}, closed loop", p99_s, 0.1, "s", "it does not see it")


def turns(
    ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int = ROUNDS,
    sure: Callable[[Sequence[tuple[Any, Any]]], bool] = lambda _pairs: True,
) -> list[tuple[Any, Any]]:  # fmt: skip
    """So many rounds of both, each first in every other one. Until `sure`, more: `MOST_TIMES` as many at most."""
    pairs: list[tuple[Any, Any]] = []
    while len(pairs) < rounds or (len(pairs) < MOST_TIMES * rounds and not sure(pairs)):
        number = len(pairs)
        first, second = (ours, theirs) if number % 2 else (theirs, ours)
        one, other = first(), second()
        pairs.append((one, other) if number % 2 else (other, one))
    return pairs


def _sure(ratios: Sequence[float], *bounds: float) -> bool:
    """Whether the interval of their median has none of the bounds in it: a noisy machine needs more rounds for that."""
    found = interval(ratios)
    assert found.low is not None
    assert found.high is not None
    return not any(found.low <= bound <= found.high for bound in bounds)


def _ratio(
    pairs: Sequence[tuple[Told, Told]], figure: Callable[[Told], float], bound: float
) -> tuple[float, float, str, str]:
    ratios = [figure(ours) / figure(theirs) for ours, theirs in pairs]
    mine, other = (statistics.median(figure(pair[which]) for pair in pairs) for which in (0, 1))
    return statistics.median(ratios), bound, "x", f"rounds {_list(ratios)}; {mine:,.6g} against {other:,.6g}"


def _list(values: Sequence[float]) -> str:
    return " ".join(f"{value:.2f}" for value in values)


@contextlib.contextmanager
def nginx(apart: Pins) -> Iterator[Target]:
    """nginx with one worker and a small file."""
    port, gate = free_port(), free_port()
    program = packages.find("nginx")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "index.html").write_text("x" * 240)
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
        command = ["taskset", "--cpu-list", str(apart.server[0]), str(program), "-e", "stderr", "-p", name, "-c",
                   str(folder / "nginx.conf")]  # fmt: skip
        with subprocess.Popen(command) as server:
            try:
                until_healthy(port, deadline_s=10, gone=lambda: server.poll() is not None)
                yield Target(port, f"127.0.0.1:{gate}", apart)
            finally:
                server.terminate()


@contextlib.contextmanager
def stack(name: str, apart: Pins) -> Iterator[Target]:
    """A topology with one worker."""
    runtime = ProcessRuntime()
    plan = runtime.check(resolve(Catalog(), name, sets=["workers=1"], requests=1)).pinned(apart)
    with temporary(runtime, plan) as up:
        yield Target(up.port, f"127.0.0.1:{free_port()}", apart)
