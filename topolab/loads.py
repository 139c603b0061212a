"""The result types of the experiments under load: what was offered, what came of it, and what it cost.

Names carry their units. A latency counts from the moment a request was *due* (open loop) or sent (closed loop).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from topolab.results import Finding, Host, OutcomeFate, Run, Verdict

WorkName = Literal["greeting", "io", "cpu", "mixed", "json", "large", "static", "front-static", "path"]
Loop = Literal["open", "closed"]
Arrivals = Literal["constant", "poisson"]


@dataclass(frozen=True, slots=True)
class Work:
    """What each request asks for, the same in every topology.

    `greeting`: a small JSON answer. `io`: waits `io_ms` for a downstream service (the gate answers by a timer).
    `cpu`: burns `cpu_ms` of the thread's CPU time in Python. `mixed`: the first, then the second. `json`: `size`
    bytes of JSON in, parsed, and out again. `large`: `size` bytes out. `static`: a file of `size` bytes, sent by
    the app. `front-static`: the same file, sent by the front itself, where there is one. `path`: GET of `path` of the
    person's own app.
    """

    name: WorkName = "greeting"
    io_ms: float = 0.0
    cpu_ms: float = 0.0
    size: int = 0
    path: str = ""


@dataclass(frozen=True, slots=True)
class Offered:
    """One lap: how requests are offered, and for how long.

    Open loop: `rate` requests/s are due, whatever became of those before; from `rate` to `rate_end` in a ramp. Each
    takes a free connection or opens one; `connections` is the most that may be open at once (0: as many as it
    takes; what is due beyond that waits, and its latency counts from when it was due). Closed loop: `connections`
    clients that each ask again as soon as they are answered. Without `keepalive` each request has a connection of
    its own. What falls into the first `warmup_s` is not counted. A request that has no whole answer after
    `timeout_s` is a `timeout`.
    """

    work: Work
    loop: Loop
    seconds: float
    connections: int = 0
    rate: float = 0.0
    rate_end: float | None = None
    arrivals: Arrivals = "constant"
    keepalive: bool = True
    warmup_s: float = 0.0
    timeout_s: float = 5.0
    label: str = ""
    seed: int = 1  # of Poisson arrivals


@dataclass(frozen=True, slots=True)
class Fated:
    """How many of the lap's requests came to which end; `status` where there was an answer."""

    fate: OutcomeFate
    status: int | None
    count: int


@dataclass(frozen=True, slots=True)
class LoadReport:
    """The instrument's own honesty in one lap.

    Lateness: actual minus due time of the sends of the open loop that had a connection to go by (or could open
    one). `cpu_s` is of the process that generates the load, `gate_cpu_s` of the gate's; `cpu_share` of the one core
    that the generator can use. `connections_opened` against `responses` shows whether keep-alive was honoured;
    `connections_held` is the mean number of connections that were open.
    """

    lateness_p50_s: float
    lateness_p99_s: float
    lateness_max_s: float
    cpu_s: float
    gate_cpu_s: float
    cpu_share: float
    connections_opened: int
    connections_held: float
    responses: int
    descriptors_short: int = 0


@dataclass(frozen=True, slots=True)
class MachineUse:
    """What the machine did in one lap, in CPU seconds, from /proc.

    `server_cpu_s`: all processes of the stack under test (None where they could not be found); `server_cpus` how
    many CPUs they may use. `others_cpu_s`: neither server nor instrument. `steal_s`: taken by the hypervisor.
    """

    wall_s: float
    server_cpu_s: float | None
    server_cpus: int
    others_cpu_s: float
    steal_s: float


@dataclass(frozen=True, slots=True)
class RawLap:
    """What the instrument saw in one lap, sample by sample.

    `samples`: base64 of zlib of the columns one after the other, each for all `count` requests that were due in the
    lap's `seconds`: due, sent and ended (int64 little endian, ns since those began; 0 for what never came) and
    fate (uint8: an `instrument.board.Fate`) and status (uint16 little endian).
    `views`: how many views of this lap the gate was called by (work io and mixed; 0 otherwise).
    """

    offered: Offered
    count: int
    samples: str
    views: int
    instrument: LoadReport
    machine: MachineUse


