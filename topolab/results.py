"""The result types: plain data that crosses every seam. A run is one JSON document.

Names carry their units: `_s` seconds, `_bytes` bytes. JSON is `dataclasses.asdict` of these types with
`None` left out (`to_json`); `topolab.store` reads and checks it, `topolab schema run` publishes its schema.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from topolab.ledger import Ledger, PlaceCount, Service

FORMAT = 1

Verdict = Literal["VALID", "SUSPECT"]
SettingValue = int | bool | str
Route = Literal["gate", "sleep", "async"]  # how a held view waits: at the gate, asleep, or at the gate as `async def`
Unit = Literal[  # what serves a request
    "thread per request", "thread pool", "one thread", "process per request", "greenlet per request", "unknown"
]
FindingCode = Literal[
    "unbalanced",
    "queue_mismatch",
    "listener_missing",
    "backlog_not_applied",
    "backlog_clipped",
    "limit_not_applied",
    "prediction_differs",
    "not_at_rest",
    "calls_under_way",
    "strangers",
    "server_occupied",
    "processes_missing",
    "instrument_late",
    "instrument_descriptors",
    "requests_failed",
    "server_died",  # after the census: what was lost then says nothing of the server
    "unit_differs",
    "not_isolated",
    "control_held",
    "knob_differs",
    "not_reproduced",  # an artefact that did not show, or that nothing caught
    # of a lap under load
    "littles_law",  # rate times latency is not the connections that were held
    "mean_above_p99",
    "above_ceiling",  # more than the predicted ceiling allows
    "below_offered",  # achieved less than was offered
    "instrument_saturated",  # near its calibrated ceiling, or its core full
    "keepalive_not_honoured",
    "too_few_samples",  # for the percentile that was asked for
    "errors",
    "machine_busy",  # other processes, or the hypervisor
    "repeats_disagree",
    "limit_clipped",
    "drift",  # the second half differs from the first: the warm-up was too short
    "not_saturated",  # a plateau with neither the server's CPU nor its slots full
    "clients_outside",  # connections that the server had not accepted: outside of what its latency shows
]


@dataclass(frozen=True, slots=True)
class Finding:
    """A typed reason to doubt a run: what was seen, and what to do next."""

    code: FindingCode
    message: str


@dataclass(frozen=True, slots=True)
class ListenerQueue:
    """A listening socket's accept queue at the census, as the kernel reports it (`ss -l`).

    `recv_q` is the kernel's count of connections not accepted yet, `send_q` the bound it applied
    (min(backlog, somaxconn)), `unaccepted` our own count of such sockets (TCP: ESTABLISHED with
    inode 0; unix: pending connections listed by the listener).
    """

    service: Service
    address: str
    recv_q: int
    send_q: int
    unaccepted: int


@dataclass(frozen=True, slots=True)
class AfterRelease:
    """What became of the requests once the gate answered (route `sleep`: once the census was taken).

    `left`: clients whose handshake was unanswered; they leave at release. So does, on the route `sleep`, everybody
    who is not in a handler. The others are followed to their end: `answered`, or `failed` (reset, error status, or
    no answer by the deadline). After a hold nobody leaves: `recovered` of the answered were unanswered at release,
    and the last of them had its answer `recovery_s` after it (None where none recovered).
    """

    answered: int
    failed: int
    left: int
    seconds_to_last: float
    recovered: int = 0
    recovery_s: float | None = None


@dataclass(frozen=True, slots=True)
class InstrumentReport:
    """The instrument's own honesty.

    Lateness is actual minus due time of opening a connection. Memory is the sum of the PSS of its
    processes at the census. `descriptor_limit` is per process; `descriptors_short` counts the
    connections that it could not open or take for lack of descriptors. `seconds_to_rest` counts from the first
    opening; `at_rest` is false when the deadline came first. `calls_under_way`: views that ran at the census and whose
    call to the gate had not arrived, so that they stand at no place. `strangers`: calls of the gate, up to the census,
    that came on behalf of no request of this run. `occupied`: connections that the server had before the first
    opening and did not let go of.
    """

    rate_asked: float
    rate_got: float
    lateness_p99_s: float
    lateness_max_s: float
    cpu_s: float
    memory_bytes: int
    descriptor_limit: int
    descriptors_short: int
    seconds_to_rest: float
    at_rest: bool
    processes_asked: int
    processes_seen: int
    calls_under_way: int = 0
    strangers: int = 0
    occupied: int = 0


@dataclass(frozen=True, slots=True)
class Applied:
    """The limits that the kernel really applied, read back while the server settled.

    The soft limits of the `processes_read` serving processes (those that answered /healthz and could be read):
    the smallest and the largest; None is unlimited, or unknown where `processes_read` is 0. `pids_max` is the
    smallest bound of the cgroups of `cgroups_read` of these processes; None is no bound, or unknown where
    `cgroups_read` is 0. The others are the network namespace's; None where it does not have them.
    """

    processes_read: int
    nofile_min: int | None
    nofile_max: int | None
    nproc_min: int | None
    nproc_max: int | None
    cgroups_read: int
    pids_max: int | None
    somaxconn: int | None
    tcp_max_syn_backlog: int | None
    tcp_abort_on_overflow: int | None
    ip_local_port_range: str | None  # the first and the last, as "32768 60999"


Standing = Literal["handler", "waiting", "accept_queue", "unanswered", "on_arrival"]
OutcomeFate = Literal["answered", "error", "reset", "closed", "refused", "timeout", "silence"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `count` requests got by the end of the hold. The counts of all outcomes add up to the requests opened.

    `what` is where they stood at the census, as their clients' own connections show it: behind a front, `waiting`
    is everything that the front has accepted and no handler has. `on_arrival` had an end before the census.
    `fate`: `answered` or `error` (status 400 or more), both with `status`; `reset` (RST) or `closed` (FIN) without
    a whole answer; `refused`; `timeout` (the kernel gave the handshake up); `silence` (nothing yet). `first_s` and
    `last_s`: the shortest and the longest time from opening to that end, or to the end of the hold.
    """

    what: Standing
    fate: OutcomeFate
    status: int | None
    count: int
    first_s: float
    last_s: float


