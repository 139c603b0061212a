"""The memory experiment: the server's memory at rest, with requests in its hands, after them, and with idle clients."""

from __future__ import annotations

import functools
import time

from topolab.instrument import resting
from topolab.instrument.asked import MemoryAsked
from topolab.instrument.board import Board
from topolab.instrument.capacity import follow_opening, start_opening
from topolab.instrument.clients import PER_ADDRESS, Clients
from topolab.instrument.events import Events
from topolab.instrument.exchange import Due, exchange
from topolab.instrument.gate import Gate, listen
from topolab.instrument.idle import Idle
from topolab.instrument.processes import Team, processes_for, raise_descriptor_limit
from topolab.instrument.releasing import release
from topolab.instrument.serving import Serving
from topolab.instrument.settling import until_settled
from topolab.loads import Footprint, MemorySeen

RATE = 1000.0  # openings per second
STILL_S, STILL_SHARE, TICK_S = 0.2, 0.005, 0.1  # settled: for so long no more of a change than this
SETTLING_S = 3.0  # at most; a server may give memory back for much longer
WARMING = 8  # requests for each process: what the first one loads and keeps belongs to no other
DEADLINE_S = 20.0


def memory(asked: MemoryAsked, events: Events) -> MemorySeen:
    """Holds `asked.requests` at the gate, lets them go, and keeps `asked.idle` connections open. Either may be 0."""
    limit = raise_descriptor_limit()
    requests = max(1, asked.requests)
    with listen(asked.stack.gate) as listener, Team(watch_stdin=asked.watch_stdin) as team:
        gates, many = processes_for(requests, limit), processes_for(requests, limit, at_most=PER_ADDRESS)
        board = Board(requests, gates=gates, client_processes=many)
        gate = [team.fork("gate", Gate(listener, board, index).run) for index in range(gates)]
        clients = [
            team.fork("clients", Clients(board, asked.stack.entry, "/hold", rate=RATE, index=index, step=many).run)
            for index in range(many)
        ]
        pids: set[int] = set()
        until_settled(asked, team, events, pids.add)
        _warm(asked, team)
        serving = Serving(pids, team.pids, asked.stack.listeners)
        watch = functools.partial(_settled, serving, team, events)
        at_rest = full = after = watch()
        served = accepted = 0
        if asked.requests:
            start_opening(board, clients)
            follow_opening(board, team, events)
            rest = resting.wait(
                board, asked.stack, team, deadline_s=DEADLINE_S,
                on_sample=lambda: events.progress("resting", board.handlers() + board.ended(), requests),
            )  # fmt: skip
            full = watch()
            served = board.handlers()
            accepted = served + sum(place.count for place in rest.census.ledger.places if place.place == "waiting")
            release(
                board, team, gate, clients, leaving=rest.census.entry.unanswered, unanswered=(),
                deadline_s=DEADLINE_S, on_end=functools.partial(events.progress, "releasing"), few_at_once=True,
            )  # fmt: skip
            after = watch()
        with Idle(asked.stack.entry) as idle:
            idle.open(asked.idle, team)
            with_idle = serving.footprint()
            standing = idle.standing()
    return MemorySeen(
        at_rest=at_rest,
        full=full,
        served=served,
        accepted=accepted,
        after=after,
        idle=with_idle,
        idle_connections=standing,
        before_idle=after,
    )


def _warm(asked: MemoryAsked, team: Team) -> None:
    """Requests that call the gate and end: of an id that no request here has, so that nobody counts them."""
    path = f"/hold?wait=sleep&seconds=0&id={max(1, asked.requests)}"
    exchange(asked.stack.entry, [Due(path)] * (WARMING * asked.processes), team, deadline_s=DEADLINE_S / 4)


def _settled(serving: Serving, team: Team, events: Events) -> Footprint:
    """The memory once it has stopped to change, or at the deadline."""
    deadline = time.monotonic() + SETTLING_S
    last, since = serving.footprint(), time.monotonic()
    while time.monotonic() < min(deadline, since + STILL_S):
        events.progress("watching", last.processes, last.processes)
        team.pause(TICK_S)
        now = serving.footprint()
        if now.processes != last.processes or abs(now.pss_bytes - last.pss_bytes) > STILL_SHARE * last.pss_bytes:
            last, since = now, time.monotonic()
    return serving.footprint()
