"""The dead work experiment: clients leave while their requests wait or run. How many of those run all the same?"""

from __future__ import annotations

import time
from typing import get_args

from topolab.behaviours import DeadWork, Left
from topolab.instrument import holding, resting
from topolab.instrument.asked import Asked
from topolab.instrument.board import PENDING, Board, Fate
from topolab.instrument.capacity import follow_opening, start_opening
from topolab.instrument.clients import LEAVE, PER_ADDRESS, Clients
from topolab.instrument.events import Events
from topolab.instrument.gate import RELEASE, Gate, listen
from topolab.instrument.processes import Team, processes_for, raise_descriptor_limit, require_opened
from topolab.instrument.settling import until_settled
from topolab.results import Standing

NOTICE_S = 1.0  # a server that watches its clients has noticed by then
QUIET_S = 2.0  # no view has come for so long: none comes any more


def deadwork(asked: Asked, events: Events) -> DeadWork:
    """Holds them all, lets every client hang up, opens the gate, and counts the views that come."""
    limit = raise_descriptor_limit()
    with listen(asked.stack.gate) as listener, Team(watch_stdin=asked.watch_stdin) as team:
        gates, many = processes_for(asked.requests, limit), processes_for(asked.requests, limit, at_most=PER_ADDRESS)
        board = Board(asked.requests, gates=gates, client_processes=many)
        gate = [team.fork("gate", Gate(listener, board, index).run) for index in range(gates)]
        clients = [
            team.fork("clients", Clients(
                board, asked.stack.entry, asked.path, rate=asked.rate, index=index, step=many, hard=False
            ).run)
            for index in range(many)
        ]  # fmt: skip
        until_settled(asked, team, events)
        start_opening(board, clients)
        follow_opening(board, team, events)
        require_opened(asked.requests - board.fates()[Fate.NOT_OPENED], asked.requests)
        rest = resting.wait(
            board, asked.stack, team, deadline_s=asked.deadline_s,
            on_sample=lambda: events.progress("resting", board.handlers() + board.ended(), asked.requests),
        )  # fmt: skip
        stood = holding.standings(board, rest.census.entry)
        for request in stood:
            board.leaving[request] = 1
        for child in clients:
            child.tell(LEAVE)
        team.wait_until(lambda: not any(board.fate[request] in PENDING for request in stood), deadline_s=NOTICE_S * 5)
        team.wait_until(lambda: False, deadline_s=NOTICE_S)
        for child in gate:
            child.tell(RELEASE)
        _until_quiet(board, team, asked, events)
    places: tuple[Standing, ...] = get_args(Standing)
    left = []
    for place in places:
        here = [request for request, where in stood.items() if where == place]
        if here:
            ran, finished = sum(board.called[one] for one in here), sum(board.let_go[one] for one in here)
            left.append(Left(place, len(here), ran, finished))
    return DeadWork(asked.requests, tuple(left))


def _until_quiet(board: Board, team: Team, asked: Asked, events: Events) -> None:
    """Until no view has come or gone for a while, or the deadline."""
    last, since = -1, time.monotonic()

    def quiet() -> bool:
        nonlocal last, since
        now = sum(board.arrived) + sum(board.departed)
        events.progress("watching", sum(board.called), asked.requests)
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > QUIET_S

    team.wait_until(quiet, deadline_s=asked.deadline_s, tick_s=0.05)
