"""The instrument's own honesty: was it late, was it big, did it run out of anything?"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from topolab.instrument.board import Board

_PSS = re.compile(r"^Pss: +(\d+) kB", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pacing:
    """How the openings kept to their schedule."""

    rate_got: float
    lateness_p99_s: float
    lateness_max_s: float


def pacing(board: Board, rate: float) -> Pacing:
    """Actual minus due time of each opening; request i was due i / rate after the start."""
    start_ns, interval_ns = board.start_ns[0], 1e9 / rate
    opened = [ns for ns in board.opened_ns if ns]
    late = sorted(max(0.0, ns - start_ns - i * interval_ns) for i, ns in enumerate(board.opened_ns) if ns)
    if not late:
        return Pacing(0.0, 0.0, 0.0)
    took_s = (max(opened) - min(opened)) / 1e9
    return Pacing(
        rate_got=round((len(opened) - 1) / took_s, 1) if took_s else rate,
        lateness_p99_s=round(late[int(0.99 * (len(late) - 1))] / 1e9, 6),
        lateness_max_s=round(late[-1] / 1e9, 6),
    )


def memory_bytes(pids: Iterable[int]) -> int:
    """The sum of the PSS: pages that processes share are counted once."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
            total += int(found[1]) * 1024 if found else 0
    return total


def cpu_s() -> float:
    """CPU seconds of this process and of its children that have ended."""
    used = os.times()
    return round(used.user + used.system + used.children_user + used.children_system, 3)
