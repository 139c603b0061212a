"""Settling: every process of the server has answered once, and nothing of that is left in it.

A worker that has not loaded its app yet would take part in the experiment too late, or not at all.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections.abc import Callable

from topolab.errors import LabError
from topolab.instrument import wire
from topolab.instrument.addresses import TcpAddress, UnixAddress
from topolab.instrument.board import Fate
from topolab.instrument.processes import Team
from topolab.instrument.sockets import tcp_rows, unix_rows
from topolab.instrument.stack import Stack

PATH = "/healthz"
DEADLINE_S = 15.0
ROUND_S = 5.0  # a request of a round that has no answer by then is given up
EMPTY_S = 5.0
PAUSE_S = 0.02


def settle(
    stack: Stack, team: Team, *, processes: int, on_seen: Callable[[int], None], on_process: Callable[[int], None]
) -> int:
    """How many distinct processes have answered: `processes`, or fewer at the deadline.

    `on_process` is told the pid of each answer at once. Four requests per process at a time, because one request at a
    time would find the same worker again and again.
    """
    seen: set[int] = set()
    on_seen(0)
    deadline = time.monotonic() + DEADLINE_S
    while len(seen) < processes and time.monotonic() < deadline:
        pids = ask(stack.entry, 4 * processes, team, on_process)
        if pids is None:
            print(f"{PATH} does not tell which process answers: not waiting for all of them", file=sys.stderr)
            break
        seen |= pids
        on_seen(min(len(seen), processes))
        team.pause(PAUSE_S)
    if len(seen) < processes:
        print(f"{len(seen)} of {processes} processes answered {PATH}", file=sys.stderr)
    if not team.wait_until(lambda: is_empty(stack), deadline_s=EMPTY_S, tick_s=PAUSE_S):
        print("the server still holds connections of others", file=sys.stderr)
    return min(len(seen), processes)


def ask(entry: TcpAddress, count: int, team: Team, on_process: Callable[[int], None]) -> set[int] | None:
    """The processes that answered one round of requests; None where an answer does not tell."""
    request = wire.request(PATH, str(entry))
    pids: set[int] = set()
    received: dict[socket.socket, bytes] = {}
    deadline = time.monotonic() + ROUND_S
    with selectors.DefaultSelector() as selector:
        try:
            for _ in range(count):
                connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                received[connection] = b""
                connection.connect_ex(entry.pair)
                selector.register(connection, selectors.EVENT_WRITE)
            while selector.get_map() and time.monotonic() < deadline:
                for key, _ in selector.select(timeout=0.05):
                    connection = key.fileobj  # type: ignore[assignment]
                    if key.events == selectors.EVENT_WRITE:
                        connection.send(request)
                        selector.modify(connection, selectors.EVENT_READ)
                        continue
                    data = connection.recv(65536)
                    received[connection] += data
                    fate = wire.outcome(received[connection], closed=not data)
                    if fate is None:
                        continue
                    selector.unregister(connection)
                    connection.close()  # at once: gunicorn's sync worker waits for it, 2 s long
                    pid = _pid(received[connection])
                    if fate != Fate.ANSWERED or pid is None:
                        return None
                    on_process(pid)
                    pids.add(pid)
                team.pause(0)
        except ConnectionRefusedError:
            raise LabError(f"Nothing listens on {entry}. Start the server first.") from None
        except OSError:
            pass  # a reset, say, by a worker that could not start: the next round tells
        finally:
            for connection in received:
                connection.close()
    return pids


def _pid(answer: bytes) -> int | None:
    try:
        pid = json.loads(answer.partition(wire.BODY)[2])["pid"]
    except (ValueError, KeyError, TypeError):
        return None
    return pid if isinstance(pid, int) else None


def is_empty(stack: Stack) -> bool:
    """Whether no service has a connection of anybody any more, accepted or queued."""
    for listener in stack.listeners:
        address = listener.address
        if isinstance(address, UnixAddress):
            if unix_rows(address) != (0, 0):
                return False
        elif any(row.owned or row.unaccepted for row in tcp_rows(local_port=address.port)):
            return False
    return True