@dataclass(frozen=True, slots=True)
class Observation:
    """What the instrument saw: the `result` event of `python -m topolab.instrument capacity`.

    `places` and `listeners` are from the census, before any hold; `held` is empty without one.
    """

    places: tuple[PlaceCount, ...]
    listeners: tuple[ListenerQueue, ...]
    after_release: AfterRelease
    instrument: InstrumentReport
    applied: Applied | None = None
    held: tuple[Outcome, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What the kernel made of a stack's limits: the `result` event of `python -m topolab.instrument readback`.

    `greeting` says who answered: "python", and "server" where the answer has such a header.
    """

    applied: Applied
    listeners: tuple[ListenerQueue, ...]
    processes_seen: int
    greeting: dict[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user typed: deviations from the topology's own settings, by their full names.

    `app`: a person's own app beside the lab's, as FOLDER:MODULE:NAME; empty where there is none.
    """

    requests: int
    settings: dict[str, SettingValue]
    limits: dict[str, SettingValue]
    limits_name: str = "default"
    route: Route = "gate"
    hold_s: float = 0.0  # how long all were held after the census
    app: str = ""


@dataclass(frozen=True, slots=True)
class ExpectedQueue:
    """A service's accept queue as planned: the backlog that the server asks for, and what somaxconn leaves of it.

    Listeners that share one address (SO_REUSEPORT) count together, as in `ListenerQueue`.
    """

    service: Service
    backlog: int
    bound: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says. `bound_by` is the setting or limit that draws the line for these N requests.

    None where all N are in a handler; then `next_limit` (always: the first limit that would bind with more
    requests) says what would. `because` explains bounds where the server itself is random.
    """

    places: tuple[PlaceCount, ...]
    bound_by: str | None
    next_limit: str | None = None
    because: str | None = None
    queues: tuple[ExpectedQueue, ...] = ()
    may_fail: str | None = None  # why requests may get no good answer after the release, where the server is like that

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.places)


@dataclass(frozen=True, slots=True)
class Measured:
    """The measured ledger, the listeners behind it, and the limits that the kernel really applied."""

    places: tuple[PlaceCount, ...]
    listeners: tuple[ListenerQueue, ...] = ()
    applied: Applied | None = None

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.places)


@dataclass(frozen=True, slots=True)
class Host:
    """Fingerprint of the machine that was measured. `name`: the inventory's; empty for the lab's own machine."""

    os: str
    kernel: str
    cpu: str
    cores: int
    memory_bytes: int
    somaxconn: int
    nofile_hard: int
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One experiment on one stack: what was asked, where, and whether to trust it. Each kind adds what it saw."""

    experiment: str
    topology: str
    runtime: str
    asked: Asked
    verdict: Verdict
    findings: tuple[Finding, ...]
    plan: dict[str, str]  # the environment file that was started: every setting and limit resolved
    host: Host
    versions: dict[str, str]
    command: str  # what to type to do it again
    started: str  # ISO 8601, UTC
    seconds: float  # stack up, measured, and down again
    format: int = FORMAT

    @property
    def name(self) -> str:
        """Names its file: sorts by time, and no topology can overwrite another's."""
        moment = self.started.replace(":", "").replace("-", "")
        host = re.sub(r"[^\w.-]", "_", self.host.name)
        return "-".join(part for part in (moment, self.experiment, self.topology, self.runtime, host) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityRun(Run):
    """Where N requests were."""

    experiment: Literal["capacity"] = "capacity"
    predicted: Prediction
    measured: Measured
    after_release: AfterRelease
    instrument: InstrumentReport
    held: tuple[Outcome, ...] = ()  # what they got while they were held after the census
    image_bytes: dict[str, int] = field(default_factory=dict)  # of the servers' images, by service; none for processes


@dataclass(frozen=True, slots=True)
class NotRun:
    """A topology that a comparison went on without: a reason, never a zero.

    `failed` tells a server that should have run and did not from one that this machine can't run.
    """

    experiment: str
    topology: str
    runtime: str
    reason: str
    remedy: str
    asked: Asked | None = None
    failed: bool = False
    host: str = ""  # the inventory's name of it; empty for the lab's own machine
    verdict: Literal["NOT_RUN"] = "NOT_RUN"
    format: int = FORMAT


def to_json(value: Any) -> dict[str, Any]:
    """The JSON form of a result: its fields; a count without bounds says nothing of bounds."""

    def strip(node: Any) -> Any:
        if isinstance(node, dict):
            return {
                key: strip(child)
                for key, child in node.items()
                if not (child is None and key in ("at_least", "at_most", "because"))
            }
        if isinstance(node, (list, tuple)):
            return [strip(child) for child in node]
        return node

    stripped: dict[str, Any] = strip(asdict(value))
    return stripped
