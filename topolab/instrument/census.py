"""The census: where each of the N requests is, from sources that don't know of each other.

Handlers are counted at the gate, clients by their own fate, and what lies between by the server's side of each
connection; `waiting` is what of that is in no handler. Nothing is inferred from N, so that a ledger which does not
balance says so.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from topolab.instrument.addresses import Address, Listener, TcpAddress, UnixAddress
from topolab.instrument.board import Board, Fate
from topolab.instrument.clients import source_address
from topolab.instrument.queues import Queue
from topolab.instrument.sockets import TcpRow, TcpState, tcp_rows, unix_rows
from topolab.instrument.stack import Stack
from topolab.ledger import Ledger, Spot
from topolab.results import ListenerQueue


@dataclass(frozen=True, slots=True)
class Census:
    """The ledger, the queues behind it, and what the rest of the experiment needs to know."""

    ledger: Ledger
    listeners: tuple[ListenerQueue, ...]
    entry: Entry
    connecting: Mapping[Listener, int]  # the front's own handshakes that an app has not answered
    calling: int  # views on their way to the gate: they run, and nobody has counted them
    undelivered: int  # requests that have not arrived yet although their connection stands
    strangers: int  # calls of the gate, so far, for requests that are not ours


@dataclass(frozen=True, slots=True)
class Entry:
    """Which requests' connections stand how at the service that the clients go to."""

    accepted: tuple[int, ...]
    queued: tuple[int, ...]
    closing: tuple[int, ...]  # the server has closed it and the client has not noticed: no rest yet
    unanswered: tuple[int, ...]  # nobody answered the handshake


@dataclass(frozen=True, slots=True)
class Upstream:
    """The front's connections to one app, from both ends."""

    opened: int  # by the front, in whatever state
    connecting: int  # those of them without an answer
    accepted: int  # by the app
    queued: int  # at the app
    undelivered: int


def take(board: Board, stack: Stack, queues: Mapping[Listener, Queue | None]) -> Census:
    """Places all requests. `queues` was read just before."""
    fates = board.fates()
    handlers = board.handlers()
    calling = calls_under_way(board, stack.gate)
    arrivals = rows_at(stack.entry)
    entry = at_entry(board, arrivals)
    unaccepted = {stack.listeners[-1]: sum(row.unaccepted for row in arrivals)}
    undelivered = count_undelivered(rows_towards(stack.entry), arrivals)
    connecting: dict[Listener, int] = {}
    counts: dict[Spot, int] = {
        ("app", "handler"): handlers,
        ("client", "unanswered"): len(entry.unanswered) + fates[Fate.TIMED_OUT],
        ("client", "refused"): fates[Fate.REFUSED],
        ("client", "reset"): fates[Fate.RESET] + fates[Fate.CLOSED],
        ("client", "error"): fates[Fate.ERROR],
        ("client", "answered"): fates[Fate.ANSWERED],
    }
    # `waiting` is a difference: what a server has accepted, less the views that run. Those that still call the gate
    # are at no place, so that the sum is below N. A difference below zero (more goes on behind a place than came
    # through it) counts as none, so that the sum exceeds N.
    if stack.front:
        upstream = {listener: between(listener.address) for listener in stack.listeners if listener.service == "app"}
        unaccepted |= {listener: link.queued for listener, link in upstream.items()}
        connecting = {listener: link.connecting for listener, link in upstream.items()}
        undelivered += sum(link.undelivered for link in upstream.values())
        counts["app", "waiting"] = max(0, sum(link.accepted for link in upstream.values()) - handlers - calling)
        counts["app", "accept_queue"] = sum(link.queued for link in upstream.values())
        counts["front", "connecting"] = sum(connecting.values())
        counts["front", "waiting"] = max(0, len(entry.accepted) - sum(link.opened for link in upstream.values()))
        counts["front", "accept_queue"] = len(entry.queued)
    else:
        counts["app", "waiting"] = max(0, len(entry.accepted) - handlers - calling)
        counts["app", "accept_queue"] = len(entry.queued)
    return Census(
        ledger=Ledger.of(counts),
        listeners=tuple(
            ListenerQueue(listener.service, str(listener.address), queue.recv_q, queue.send_q, unaccepted[listener])
            for listener in stack.listeners
            if (queue := queues[listener])
        ),
        entry=entry,
        connecting=connecting,
        calling=calling,
        undelivered=undelivered,
        strangers=sum(board.strangers),
    )


def calls_under_way(board: Board, gate: TcpAddress) -> int:
    """Calls that the gate has not read: without an answered handshake, in its accept queue, or without a word yet."""
    taken = {row.remote for row in rows_at(gate) if row.owned}
    return sum(call.local not in taken for call in rows_towards(gate)) + sum(board.unread)


def rows_at(address: TcpAddress) -> list[TcpRow]:
    """The connections to this address, whoever opened them."""
    return [row for row in tcp_rows(local_port=address.port) if row.local == address.key]


def rows_towards(address: TcpAddress) -> list[TcpRow]:
    """The other ends of these connections, whether anybody has answered them or not."""
    return [row for row in tcp_rows(remote_port=address.port) if row.remote == address.key]


def count_undelivered(departures: Iterable[TcpRow], arrivals: Iterable[TcpRow]) -> int:
    """What was sent on connections that stand, and the receiving kernel dropped: it comes again after 0.2 to 25 s."""
    standing = {row.remote for row in arrivals if row.state != TcpState.SYN_RECV}
    return sum(row.unacknowledged and row.local in standing for row in departures)


def at_entry(board: Board, arrivals: Iterable[TcpRow]) -> Entry:
    """Looks every client that still waits up on the server's side."""
    twins = {row.remote: row for row in arrivals}
    addresses = [socket.inet_aton(source_address(index)) for index in range(board.client_processes)]
    accepted, queued, closing, unanswered = [], [], [], []
    for request in board.pending():
        twin = twins.get(addresses[request % len(addresses)] + board.port[request].to_bytes(2, "big"))
        if twin is None or twin.state == TcpState.SYN_RECV:
            unanswered.append(request)
        elif twin.owned:
            accepted.append(request)
        elif twin.unaccepted:
            queued.append(request)
        else:
            closing.append(request)
    return Entry(tuple(accepted), tuple(queued), tuple(closing), tuple(unanswered))


def between(app: Address) -> Upstream:
    """Looks every connection of a front to its app up on both sides."""
    if isinstance(app, UnixAddress):  # a connect to a unix socket is answered at once or refused at once
        accepted, queued = unix_rows(app)
        return Upstream(opened=accepted + queued, connecting=0, accepted=accepted, queued=queued, undelivered=0)
    departures = rows_towards(app)
    opened = [row.local for row in departures]
    twins = {row.remote: row for row in rows_at(app)}
    return Upstream(
        opened=len(opened),
        connecting=sum(local not in twins or twins[local].state == TcpState.SYN_RECV for local in opened),
        accepted=sum(row.owned for row in twins.values()),
        queued=sum(row.unaccepted for row in twins.values()),
        undelivered=count_undelivered(departures, twins.values()),
    )
