"""Settling: every process of the server has answered once, and nothing of that is left in it.

A worker that has not loaded its app yet would take part in the experiment too late, or not at all.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from topolab.errors import LabError
from topolab.instrument import wire
from topolab.instrument.addresses import TcpAddress, UnixAddress
from topolab.instrument.asked import Subject
from topolab.instrument.board import Fate
from topolab.instrument.census import rows_at
from topolab.instrument.events import Events
from topolab.instrument.processes import Team
from topolab.instrument.sockets import unix_rows
from topolab.instrument.stack import Stack

PATH = "/healthz"
ROUND_S = 5.0  # a request of a round that has no answer by then is given up
PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Settled:
    """How the experiment found the server."""

    processes: int  # distinct ones that answered: as many as were asked for, or fewer at the deadline
    occupied: int  # connections that it did not let go of


@dataclass(frozen=True, slots=True)
class Round:
    """What came of requests that were sent at the same time."""

    pids: frozenset[int]
    all_answered: bool
    all_told: bool  # each answer says which process it is from


def until_settled(
    subject: Subject, team: Team, events: Events, on_process: Callable[[int], None] = lambda _pid: None
) -> Settled:
    """`settle`, as every experiment begins: told as progress."""
    return settle(
        subject.stack, team, processes=subject.processes, on_process=on_process,
        on_seen=lambda done: events.progress("settling", done, subject.processes),
    )  # fmt: skip


def settle(
    stack: Stack,
    team: Team,
    *,
    processes: int,
    on_seen: Callable[[int], None],
    on_process: Callable[[int], None],
    deadline_s: float = 15.0,
    empty_s: float = 5.0,
) -> Settled:
    """Asks until so many processes have answered, and then waits until the server is empty.

    `on_process` is told the pid of each answer at once. Four requests per process at a time, because one request at a
    time would find the same worker again and again; fewer after a round in which some were turned away, by a full
    queue or by workers that are not up yet. A process that has gone since counts no more: a worker that was replaced
    is not two.
    """
    seen: set[int] = set()
    on_seen(0)
    at_once = at_most = 4 * processes
    deadline = time.monotonic() + deadline_s
    while True:
        asked = ask(stack.entry, at_once, team, on_process)
        seen = {pid for pid in seen if Path(f"/proc/{pid}").exists()} | asked.pids
        on_seen(min(len(seen), processes))
        if len(seen) >= processes or time.monotonic() > deadline:
            break
        if not asked.all_told:
            print(f"{PATH} does not tell which process answers: not waiting for all of them", file=sys.stderr)
            break
        at_once = min(at_most, at_once + 1) if asked.all_answered else max(1, at_once // 2)
        team.pause(PAUSE_S)
    team.wait_until(lambda: not occupied(stack), deadline_s=empty_s, tick_s=PAUSE_S)
    return Settled(min(len(seen), processes), occupied(stack))


def ask(entry: TcpAddress, count: int, team: Team, on_process: Callable[[int], None]) -> Round:
    """Sends so many requests at the same time. LabError where nobody listens."""
    request = wire.request(PATH, str(entry))
    pids: list[int | None] = []  # one of each good answer; None where it does not tell
    received: dict[socket.socket, bytes] = {}
    deadline = time.monotonic() + ROUND_S
    with selectors.DefaultSelector() as selector:
        try:
            for opened in _connections(entry, count):
                received[opened] = b""
                selector.register(opened, selectors.EVENT_WRITE)
            while selector.get_map() and time.monotonic() < deadline:
                for key, _ in selector.select(timeout=0.05):
                    connection = key.fileobj
                    assert isinstance(connection, socket.socket)
                    try:
                        if key.events == selectors.EVENT_WRITE:
                            connection.send(request)
                            selector.modify(connection, selectors.EVENT_READ)
                            continue
                        data = connection.recv(65536)
                    except ConnectionRefusedError:
                        raise LabError(f"Nothing listens on {entry}. Start the server first.") from None
                    except OSError:  # a reset, say, by a worker that could not start
                        data = b""
                    received[connection] += data
                    fate = wire.outcome(received[connection], closed=not data)
                    if fate is None:
                        continue
                    selector.unregister(connection)
                    connection.close()  # at once: gunicorn's sync worker waits for it, 2 s long
                    if fate == Fate.ANSWERED:
                        pids.append(pid := _pid(received[connection]))
                        if pid is not None:
                            on_process(pid)
                team.pause(0)
        finally:
            for opened in received:
                opened.close()
    told = frozenset(pid for pid in pids if pid is not None)
    return Round(told, all_answered=len(pids) == count, all_told=None not in pids)


def _connections(entry: TcpAddress, count: int) -> Iterator[socket.socket]:
    """Under way to the entry; fewer where we lack descriptors."""
    with contextlib.suppress(OSError):
        for _ in range(count):
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            connection.connect_ex(entry.pair)
            yield connection


def _pid(answer: bytes) -> int | None:
    try:
        pid = json.loads(answer.partition(wire.BODY)[2])["pid"]
    except (ValueError, KeyError, TypeError):
        return None
    return pid if isinstance(pid, int) else None


def occupied(stack: Stack) -> int:
    """How many connections of anybody the services have, accepted or queued."""
    count = 0
    for listener in stack.listeners:
        address = listener.address
        if isinstance(address, UnixAddress):
            count += sum(unix_rows(address))
        else:
            count += sum(row.owned or row.unaccepted for row in rows_at(address))
    return count
