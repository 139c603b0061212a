"""What the machine did between two moments: for the server, for the instrument, for others, and for the hypervisor."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from topolab.instrument import proctable
from topolab.instrument.proctable import TICKS_PER_S
from topolab.instrument.serving import Serving
from topolab.loads import MachineUse

# Columns of the first line of /proc/stat (proc_stat(5)).
_USER, _NICE, _SYSTEM, _STEAL = 0, 1, 2, 7


@dataclass(frozen=True, slots=True)
class Moment:
    """CPU seconds so far."""

    at_s: float
    server: float | None
    ours: float
    everybody: float
    steal: float


class Machine:
    """Takes moments: `ours` are the instrument's pids."""

    def __init__(self, serving: Serving, ours: Iterable[int]) -> None:
        self._serving = serving
        self._ours = frozenset(ours)
        self._sees_all = proctable.sees_all()

    def now(self) -> Moment:
        """Costs a few milliseconds of CPU time: a read of each process."""
        table = proctable.processes()
        columns = [int(word) for word in _cpu_line().split()[1:]]
        # Where every process can be seen, their own accounts are exact. In a pod, the machine's ticks are all there is:
        # without those of soft interrupts, which kernels without CONFIG_IRQ_TIME_ACCOUNTING count to processes as well.
        ticks = columns[_USER] + columns[_NICE] + columns[_SYSTEM]
        return Moment(
            at_s=time.monotonic(),
            server=self._serving.cpu_s(table),
            ours=proctable.cpu_s(table, self._ours),
            everybody=proctable.cpu_s(table, table) if self._sees_all else ticks / TICKS_PER_S,
            steal=columns[_STEAL] / TICKS_PER_S,
        )

    def use(self, before: Moment, after: Moment) -> MachineUse:
        """Between the two. `others_cpu_s` is 0 where the server was not found: nobody could tell them apart."""
        server = None
        others = 0.0
        if before.server is not None and after.server is not None:
            server = max(0.0, after.server - before.server)
            others = max(0.0, after.everybody - before.everybody - server - (after.ours - before.ours))
        return MachineUse(
            wall_s=round(after.at_s - before.at_s, 6),
            server_cpu_s=None if server is None else round(server, 3),
            server_cpus=self._serving.cpus(),
            others_cpu_s=round(others, 3),
            steal_s=round(max(0.0, after.steal - before.steal), 3),
        )


def _cpu_line() -> str:
    with Path("/proc/stat").open() as lines:
        return lines.readline()
