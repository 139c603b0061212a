"""The readback experiment: what the kernel made of a running stack's limits and queues, by a few quiet requests."""

from __future__ import annotations

import contextlib
import http.client
import json

from topolab.instrument import queues
from topolab.instrument.addresses import Address, TcpAddress, UnixAddress
from topolab.instrument.applied import LimitsReader
from topolab.instrument.asked import Subject
from topolab.instrument.census import rows_at
from topolab.instrument.events import Events
from topolab.instrument.processes import Team
from topolab.instrument.settling import until_settled
from topolab.instrument.sockets import unix_rows
from topolab.results import ListenerQueue, ReadBack

GREETING_S = 5.0


def readback(subject: Subject, events: Events) -> ReadBack:
    """Each process as it answers, then the queues. LabError where nothing listens, Stopped when somebody says so."""
    stack = subject.stack
    with Team(watch_stdin=subject.watch_stdin) as team:
        reader = LimitsReader(ours=team.pids)
        settled = until_settled(subject, team, events, reader.notice)
        applied = reader.applied()
        listeners = tuple(
            ListenerQueue(service, str(address), queue.recv_q, queue.send_q, unaccepted(address))
            for service, address in ((listener.service, listener.address) for listener in stack.listeners)
            if (queue := queues.read(address))
        )
        return ReadBack(applied, listeners, settled.processes, greeting(stack.entry))


def unaccepted(address: Address) -> int:
    """Our own count of what is in an accept queue."""
    if isinstance(address, UnixAddress):
        return unix_rows(address).unaccepted
    return sum(row.unaccepted for row in rows_at(address))


def greeting(entry: TcpAddress) -> dict[str, str]:
    """Who answers `GET /`: its Python, and the header `server`; what it does not say is left out."""
    connection = http.client.HTTPConnection(*entry.pair, timeout=GREETING_S)
    said = {}
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/", headers={"Connection": "close"})
        response = connection.getresponse()
        if server := response.getheader("server"):
            said["server"] = server
        with contextlib.suppress(ValueError, KeyError, TypeError):
            said["python"] = str(json.loads(response.read())["python"])
    return said
