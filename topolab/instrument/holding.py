"""The hold: nothing is let go, and what becomes of each request meanwhile is written down.

Behind a front, a client's own connection does not tell where between front and handler its request stands: what the
front has accepted and no handler has is `waiting` here.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable
from typing import get_args

from topolab.instrument.board import PENDING, Board, Fate
from topolab.instrument.census import Entry
from topolab.instrument.processes import Team
from topolab.results import Outcome, OutcomeFate, Standing

TICK_S = 0.05
_FATES: dict[Fate, OutcomeFate] = {
    Fate.CONNECTING: "silence",
    Fate.SENT: "silence",
    Fate.REFUSED: "refused",
    Fate.RESET: "reset",
    Fate.CLOSED: "closed",
    Fate.ERROR: "error",
    Fate.ANSWERED: "answered",
    Fate.TIMED_OUT: "timeout",
}

Standings = dict[int, Standing]


def standings(board: Board, entry: Entry) -> Standings:
    """Where each request that has no end yet stands."""
    found: Standings = dict.fromkeys(entry.accepted + entry.closing, "waiting")
    found |= dict.fromkeys(entry.queued, "accept_queue")
    found |= dict.fromkeys(entry.unanswered, "unanswered")
    return found | {request: "handler" for request in found if board.in_handler[request]}


def hold(board: Board, team: Team, seconds: float, on_second: Callable[[int, int], None]) -> None:
    """Waits for so long, or until nobody waits any more."""
    begun, of = time.monotonic(), math.ceil(seconds)

    def nobody_waits() -> bool:
        on_second(min(of, int(time.monotonic() - begun)), of)
        return not any(board.fates()[fate] for fate in PENDING)

    team.wait_until(nobody_waits, deadline_s=seconds, tick_s=TICK_S)
    on_second(of, of)


def outcomes(board: Board, stood: Standings) -> tuple[Outcome, ...]:
    """What became of all requests since they were opened, by where they stood at the census."""
    now_ns = time.monotonic_ns()
    took_s: dict[tuple[Standing, OutcomeFate, int | None], list[float]] = defaultdict(list)
    for request, number in enumerate(bytes(board.fate)):
        if fate := _FATES.get(Fate(number)):
            until_ns = now_ns if fate == "silence" else board.ended_ns[request]
            key = (stood.get(request, "on_arrival"), fate, board.status[request] or None)
            took_s[key].append((until_ns - board.opened_ns[request]) / 1e9)
    found = [
        Outcome(what, fate, status, len(times), round(min(times), 3), round(max(times), 3))
        for (what, fate, status), times in took_s.items()
    ]
    return tuple(sorted(found, key=lambda one: (get_args(Standing).index(one.what), one.first_s)))
