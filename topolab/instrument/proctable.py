"""The processes of this pid namespace, as /proc has them. Any user may read this much of all of them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

TICKS_PER_S: int = os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """One line of /proc/PID/stat. CPU time in ticks (10 ms as a rule), user and system together."""

    pid: int
    parent: int  # 0: it has none in this namespace
    group: int
    own_ticks: int
    reaped_ticks: int  # of its children that have ended and that it has waited for, and of theirs


Table = Mapping[int, Process]


def processes() -> dict[int, Process]:
    """All that run now, by pid; a zombie counts until its parent has waited for it."""
    table = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - twice as fast as Path.iterdir, and it is read during a lap
        if name.isdecimal():
            with contextlib.suppress(OSError):  # gone meanwhile
                found = read(int(name))
                table[found.pid] = found
    return table


def read(pid: int) -> Process:
    """OSError where there is no such process."""
    with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - as above
        # The name, in brackets, may hold anything; what follows the last bracket are numbers (proc_pid_stat(5)).
        fields = file.read(2048).rpartition(b")")[2].split()
    own, reaped = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return Process(pid, int(fields[1]), int(fields[2]), own, reaped)


def ancestors(table: Table, pid: int) -> list[int]:
    """From the process itself up to the topmost that can be seen."""
    line = []
    while pid in table and pid not in line:
        line.append(pid)
        pid = table[pid].parent
    return line


def descendants(table: Table, roots: Iterable[int]) -> set[int]:
    """The roots and everything below them."""
    children: dict[int, list[int]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: set[int] = set()
    ahead = [pid for pid in roots if pid in table]
    while ahead:
        pid = ahead.pop()
        if pid not in found:
            found.add(pid)
            ahead += children.get(pid, ())
    return found


def cpu_s(table: Table, pids: Iterable[int]) -> float:
    """CPU seconds of these processes and of the children that they have waited for."""
    rows = (table[pid] for pid in pids if pid in table)
    return sum(row.own_ticks + row.reaped_ticks for row in rows) / TICKS_PER_S


def process_cpu_s(pid: int) -> float:
    """CPU seconds of one process, to the nanosecond, without its children. OSError where there is none."""
    return time.clock_gettime(~pid << 3 | 2)  # what clock_getcpuclockid(3) makes of a pid


def words(pid: int) -> list[str]:
    """Its command line; nothing where it is gone or is a kernel thread."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return []


def sees_all() -> bool:
    """Whether this is the machine's own pid namespace: its second process is the parent of the kernel's threads."""
    with contextlib.suppress(OSError):
        return Path("/proc/2/comm").read_text() == "kthreadd\n"
    return False
