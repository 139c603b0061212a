"""Pins: server and instrument on CPUs of their own, so that neither takes the other's time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from topolab.loads import Pins

ROOMY = 4  # from so many cores on the instrument has two: one that generates the load, one for its gate


def of_this_machine() -> Pins | None:
    """How this process' CPUs are shared between server and instrument; None where there is only one."""
    return apart(_cores(os.sched_getaffinity(0)))


def apart(cores: Sequence[tuple[int, ...]]) -> Pins | None:
    """The last core, or the last two of four or more, for the instrument; the others for the server.

    A core is given as the CPUs that share it (hyper-threads): two that share one slow each other down, so they are
    parted only where there is no other core.
    """
    if len(cores) == 1:
        cores = [(cpu,) for cpu in cores[0]]
    if len(cores) < 2:
        return None
    own = 2 if len(cores) >= ROOMY else 1
    return Pins(server=_flat(cores[:-own]), instrument=_flat(cores[-own:]))


def _flat(cores: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(sorted(cpu for core in cores for cpu in core))


def _cores(cpus: Iterable[int]) -> list[tuple[int, ...]]:
    """These CPUs by the core that they share, in order; each a core of its own where the kernel does not say."""
    by_core: dict[str, list[int]] = {}
    for cpu in sorted(cpus):
        core = f"cpu{cpu}"
        with contextlib.suppress(OSError):
            core = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
        by_core.setdefault(core, []).append(cpu)
    return [tuple(core) for core in by_core.values()]
