"""The server's side of every connection, as the kernel lists it: `/proc/net/tcp` and `/proc/net/unix`.

One text each, cheap enough at 60,000 sockets, where decoding as many netlink messages is not; and any user of the
network namespace may read it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from topolab.instrument.addresses import UnixAddress


class TcpState(IntEnum):
    """include/net/tcp_states.h"""

    ESTABLISHED = 1
    SYN_SENT = 2
    SYN_RECV = 3
    FIN_WAIT1 = 4
    FIN_WAIT2 = 5
    TIME_WAIT = 6
    CLOSE = 7
    CLOSE_WAIT = 8
    LAST_ACK = 9
    LISTEN = 10
    CLOSING = 11


class TcpRow(NamedTuple):
    """A TCP socket. Addresses as `TcpAddress.row_key` writes them."""

    local: bytes
    remote: bytes
    state: int
    owned: bool  # a process has it; a connection that nobody accepted yet has no inode

    @property
    def unaccepted(self) -> bool:
        """In its listener's accept queue; also if the client has hung up since (CLOSE_WAIT)."""
        return not self.owned and self.state in (TcpState.ESTABLISHED, TcpState.CLOSE_WAIT)


_TCP_ROW = re.compile(
    rb"^ *\d+: (?P<local>[0-9A-F]{8}:[0-9A-F]{4}) (?P<remote>[0-9A-F]{8}:[0-9A-F]{4}) (?P<state>[0-9A-F]{2})"
    rb" \S+ \S+ \S+ +\d+ +\d+ (?P<inode>\d+)"
)


def tcp_rows(ports: Collection[int]) -> Iterator[TcpRow]:
    """All TCP sockets of this network namespace with one of these ports on either side, listeners left out."""
    wanted = {b"%04X" % port for port in ports}
    with Path("/proc/net/tcp").open("rb", buffering=1 << 16) as lines:
        for line in lines:
            row = _TCP_ROW.match(line)
            if row and (row["local"][9:] in wanted or row["remote"][9:] in wanted):
                state = int(row["state"], 16)
                if state != TcpState.LISTEN:
                    yield TcpRow(row["local"], row["remote"], state, row["inode"] != b"0")


class UnixRows(NamedTuple):
    """The server's ends of the connections to a unix socket."""

    accepted: int
    unaccepted: int


def unix_rows(address: UnixAddress) -> UnixRows:
    """Counts `/proc/net/unix`: state 3 is connected, 2 is connected but not accepted by anybody yet."""
    accepted = unaccepted = 0
    path = address.path.encode()
    with Path("/proc/net/unix").open("rb", buffering=1 << 16) as lines:
        for line in lines:
            fields = line.rstrip(b"\n").split(None, 7)
            if len(fields) == 8 and fields[7] == path and fields[4] == b"0001":
                accepted += fields[5] == b"03"
                unaccepted += fields[5] == b"02"
    return UnixRows(accepted, unaccepted)
