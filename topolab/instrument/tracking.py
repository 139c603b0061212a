"""The kernel's table of connections (conntrack), where there is one: once it is full, handshakes are dropped at random.

Each connection stays in it for two minutes after its end, so that a load with a connection for each request fills it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from topolab.errors import LabError
from topolab.instrument.processes import Team

_FOLDER = Path("/proc/sys/net/netfilter")
FULL = 0.9
PATIENCE_S = 150.0  # an ended connection is forgotten after 120 s (nf_conntrack_tcp_timeout_time_wait)


def wait_for_room(team: Team, folder: Path = _FOLDER, patience_s: float = PATIENCE_S) -> None:
    """Until a tenth of it is free; LabError where that does not come."""
    if (share := used(folder)) < FULL:
        return
    print(f"waiting: the kernel's table of connections is {share:.0%} full (nf_conntrack_count)", file=sys.stderr)
    if not team.wait_until(lambda: used(folder) < FULL, deadline_s=patience_s, tick_s=min(1.0, patience_s)):
        raise LabError(
            f"The kernel's table of connections stays {used(folder):.0%} full, so that it drops handshakes. See who "
            "opens so many (`conntrack -L`), or raise net.netfilter.nf_conntrack_max."
        )


def used(folder: Path = _FOLDER) -> float:
    """The share of it that is in use; 0 where nothing is tracked."""
    try:
        count, most = (int((folder / f"nf_conntrack_{name}").read_text()) for name in ("count", "max"))
    except OSError:
        return 0.0
    return count / most if most else 0.0
