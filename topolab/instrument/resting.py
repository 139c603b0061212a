"""Rest: the moment at which nothing moves any more. A condition, never a sleep.

Light samples (the gate, the clients' fates, the accept queues) have to stay equal for a while, and then a whole
census has to agree: no view may be on its way to the gate, no request on its way into a connection that stands, and
nobody without an answer while the queue before him has room, because the kernel sends a dropped handshake again, after
1, 2, 3, 4, 5, 7, 11 s and so on, and it would then get in.

Handlers that sleep end by themselves: after the first of them, there is no rest to come to.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from topolab.instrument import census, queues
from topolab.instrument.addresses import Listener
from topolab.instrument.board import Board
from topolab.instrument.census import Census
from topolab.instrument.processes import Team
from topolab.instrument.queues import Queue
from topolab.instrument.stack import Stack

TICK_S = 0.03
QUIET_S = 0.3  # nothing may change for so long; a server that is slow to fill gets longer, up to
QUIET_AT_MOST_S = 1.5
QUIET_SHARE = 0.1  # this share of the time since the first opening
SAMPLES = 6  # at least, so that a quiet spell of our own (no CPU for us) is not taken for one of the server

Levels = dict[Listener, Queue | None]
Sample = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Rest:
    """The census at rest, at the deadline, or when a sleeper woke. `since_ns`: when the last change was seen."""

    census: Census
    reached: bool
    since_ns: int


def wait(board: Board, stack: Stack, team: Team, *, deadline_s: float, on_sample: Callable[[], None]) -> Rest:
    """Comes back at rest, at the deadline, or when a handler that slept has ended, whichever is first."""
    begun_ns = quiet_from_ns = since_ns = time.monotonic_ns()
    last: Sample = ()
    equal = 0
    while True:
        now_ns = time.monotonic_ns()
        levels = read_levels(stack)
        sample = look(board, levels)
        if sample != last:
            last, quiet_from_ns, since_ns, equal = sample, now_ns, now_ns, 0
        equal += 1
        filling_s = (now_ns - board.start_ns[0]) / 1e9
        quiet_s = min(QUIET_AT_MOST_S, max(QUIET_S, QUIET_SHARE * filling_s))
        if equal >= SAMPLES and (now_ns - quiet_from_ns) / 1e9 >= quiet_s:
            taken = census.take(board, stack, levels)
            still = look(board, read_levels(stack)) == sample
            if still and not board.woken() and not moving(taken, board, stack, levels):
                return Rest(taken, True, since_ns)
            quiet_from_ns, equal = now_ns, 0  # look again after another quiet spell
        woken = board.woken()
        if woken:
            print("a handler woke before all requests were at rest: let it sleep longer (--sleep-s)", file=sys.stderr)
        if woken or (now_ns - begun_ns) / 1e9 > deadline_s:
            return Rest(census.take(board, stack, levels), False, since_ns)
        on_sample()
        team.pause(TICK_S)


def read_levels(stack: Stack) -> Levels:
    """The accept queues now."""
    return {listener: queues.read(listener.address) for listener in stack.listeners}


def look(board: Board, levels: Levels) -> Sample:
    """A light sample: cheap to take, and different whenever a request has moved."""
    gate = tuple(sum(cells) for cells in (board.held, board.arrived, board.departed, board.asleep))
    return gate, tuple(sorted(board.fates().items())), tuple(levels.values())


def moving(taken: Census, board: Board, stack: Stack, levels: Levels) -> bool:
    """Whether something is bound to happen although all is quiet. A gate without descriptors takes no more calls."""

    def room(listener: Listener) -> bool:
        queue = levels[listener]
        return queue is not None and queue.has_room

    return bool(
        taken.entry.closing
        or taken.undelivered
        or (taken.calling and not any(board.short))
        or (taken.entry.unanswered and room(stack.listeners[-1]))
        or any(count and room(listener) for listener, count in taken.connecting.items())
    )