@dataclass(frozen=True, slots=True)
class Loaded:
    """The `result` event of `python -m topolab.instrument load`: a lap after the other on one stack."""

    laps: tuple[RawLap, ...]


@dataclass(frozen=True, slots=True)
class Latency:
    """The latencies of one class of outcome. `hdr` is an HdrHistogram (V2, base64) of microseconds, 3 digits.

    `sent_p50_s` and `sent_p99_s` count from the actual send, of those that were sent (0 where none was): what a
    closed-loop tool would report.
    """

    fate: OutcomeFate
    count: int
    mean_s: float
    p50_s: float
    p90_s: float
    p99_s: float
    p999_s: float
    max_s: float
    sent_p50_s: float
    sent_p99_s: float
    hdr: str


@dataclass(frozen=True, slots=True)
class Lap:
    """One lap, judged. `achieved` is good answers per second; `in_flight` is by Little's law, rate times mean latency.

    `first_half` and `second_half` are the good answers per second of each, for drift. `findings` are this lap's
    own.
    """

    offered: Offered
    requests: int
    fates: tuple[Fated, ...]
    achieved: float
    first_half: float
    second_half: float
    in_flight: float
    latencies: tuple[Latency, ...]
    views: int
    instrument: LoadReport
    machine: MachineUse
    verdict: Verdict = "VALID"
    findings: tuple[Finding, ...] = ()

    @property
    def answered(self) -> Latency | None:
        """Latencies of the good answers; None where there was none."""
        return next((latency for latency in self.latencies if latency.fate == "answered"), None)

    @property
    def good(self) -> int:
        return sum(fated.count for fated in self.fates if fated.fate == "answered")


@dataclass(frozen=True, slots=True)
class Pins:
    """Which CPUs the server and the instrument may use, by number."""

    server: tuple[int, ...]
    instrument: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the instrument itself can do on this machine, measured against a null server that answers at once.

    Requests per second and CPU seconds per 1,000 requests of the closed loop, with keep-alive and with a connection
    for each request; and the highest open-loop rate (connection kept) whose p99 lateness stayed below a
    millisecond (0 where it did at none: then every lap of the open loop is near it).
    """

    keepalive_rate: float
    keepalive_cpu_s: float
    reconnect_rate: float
    reconnect_cpu_s: float
    open_rate: float


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most requests/s that can come out: `slots / service time` or `CPUs / CPU time of a request`.

    `service_s` is of one request alone on an idle server (p50), `cpu_s` of one among those of a few clients, without
    the waits of the work; both are measured. Slots and CPUs are the model's.
    """

    rate: float
    bound_by: str
    service_s: float
    cpu_s: float
    slots: float
    cpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRun(Run):
    """What all experiments under load share. `repeat` counts from 1 within a campaign.

    `attempts`: how often it was measured. A campaign does so again where the machine was busy, and keeps the run that
    fewer laps were disturbed in.
    """

    pins: Pins | None = None
    calibration: Calibration | None = None
    repeat: int = 1
    attempts: int = 1

    @property
    def disturbed(self) -> int:
        """In how many of its laps the machine was busy with something else."""
        laps = {found.message.partition(":")[0] for found in self.findings if found.code == "machine_busy"}
        return len(laps)


