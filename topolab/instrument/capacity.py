"""The capacity experiment: open N requests, let everything come to rest, see where each one is, let them go."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from topolab.instrument import honesty, resting
from topolab.instrument.board import PENDING, Board, Fate
from topolab.instrument.census import Census
from topolab.instrument.clients import LEAVE, OPEN, PER_ADDRESS, Clients
from topolab.instrument.events import Events
from topolab.instrument.gate import RELEASE, Gate, listen
from topolab.instrument.processes import Child, Team, processes_for, raise_descriptor_limit
from topolab.instrument.queues import Queues
from topolab.instrument.readback import Readback
from topolab.instrument.settling import settle
from topolab.instrument.stack import Stack
from topolab.results import AfterRelease, InstrumentReport, Observation

LEAD_NS = 5_000_000  # from the order to open to the first opening
LEAVE_S = 5.0


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line."""

    stack: Stack
    requests: int
    path: str
    processes: int
    rate: float
    deadline_s: float
    watch_stdin: bool


def capacity(asked: Asked, events: Events) -> Observation:
    """Runs the experiment. LabError when it can't be done, Stopped when somebody says so."""
    limit = raise_descriptor_limit()
    with listen(asked.stack.gate) as listener, Team(watch_stdin=asked.watch_stdin) as team:
        gates = processes_for(asked.requests, limit)
        many = processes_for(asked.requests, limit, at_most=PER_ADDRESS)
        board = Board(asked.requests, gates=gates, client_processes=many)
        gate = [team.fork("gate", Gate(listener, board, index).run) for index in range(gates)]
        clients = [team.fork("clients", _clients(asked, board, index, many).run) for index in range(many)]

        readback = Readback(ours=team.pids)
        seen = settle(
            asked.stack, team, processes=asked.processes, on_process=readback.notice,
            on_seen=lambda done: events.progress("settling", done, asked.processes),
        )  # fmt: skip
        applied = readback.applied()
        start_opening(board, clients)
        with Queues() as queues:
            follow_opening(board, team, events)
            rest = resting.wait(
                board, asked.stack, team, queues, deadline_s=asked.deadline_s,
                on_sample=lambda: events.progress("resting", board.handlers() + board.ended(), asked.requests),
            )  # fmt: skip
        memory_bytes = honesty.memory_bytes(team.pids)
        events.progress("census", asked.requests, asked.requests)
        after_release = release(
            board, team, gate, clients, rest.census, deadline_s=asked.deadline_s,
            on_end=functools.partial(events.progress, "releasing"),
        )  # fmt: skip

    pacing = honesty.pacing(board, asked.rate)
    return Observation(
        places=rest.census.ledger.places,
        listeners=rest.census.listeners,
        after_release=after_release,
        applied=applied,
        instrument=InstrumentReport(
            rate_asked=asked.rate,
            rate_got=pacing.rate_got,
            lateness_p99_s=pacing.lateness_p99_s,
            lateness_max_s=pacing.lateness_max_s,
            cpu_s=honesty.cpu_s(),
            memory_bytes=memory_bytes,
            descriptor_limit=limit,
            descriptors_short=board.fates()[Fate.NOT_OPENED] + (rest.census.missed_by_gate if any(board.short) else 0),
            seconds_to_rest=round((rest.since_ns - board.start_ns[0]) / 1e9, 3),
            at_rest=rest.reached,
            processes_asked=asked.processes,
            processes_seen=seen,
        ),
    )


def _clients(asked: Asked, board: Board, index: int, step: int) -> Clients:
    return Clients(board, asked.stack.entry, asked.path, rate=asked.rate, index=index, step=step)


def start_opening(board: Board, clients: Sequence[Child]) -> None:
    """Gives all client processes one schedule, and the order to open."""
    board.start_ns[0] = time.monotonic_ns() + LEAD_NS
    for child in clients:
        child.tell(OPEN)


def follow_opening(board: Board, team: Team, events: Events) -> None:
    """Until each client has been opened, or could not be."""
    while opening := board.fates()[Fate.NOT_YET]:
        events.progress("opening", board.requests - opening, board.requests)
        team.pause(0.02)
    events.progress("opening", board.requests, board.requests)


def release(
    board: Board,
    team: Team,
    gate: Sequence[Child],
    clients: Sequence[Child],
    at_rest: Census,
    *,
    deadline_s: float,
    on_end: Callable[[int, int], None],
) -> AfterRelease:
    """Clients whose handshake is unanswered leave, the gate opens, and all others are followed to their end.

    The kernel repeats a dropped handshake after ever longer pauses: to see those clients through would take half
    a minute.
    """
    for request in at_rest.unanswered:
        board.leaving[request] = 1
    for child in clients:
        child.tell(LEAVE)
    team.wait_until(lambda: not any(board.fate[each] in PENDING for each in at_rest.unanswered), deadline_s=LEAVE_S)
    followed = board.pending()
    released_ns = time.monotonic_ns()
    for child in gate:
        child.tell(RELEASE)

    def all_ended() -> bool:
        fates = board.fates()
        waiting = fates[Fate.CONNECTING] + fates[Fate.SENT]
        on_end(len(followed) - waiting, len(followed))
        return not waiting

    in_time = team.wait_until(all_ended, deadline_s=deadline_s)
    last_ns = max((board.ended_ns[request] for request in followed), default=released_ns)
    answered = sum(board.fate[request] == Fate.ANSWERED for request in followed)
    return AfterRelease(
        answered=answered,
        failed=len(followed) - answered,
        left=board.fates()[Fate.LEFT],
        seconds_to_last=round(max(0, last_ns - released_ns) / 1e9, 3) if in_time else deadline_s,
    )
