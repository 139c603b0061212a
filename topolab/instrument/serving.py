"""The processes of the stack under test, found from those that answered: their masters, siblings, children and fronts.

A local stack is everything below its supervisor; a stack of containers is everything that entered the pod's pid
namespace from outside, as the instrument did; any other server is the process group of what answered, and its
descendants. Whoever listens for the stack belongs to it as well, where this user may look (/proc/PID/fd). The
instrument does not.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from topolab.errors import LabError
from topolab.instrument import proctable
from topolab.instrument.addresses import Listener
from topolab.instrument.proctable import Table
from topolab.instrument.sockets import listening_inodes
from topolab.loads import Footprint

SUPERVISOR = "topolab.runtimes.supervisor"
_PSS = re.compile(rb"^Pss: +(\d+) kB", re.MULTILINE)


class Serving:
    """`pids` answered requests, `ours` are the instrument's; `listeners` are where the stack listens, if known.

    The roots are looked up once; what runs below them, at each question.
    """

    def __init__(self, pids: Iterable[int], ours: Iterable[int], listeners: Sequence[Listener] = ()) -> None:
        self._ours = {os.getpid(), *ours}
        table = proctable.processes()
        self._above_us = {pid for one in self._ours for pid in proctable.ancestors(table, one)} - self._ours
        answered = {pid for pid in pids if pid in table and pid not in self._ours}
        self.roots = _roots(table, answered | _owners(listeners, table) - self._ours, self._above_us | self._ours)

    def processes(self, table: Table | None = None) -> set[int]:
        """The pids of the stack now; empty where it could not be found."""
        table = table if table is not None else proctable.processes()
        above = self.roots & self._above_us  # a server in a thread of a process above us: that one process
        below = proctable.descendants(table, self.roots - above)
        orphans = {one.pid for one in table.values() if one.group in self.roots - above}  # they went to init
        return (above | below | orphans) - self._ours

    def cpu_s(self, table: Table | None = None) -> float | None:
        """CPU seconds so far of all of them and of their children that have ended; None where there are none."""
        table = table if table is not None else proctable.processes()
        pids = self.processes(table)
        return proctable.cpu_s(table, pids) if pids else None

    def cpus(self) -> int:
        """How many CPUs they may use together; 0 where there are none."""
        allowed: set[int] = set()
        for pid in self.processes():
            with contextlib.suppress(OSError):  # gone meanwhile
                allowed |= os.sched_getaffinity(pid)
        return len(allowed)

    def footprint(self) -> Footprint:
        """Their PSS: pages that several share are counted once. LabError where this user may not look."""
        total = seen = 0
        for pid in self.processes():
            try:
                found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_bytes())
            except (FileNotFoundError, ProcessLookupError):  # gone meanwhile, or a zombie
                continue
            except PermissionError:
                raise LabError(
                    f"The memory of process {pid} of the server can't be read: it is another user's. "
                    "Run the instrument as the server's user, or as root."
                ) from None
            seen += 1
            total += int(found[1]) * 1024 if found else 0
        if not seen:
            raise LabError("The server's processes were not found: its memory can't be read. Is it up?")
        return Footprint(total, seen)


def _roots(table: Table, known: set[int], not_above: set[int]) -> set[int]:
    """The topmost processes of the stack that these belong to."""
    roots: set[int] = set()
    for pid in known:
        line = proctable.ancestors(table, pid)
        supervisor = next((one for one in line[1:] if SUPERVISOR in proctable.words(one)), None)
        if supervisor is not None:
            roots |= {one.pid for one in table.values() if one.parent == supervisor}
            continue
        top = pid
        while (parent := table[top].parent) > 1 and parent in table and parent not in not_above:
            if table[parent].group != table[top].group:
                break
            top = parent
        roots.add(top)
    if all(table[root].parent == 0 for root in roots):
        roots |= _of_the_pod(table)
    return roots


def _of_the_pod(table: Table) -> set[int]:
    """In a pod: the main process of every other container, but not its init nor a healthcheck that sleeps."""
    ours = proctable.ancestors(table, os.getpid())
    if not ours or ours[-1] == 1 or table[ours[-1]].parent != 0:
        return set()
    entered = {one.pid for one in table.values() if one.parent == 0} - {1, ours[-1]}
    return {pid for pid in entered if proctable.words(pid)[:1] != ["sleep"]}


def _owners(listeners: Sequence[Listener], table: Table) -> set[int]:
    """The processes that have a listening socket of the stack open, as far as this user may look."""
    wanted = {f"socket:[{inode}]" for listener in listeners for inode in listening_inodes(listener.address)}
    if not wanted:
        return set()
    return {pid for pid in table if wanted & set(_open_files(pid))}


def _open_files(pid: int) -> list[str]:
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - of every process of the machine
            with contextlib.suppress(OSError):
                found.append(os.readlink(f"/proc/{pid}/fd/{name}"))  # noqa: PTH115 - as above
    return found
