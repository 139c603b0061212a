"""What the command line asks for."""

from __future__ import annotations

from dataclasses import dataclass

from topolab.instrument.stack import Stack
from topolab.loads import Offered
from topolab.results import Route

SLEEP_AT_MOST_S = 300.0  # the app's own bound (app/lab.py)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is experimented on. A readback needs no more."""

    stack: Stack
    processes: int  # so many of the app have to have answered before it starts
    watch_stdin: bool


@dataclass(frozen=True, slots=True)
class IdentityAsked(Subject):
    """One identity experiment: so many requests one by one, so many at once, and a mix of short and long ones."""

    handlers: int  # that each process has
    successive: int
    concurrent: int
    concurrent_ms: float
    mixed: int
    rate: float  # of the mix, requests per second
    short_ms: float
    long_ms: float
    threshold_s: float  # from which a wait counts
    deadline_s: float  # for the last answer of each part


@dataclass(frozen=True, slots=True)
class IsolationAsked(Subject):
    """One isolation experiment."""

    requests: int
    wait_ms: float
    use_async: bool


@dataclass(frozen=True, slots=True)
class BurstAsked(Subject):
    """One burst."""

    requests: int
    deadline_s: float


@dataclass(frozen=True, slots=True)
class CalibrateAsked:
    """A calibration: of the instrument itself, so there is no stack."""

    watch_stdin: bool


@dataclass(frozen=True, slots=True)
class LoadAsked(Subject):
    """Laps under load, one after the other."""

    laps: tuple[Offered, ...]


@dataclass(frozen=True, slots=True)
class MemoryAsked(Subject):
    """One memory experiment: so many requests held, and then so many idle connections. 0 leaves that part out."""

    requests: int
    idle: int


@dataclass(frozen=True, slots=True)
class Asked(Subject):
    """One capacity experiment."""

    requests: int
    route: Route
    sleep_s: float  # for the route `sleep`
    rate: float
    hold_s: float
    deadline_s: float

    @property
    def patience_s(self) -> float:
        """For the last end after the release.

        The kernel repeats a dropped handshake after pauses that double: the next one may come as late after the
        release as the release came after the opening.
        """
        return self.deadline_s + (self.sleep_s if self.route == "sleep" else self.hold_s)

    @property
    def path(self) -> str:
        """The view that holds, and how; a client adds its id."""
        paths: dict[Route, str] = {
            "gate": "/hold",
            "sleep": f"/hold?wait=sleep&seconds={self.sleep_s:g}",
            "async": "/async/hold",
        }
        return paths[self.route]
