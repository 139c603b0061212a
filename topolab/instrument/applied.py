"""The limits that the kernel really applied to the server, whatever was asked for.

Any user may read `/proc/PID/limits` and the namespace's sysctls. A cgroup may be out of sight: it is looked for
where this process sees it, and then, for a server in a container of its own, where that container does.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

from topolab.results import Applied

_SOFT = re.compile(r"^Max (open files|processes) +(\d+|unlimited)", re.MULTILINE)
_SYSCTLS = Path("/proc/sys/net")


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """Of one process; `inf` where there is no bound, `pids_max` None where its cgroup is out of sight."""

    nofile: float
    nproc: float
    pids_max: float | None


class LimitsReader:
    """Reads each serving process as soon as it is noticed: a process that serves one request is gone at once."""

    def __init__(self, *, ours: Container[int]) -> None:
        self._ours = ours  # a server with the pid of one of ours lives in a pid namespace that we don't see
        self._read: dict[int, ProcessLimits] = {}

    def notice(self, pid: int) -> None:
        if pid not in self._read and pid not in self._ours:
            with contextlib.suppress(OSError, KeyError):  # gone, or hidden from us
                self._read[pid] = process_limits(pid)

    def applied(self) -> Applied:
        """What was read of all of them, and of the network namespace."""
        found = self._read.values()
        nofile, nproc = [one.nofile for one in found], [one.nproc for one in found]
        pids_max = [one.pids_max for one in found if one.pids_max is not None]
        return Applied(
            processes_read=len(found),
            nofile_min=_bound(min(nofile, default=inf)),
            nofile_max=_bound(max(nofile, default=inf)),
            nproc_min=_bound(min(nproc, default=inf)),
            nproc_max=_bound(max(nproc, default=inf)),
            cgroups_read=len(pids_max),
            pids_max=_bound(min(pids_max, default=inf)),
            somaxconn=_number("core/somaxconn"),
            tcp_max_syn_backlog=_number("ipv4/tcp_max_syn_backlog"),
            tcp_abort_on_overflow=_number("ipv4/tcp_abort_on_overflow"),
            ip_local_port_range=_words("ipv4/ip_local_port_range"),
        )


def process_limits(pid: int) -> ProcessLimits:
    """OSError where there is no such process."""
    soft = {name: _count(value) for name, value in _SOFT.findall(Path(f"/proc/{pid}/limits").read_text())}
    return ProcessLimits(soft["open files"], soft["processes"], pids_max(pid))


def pids_max(pid: int) -> float | None:
    """The smallest bound on the tasks of its cgroup and of those above it, as far as they can be seen."""
    for base, path in _pids_cgroups(Path(f"/proc/{pid}/cgroup").read_text()):
        top = Path("/", base)
        leaf = top / path
        if ".." not in leaf.parts and leaf.is_dir():
            folders = [leaf, *leaf.parents]
            return min(_read_bounds(folders[: folders.index(top) + 1]), default=inf)
        return min(_read_bounds([Path(f"/proc/{pid}/root", base)]), default=None)
    return None


def _pids_cgroups(text: str) -> list[tuple[str, str]]:
    """Where the pids controller is mounted, and its path there: cgroup v1, or v2."""
    lines = [line.split(":", 2) for line in text.splitlines()]
    first = [("sys/fs/cgroup/pids", path.lstrip("/")) for _, names, path in lines if "pids" in names.split(",")]
    return first or [("sys/fs/cgroup", path.lstrip("/")) for _, names, path in lines if not names]


def _read_bounds(folders: Sequence[Path]) -> list[float]:
    bounds = []
    for folder in folders:
        with contextlib.suppress(OSError):  # the topmost cgroup has no bound; another container may be closed to us
            bounds.append(_count((folder / "pids.max").read_text().strip()))
    return bounds


def _count(text: str) -> float:
    return inf if text in ("unlimited", "max") else int(text)


def _bound(value: float) -> int | None:
    return None if value == inf else int(value)


def _words(name: str) -> str | None:
    with contextlib.suppress(OSError):
        return " ".join((_SYSCTLS / name).read_text().split())
    return None


def _number(name: str) -> int | None:
    text = _words(name)
    return int(text) if text is not None else None
