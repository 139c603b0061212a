"""Kernel and process limits as data: the named sets of topologies/limits.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from pydantic import Field, RootModel

from topolab.errors import LabError
from topolab.paths import shown
from topolab.results import SettingValue
from topolab.settings import Setting, Strict
from topolab.yamlfile import load, nearest


class Limit(Setting):
    """A limit of the kernel: where it is not per process, the file under /proc/sys that holds it."""

    sysctl: str | None = None

    @property
    def here(self) -> int | str | None:
        """The machine's own value, for limits of its network namespace; a pair of numbers as "1024 65535"."""
        if self.sysctl is None:
            return None
        text = " ".join(Path("/proc/sys", self.sysctl).read_text().split())
        return int(text) if self.type == "int" else text


# What can be limited, and its bounds. A limit that no set names is left as the runtime has it.
LIMITS: Mapping[str, Limit] = {
    "nofile": Limit(
        type="int", default=1024, min=16, max=1_048_576, help="open files per process (RLIMIT_NOFILE)",
        source="getrlimit(2); fs.nr_open",
    ),
    "nproc": Limit(
        type="int", default=4096, min=1, max=4_194_304, help="threads of the user id (RLIMIT_NPROC); root is exempt",
        source="getrlimit(2); PID_MAX_LIMIT",
    ),
    "pids": Limit(
        type="int", default=4096, min=1, max=4_194_304, help="threads in the container (cgroup pids.max)",
        source="Linux Documentation/admin-guide/cgroup-v2.rst",
    ),
    "somaxconn": Limit(
        type="int", default=4096, min=1, max=65_535, help="bound on every listen backlog",
        source="Linux Documentation/admin-guide/sysctl/net.rst", sysctl="net/core/somaxconn",
    ),
    "tcp_max_syn_backlog": Limit(
        type="int", default=2048, min=1, max=65_535, help="handshakes not finished yet, per listener",
        source="Linux Documentation/networking/ip-sysctl.rst", sysctl="net/ipv4/tcp_max_syn_backlog",
    ),
    "tcp_abort_on_overflow": Limit(
        type="int", default=0, min=0, max=1, help="1: reset a client whose handshake ends at a full accept queue",
        source="Linux Documentation/networking/ip-sysctl.rst", sysctl="net/ipv4/tcp_abort_on_overflow",
    ),
    "ip_local_port_range": Limit(
        type="range", default="32768 60999", min=1, max=65_535, help="ports that a front's own connections may take",
        source="Linux Documentation/networking/ip-sysctl.rst", sysctl="net/ipv4/ip_local_port_range",
    ),
}  # fmt: skip


class LimitValue(Strict):
    """One value of a set, with its why and its source."""

    value: int | str
    why: str
    source: str


class LimitSet(Strict):
    """One named set; what it does not name comes from the set it extends."""

    summary: str
    extends: str | None = None
    limits: Mapping[str, LimitValue] = {}


class LimitsFile(RootModel[dict[str, LimitSet]]):
    """limits.yaml: sets by name."""

    root: dict[str, LimitSet] = Field(min_length=1)


class LimitSets:
    """The sets of one limits.yaml, resolved and checked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def sets(self) -> Mapping[str, LimitSet]:
        return load(self.path, LimitsFile).root

    def values(self, name: str) -> dict[str, SettingValue]:
        """Every limit that the set gives, those it inherits included."""
        return {limit: entry.value for limit, entry in self.entries(name).items()}

    def entries(self, name: str) -> dict[str, LimitValue]:
        """The same, each with its why and source."""
        seen: list[str] = []
        entries: dict[str, LimitValue] = {}
        while True:
            if name not in self.sets:
                user = f" (extended by {seen[-1]})" if seen else ""
                raise LabError(f'{shown(self.path)}: there is no limit set "{name}"{user}.{nearest(name, self.sets)}')
            if name in seen:
                raise LabError(f"{shown(self.path)}: {' -> '.join([*seen, name])} extend one another in a circle.")
            seen.append(name)
            for limit, entry in self.sets[name].limits.items():
                where = f"{shown(self.path)}: {name}.{limit}"
                if limit not in LIMITS:
                    raise LabError(f"{where} is no limit.{nearest(limit, LIMITS)}")
                LIMITS[limit].checked(entry.value, where=where)
                entries.setdefault(limit, entry)
            parent = self.sets[name].extends
            if parent is None:
                return entries
            name = parent
