"""The result types of the experiments on what a server does with a request, beyond where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from topolab.ledger import PlaceCount, Service
from topolab.results import OutcomeFate, Run, SettingValue, Standing, Unit


@dataclass(frozen=True, slots=True)
class Served:
    """Who served some requests: how many processes, kernel threads, and units (threads or greenlets) told apart.

    `per_process` is how many requests each process served, the most first; `at_once` the most views that ran at one
    moment.
    """

    requests: int
    answered: int
    processes: int
    native_threads: int
    units: int
    at_once: int
    per_process: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Crossing:
    """Short and long requests mixed, at a rate that the handlers could serve: who waits although a worker is free?

    `misplaced` of the `requests` waited at least `threshold_s` for their view while another process had a handler free.
    `waited` is all that waited as long. Times are from the moment a request was due to the moment its view began.
    """

    requests: int
    answered: int
    handlers: int  # of one process
    threshold_s: float
    waited: int
    misplaced: int
    wait_p50_s: float
    wait_p99_s: float
    wait_max_s: float


@dataclass(frozen=True, slots=True)
class Identity:
    """What the instrument saw: the `result` event of `python -m topolab.instrument identity`."""

    successive: Served
    concurrent: Served
    crossing: Crossing | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """In how many of the `checked` requests what they had left in a place was still theirs after others had run.

    `place`: request, g, session, current_app, local, local_stack, contextvar; nested_app, where inside of a context of
    another app that app and its `g` were found, and afterwards the first's; and what is shared, thread_local and
    module_global.
    """

    place: str
    checked: int
    kept: int


@dataclass(frozen=True, slots=True)
class Isolation:
    """What the instrument saw: the `result` event of `python -m topolab.instrument isolation`.

    `at_once` is the most views that ran at the same moment; `counters` how many processes count for themselves.
    """

    requests: int
    answered: int
    at_once: int
    counters: int
    kept: tuple[Kept, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """Clients that hung up while their request stood in one place: in how many of them the view ran all the same."""

    place: Standing
    left: int
    ran: int
    finished: int  # those of them whose view came to its end


@dataclass(frozen=True, slots=True)
class DeadWork:
    """What the instrument saw: the `result` event of `python -m topolab.instrument deadwork`."""

    requests: int
    left: tuple[Left, ...]


@dataclass(frozen=True, slots=True)
class Burst:
    """Instant requests that all came at once to an idle server: the `result` event of `... instrument burst`.

    `slow` took `slow_s` or longer, almost the kernel's first pause before it repeats a dropped handshake; `unanswered`
    had no answer by the deadline. `failures`: how many of the failed got what, as "error 502" or "reset".
    """

    requests: int
    answered: int
    failed: int
    unanswered: int
    slow_s: float
    slow: int
    p50_s: float
    p99_s: float
    max_s: float
    failures: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BurstAt:
    """A burst at one backlog, that of the listener that clients come to."""

    backlog: int
    burst: Burst


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityRun(Run):
    """Who serves requests: as the server's description says, and as it was seen."""

    experiment: Literal["identity"] = "identity"
    expected: Unit
    seen: Unit
    identity: Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolationRun(Run):
    """What stays a request's own."""

    experiment: Literal["isolation"] = "isolation"
    isolation: Isolation


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadWorkRun(Run):
    """What runs for clients that have gone."""

    experiment: Literal["deadwork"] = "deadwork"
    dead_work: DeadWork


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstRun(Run):
    """How long a burst waits, per backlog."""

    experiment: Literal["burst"] = "burst"
    bursts: tuple[BurstAt, ...]


@dataclass(frozen=True, slots=True)
class Knob:
    """A setting or limit with another value: whether the ledger moved, and whether the model had said so.

    `other` is twice the value, half of it where that much can't be had here, or the opposite of a switch.
    """

    name: str
    value: SettingValue
    other: SettingValue
    moved: bool = False
    expected: bool = False
    tried: bool = True
    why_not: str = ""
    seconds: float = 0.0
    places: tuple[PlaceCount, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitivityRun(Run):
    """Which number moves the ledger; `bound_by` is the one that the model says."""

    experiment: Literal["sensitivity"] = "sensitivity"
    bound_by: str | None
    knobs: tuple[Knob, ...]


SignalName = Literal["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"]


@dataclass(frozen=True, slots=True)
class Fared:
    """What `count` requests got that stood in one place when the signal came; the last of them `last_s` after it."""

    place: Standing
    fate: OutcomeFate
    status: int | None
    count: int
    last_s: float


@dataclass(frozen=True, slots=True)
class Ending:
    """One signal to a server with requests in it: to its first process, but SIGKILL to one that serves.

    `newcomer` is a request that came `NEWCOMER_S` after the signal. `ended_s`: when the first process had ended, after
    the signal; None where it lived on for the `watched_s`. `serves_after`: whether somebody answered at the end, and
    `by_others` whether that was a process that had not served before.
    """

    signal: SignalName
    fared: tuple[Fared, ...]
    newcomer: Fared
    ended_s: float | None
    watched_s: float
    serves_after: bool
    by_others: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingsRun(Run):
    """What becomes of requests when their server is told to end or to reload, or loses a worker."""

    experiment: Literal["endings"] = "endings"
    target: Service  # which program got the signals
    view_s: float  # how long each view takes
    endings: tuple[Ending, ...]