@dataclass(frozen=True, slots=True)
class Plateau:
    """Saturation by a closed loop with one kind of work. CPU seconds are per 1,000 good answers."""

    work: Work
    ceiling: Ceiling
    lap: Lap
    server_cpu_s: float | None
    instrument_cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputRun(LoadRun):
    """How many requests per second, against the ceiling that the model predicts."""

    experiment: Literal["throughput"] = "throughput"
    plateaus: tuple[Plateau, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRun(LoadRun):
    """Latency at fixed rates, lowest first.

    `knee`: the highest rate up to which p99 is below ten times the p50 of the lowest rate; where that is the last
    one, it is that or more.
    """

    experiment: Literal["latency"] = "latency"
    ceiling: Ceiling
    points: tuple[Lap, ...]
    knee: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the staircase.

    `dead`: views that ran although their client had gone by the end; None where the work tells nobody that it runs.
    """

    times_ceiling: float
    lap: Lap
    dead: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OverloadRun(LoadRun):
    """From half to three times the predicted ceiling, and back.

    `recovery_s`: from the end of the load until the latency stayed below twice that of the idle server; None where
    it did not within `watched_s`, which count from there as well.
    """

    experiment: Literal["overload"] = "overload"
    ceiling: Ceiling
    steps: tuple[Step, ...]
    after: Lap
    recovery_s: float | None
    watched_s: float


@dataclass(frozen=True, slots=True)
class Footprint:
    """Memory of a stack at one moment: the PSS of all its processes, and how many there were."""

    pss_bytes: int
    processes: int


@dataclass(frozen=True, slots=True)
class MemorySeen:
    """The `result` event of `python -m topolab.instrument memory`.

    `served`: how many of the requests were in a handler at `full`, `accepted` how many the server had taken in all;
    `idle_connections` how many idle ones stood at `idle`. `before_idle`: the memory without these, of the same stack:
    requests and idle connections get a stack of their own each, because a server goes on using what the first of
    them made it take.
    """

    at_rest: Footprint
    full: Footprint
    served: int
    accepted: int
    after: Footprint
    idle: Footprint
    idle_connections: int
    before_idle: Footprint | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRun(LoadRun):
    """What a worker, a request in flight and an idle connection cost, in bytes of PSS."""

    experiment: Literal["memory"] = "memory"
    memory: MemorySeen
    workers: int
    per_worker_bytes: int
    per_request_bytes: int | None
    per_connection_bytes: int | None


AnyLoadRun = ThroughputRun | LatencyRun | OverloadRun | MemoryRun


@dataclass(frozen=True, slots=True)
class Interval:
    """A median over repeats, and the interval of its bootstrap: None of one repeat, which says nothing of the noise."""

    median: float
    low: float | None
    high: float | None
    repeats: int


ChangeVerdict = Literal["better", "worse", "no difference", "not comparable"]


@dataclass(frozen=True, slots=True)
class Change:
    """One figure of one topology in two campaigns, or of two topologies in one.

    `ratio`: the second median over the first; None where one of them is nothing, or they are not comparable.
    `unit`: "1/s", "s", "bytes" or "requests". `suspect`: one of the runs is, or repeats disagree.
    """

    experiment: str
    topology: str
    figure: str  # "requests/s", "p99 at 200/s (s)" ...
    higher_is_better: bool
    before: Interval
    after: Interval
    ratio: Interval | None
    verdict: ChangeVerdict
    because: str = ""
    unit: str = ""
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class Campaign:
    """What a campaign is to measure: `campaign.json` in its folder, beside one file for each finished cell.

    `words`: the further options of the command line; `baseline` is no part of them, as it may change. `host` and
    `plans` (by topology, as environment files): of the moment when it was begun; it goes on only where they are the
    same. `cells`: experiment/topology/repeat in the order of measuring, each repeat a round of its own.
    """

    name: str
    runtime: str
    topologies: tuple[str, ...]
    experiments: tuple[str, ...]
    repeats: int
    seed: int
    words: tuple[str, ...]
    started: str
    baseline: str | None = None
    calibration: Calibration | None = None
    host: Host | None = None
    plans: dict[str, dict[str, str]] = field(default_factory=dict)
    cells: tuple[str, ...] = ()
    format: int = 1
