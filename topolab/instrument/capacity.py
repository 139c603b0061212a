"""The capacity experiment: open N requests, let everything come to rest, see where each one is, let them go."""

from __future__ import annotations

import functools
import time
from collections.abc import Collection, Sequence

from topolab.instrument import census, holding, honesty, resting
from topolab.instrument.applied import LimitsReader
from topolab.instrument.asked import Asked
from topolab.instrument.board import Board, Fate
from topolab.instrument.census import Census, Entry, rows_at
from topolab.instrument.clients import OPEN, PER_ADDRESS, Clients
from topolab.instrument.events import Events
from topolab.instrument.gate import Gate, listen
from topolab.instrument.processes import Child, Team, processes_for, raise_descriptor_limit
from topolab.instrument.releasing import release
from topolab.instrument.settling import until_settled
from topolab.results import InstrumentReport, Observation, Outcome

LEAD_NS = 5_000_000  # from the order to open to the first opening


def capacity(asked: Asked, events: Events) -> Observation:
    """Runs the experiment. LabError when it can't be done, Stopped when somebody says so."""
    limit = raise_descriptor_limit()
    with listen(asked.stack.gate) as listener, Team(watch_stdin=asked.watch_stdin) as team:
        gates = processes_for(asked.requests, limit)
        many = processes_for(asked.requests, limit, at_most=PER_ADDRESS)
        board = Board(asked.requests, gates=gates, client_processes=many)
        gate = [team.fork("gate", Gate(listener, board, index).run) for index in range(gates)]
        clients = [team.fork("clients", _clients(asked, board, index, many).run) for index in range(many)]

        reader = LimitsReader(ours=team.pids)
        settled = until_settled(asked, team, events, reader.notice)
        applied = reader.applied()
        start_opening(board, clients)
        follow_opening(board, team, events)
        rest = resting.wait(
            board, asked.stack, team, deadline_s=asked.deadline_s,
            on_sample=lambda: events.progress("resting", board.handlers() + board.ended(), asked.requests),
        )  # fmt: skip
        memory_bytes = honesty.memory_bytes(team.pids)
        events.progress("census", asked.requests, asked.requests)
        held = watch(asked, board, team, rest.census, events) if asked.hold_s else ()
        at_release = rest.census.entry if not asked.hold_s else census.at_entry(board, rows_at(asked.stack.entry))
        after_release = release(
            board, team, gate, clients, leaving=leaving(asked, board, at_release), unanswered=at_release.unanswered,
            deadline_s=asked.patience_s, on_end=functools.partial(events.progress, "releasing"),
        )  # fmt: skip

    pacing = honesty.pacing(board, asked.rate)
    return Observation(
        places=rest.census.ledger.places,
        listeners=rest.census.listeners,
        after_release=after_release,
        applied=applied,
        held=held,
        instrument=InstrumentReport(
            rate_asked=asked.rate,
            rate_got=pacing.rate_got,
            lateness_p99_s=pacing.lateness_p99_s,
            lateness_max_s=pacing.lateness_max_s,
            cpu_s=honesty.cpu_s(),
            memory_bytes=memory_bytes,
            descriptor_limit=limit,
            descriptors_short=board.fates()[Fate.NOT_OPENED] + (rest.census.calling if any(board.short) else 0),
            seconds_to_rest=round((rest.since_ns - board.start_ns[0]) / 1e9, 3),
            at_rest=rest.reached,
            processes_asked=asked.processes,
            processes_seen=settled.processes,
            calls_under_way=rest.census.calling,
            strangers=rest.census.strangers,
            occupied=settled.occupied,
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


def watch(asked: Asked, board: Board, team: Team, at_rest: Census, events: Events) -> tuple[Outcome, ...]:
    """Holds, and says what became of the requests meanwhile."""
    stood = holding.standings(board, at_rest.entry)
    holding.hold(board, team, asked.hold_s, functools.partial(events.progress, "holding"))
    return holding.outcomes(board, stood)


def leaving(asked: Asked, board: Board, at_release: Entry) -> Collection[int]:
    """Who is not followed after the release.

    Clients whose handshake is unanswered: the kernel repeats it after ever longer pauses, and to see them through
    would take half a minute; after a hold, that is what is asked for. And where handlers end by themselves, everybody
    who isn't in one: nothing can hurry the handlers before them.
    """
    if asked.route == "sleep":
        return [request for request in board.pending() if not board.asleep[request]]
    return () if asked.hold_s else at_release.unanswered
