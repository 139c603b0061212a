"""What is true of one server: topologies/servers/<server>/server.yaml as typed data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr

from topolab.errors import LabError
from topolab.expressions import evaluate
from topolab.ledger import Place
from topolab.paths import shown
from topolab.results import Unit
from topolab.settings import Setting, Strict


class Term(Strict):
    """One limit on how many requests stand at a place; of several, the smallest binds.

    `races`: when this one binds, any number of those that find no room end there instead of in the overflow.
    `kills`: when this one binds, the process dies, and what it held ends there; a new one starts in its stead, so
    that the rest may be found anywhere.
    """

    bound_by: str  # the setting or limit that draws this line
    count: str | int  # formula
    source: str
    when: str | bool = True  # formula; a term whose `when` does not hold is as if it were not there
    then: Place | None = None  # where the excess goes when this one binds; default: the next place in line
    races: Place | None = None
    kills: Place | None = None
    fewer: str | int = 0  # formula; as many may be missing from the count when it binds; they end where the rest ends
    because: str | None = None


class AcceptQueue(Strict):
    """The kernel's accept queue: how many listeners, and the backlog that the server asks for."""

    backlog: str | int  # formula; the kernel cuts it to somaxconn
    queues: str | int = 1
    source: str


class Randomness(Strict):
    """Where the server itself is random: what its mechanism guarantees, and why.

    Those that are missing in handlers wait; those that wait beyond the prediction are missing in the accept queue,
    and first of all outside it.
    """

    handler_at_least: str | int | None = None  # formula; `requests` are those that the server accepts
    waiting_at_most: str | int | None = None  # formula
    because: str


class Caution(Strict):
    """A setting that does nothing, or that kills the server: said by name before anything starts."""

    when: str | bool = True
    message: str


class Capacity(Strict):
    """How many requests stand where. The first variant whose `when` holds is the one that counts.

    `independent`: listeners that share nothing (SO_REUSEPORT). Each has an even part of all rooms, and a queue of
    its own; which one a connection comes to is the kernel's hash.
    """

    when: str | bool = True
    handler: tuple[Term, ...] = Field(min_length=1)
    waiting: tuple[Term, ...] = ()
    accept_queue: AcceptQueue
    overflow: Place = "unanswered"
    independent: str | int = 1
    random: Randomness | None = None


class Admission(Strict):
    """Where a front itself is random: the fewest that it admits before it leaves the rest outside, and why."""

    admits_at_least: str | int  # formula
    because: str


class Front(Strict):
    """What a server in front admits, and what it does with the rest."""

    admits: tuple[Term, ...] = Field(min_length=1)
    beyond: Place  # a client's place; or accept_queue, its own, and only then the client's
    when_app_full: Mapping[Literal["unix", "tcp"], Place]  # a client's place; or waiting or connecting, its own
    accept_queue: AcceptQueue
    random: Admission | None = None


class Serving(Strict):
    """What serves a request; the first whose `when` holds counts."""

    when: str | bool = True
    unit: Unit
    source: str


class Server(Strict):
    """One server.yaml."""

    server: str
    summary: str
    role: Literal["app", "front"]
    socket_name: str = "app{instance}.sock"  # of its unix socket in RUN_DIR; `*` where the server itself adds to it
    inside: bool = False  # a front that is part of the app server's own program, which starts it
    program: str | None = None  # looked up on PATH in the process runtime
    files: tuple[str, ...] = ()  # further files of the distribution that it can't do without
    packages: Mapping[str, str] = {}  # distribution -> its packages that hold `program` and `files`
    build_packages: tuple[str, ...] = ()  # Debian packages needed only to build its requirements
    settings: Mapping[str, Setting] = {}
    processes: str | int = 1  # formula: processes that serve requests; readiness waits for all of them
    busy_cpus: str | int | None = None  # formula: CPUs that it can keep busy; default: one a process (Python's GIL)
    serves_with: tuple[Serving, ...] = ()
    capacity: tuple[Capacity, ...] = ()
    front: Front | None = None
    warnings: tuple[Caution, ...] = ()
    refuses: tuple[Caution, ...] = ()  # settings with which the server itself does not start
    discouraged: str = ""  # why nobody should begin with it, in its makers' own words; `topolab pick` leaves it out
    leaves_when_killed: str = ""  # what nobody clears away then; every other one is killed at a measurement's end
    to_refuse: Mapping[
        str, str | int
    ] = {}  # settings (formulas, also over in_flight and queue) that keep its queues short

    _folder: Path = PrivateAttr(default=Path())

    @property
    def folder(self) -> Path:
        """Its folder, with `run`, the native configuration and the locked requirements."""
        return self._folder

    @property
    def requirements(self) -> Path:
        """Its lock: the release that it is described for, and runs as when nobody says otherwise."""
        return self.folder / "requirements.txt"

    @property
    def versions(self) -> dict[str, Path]:
        """Locks of other releases, by the names that a topology may give as `version`."""
        files = sorted(self.folder.glob(f"{self.requirements.stem}-*.txt"))
        return {file.stem.removeprefix(f"{self.requirements.stem}-"): file for file in files}

    @property
    def where(self) -> str:
        """How errors name it."""
        return shown(self.folder / "server.yaml")

    def cautions(self, names: Mapping[str, Any]) -> list[str]:
        """What to say about these settings before anything starts."""
        return self._said(self.warnings, "warnings", names)

    def refusals(self, names: Mapping[str, Any]) -> list[str]:
        """Why the server would not start with these settings; empty where it would."""
        return self._said(self.refuses, "refuses", names)

    def _said(self, cautions: tuple[Caution, ...], key: str, names: Mapping[str, Any]) -> list[str]:
        return [
            caution.message
            for index, caution in enumerate(cautions)
            if evaluate(caution.when, names, where=f"{self.where}: {key}.{index}.when")
        ]

    def unit(self, names: Mapping[str, Any]) -> Unit:
        """What serves a request with these settings; unknown where nobody has said."""
        for index, serving in enumerate(self.serves_with):
            if evaluate(serving.when, names, where=f"{self.where}: serves_with.{index}.when"):
                return serving.unit
        return "unknown"

    def variant(self, names: Mapping[str, Any]) -> Capacity:
        """The capacity variant for these settings."""
        for index, variant in enumerate(self.capacity):
            if evaluate(variant.when, names, where=f"{self.where}: capacity.{index}.when"):
                return variant
        raise LabError(f"{self.where}: no capacity variant has a `when` that holds for {dict(names)}.")
