"""Accept queues and their bounds: the Recv-Q and Send-Q of `ss -l`, unix sockets too."""

from __future__ import annotations

from dataclasses import dataclass

from topolab.instrument.addresses import Address, TcpAddress
from topolab.instrument.sockets import tcp_backlogs, unix_backlogs


@dataclass(frozen=True, slots=True)
class Queue:
    """The accept queue of an address; of several listeners there (SO_REUSEPORT, or a `*` in a name), the sums."""

    recv_q: int
    send_q: int
    has_room: bool  # each of its listeners would take one more: the kernel refuses at recv_q > send_q


def read(address: Address) -> Queue | None:
    """None where nobody listens."""
    found = tcp_backlogs(address) if isinstance(address, TcpAddress) else unix_backlogs(address)
    if not found:
        return None
    return Queue(
        recv_q=sum(each.queued for each in found),
        send_q=sum(each.bound for each in found),
        has_room=all(each.queued <= each.bound for each in found),
    )
