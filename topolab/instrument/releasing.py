"""The release: the gate opens, and every request is followed to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from topolab.instrument.board import PENDING, Board, Fate
from topolab.instrument.clients import LEAVE
from topolab.instrument.gate import RELEASE, SOME, SOME_AT_ONCE
from topolab.instrument.processes import Child, Team
from topolab.results import AfterRelease

LEAVE_S = 5.0


def release(
    board: Board,
    team: Team,
    gate: Sequence[Child],
    clients: Sequence[Child],
    *,
    leaving: Collection[int],
    unanswered: Collection[int],
    deadline_s: float,
    on_end: Callable[[int, int], None],
    few_at_once: bool = False,
) -> AfterRelease:
    """The clients that are `leaving` hang up, the gate opens, and all others are followed to their end.

    Those of them that are `unanswered` now are told apart. `few_at_once`: the next few go when as many have ended, for
    who does not ask how it ends: a thousand threads that wake at once fight for Python's lock, for seconds.
    """
    for request in leaving:
        board.leaving[request] = 1
    for child in clients:
        child.tell(LEAVE)
    team.wait_until(lambda: not any(board.fate[each] in PENDING for each in leaving), deadline_s=LEAVE_S)
    followed = board.pending()
    released_ns = time.monotonic_ns()
    let_go = 0
    if not few_at_once:
        let_go = len(followed)
        for child in gate:
            child.tell(RELEASE)

    def all_ended() -> bool:
        nonlocal let_go
        fates = board.fates()
        waiting = fates[Fate.CONNECTING] + fates[Fate.SENT]
        ended = len(followed) - waiting
        on_end(ended, len(followed))
        while let_go < min(len(followed), ended + SOME_AT_ONCE):
            let_go += SOME_AT_ONCE
            for child in gate:
                child.tell(SOME)
        return not waiting

    in_time = team.wait_until(all_ended, deadline_s=deadline_s)
    ended_s = {request: round(max(0, board.ended_ns[request] - released_ns) / 1e9, 3) for request in followed}
    answered = [request for request in followed if board.fate[request] == Fate.ANSWERED]
    recovered_s = [ended_s[request] for request in set(unanswered).intersection(answered)]
    return AfterRelease(
        answered=len(answered),
        failed=len(followed) - len(answered),
        left=board.fates()[Fate.LEFT],
        seconds_to_last=max(ended_s.values(), default=0.0) if in_time else deadline_s,
        recovered=len(recovered_s),
        recovery_s=max(recovered_s, default=None),
    )
