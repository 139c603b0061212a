"""Accept queues and their bounds, from sock_diag (netlink): the Recv-Q and Send-Q of `ss -l`, unix sockets too."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from topolab.instrument.addresses import Address, TcpAddress, UnixAddress

_LISTENING = 1 << 10  # TCP_LISTEN in include/net/tcp_states.h; unix sockets use the same number
_SHOW = 0x01 | 0x10  # UDIAG_SHOW_NAME | UDIAG_SHOW_RQLEN in include/uapi/linux/unix_diag.h


@dataclass(frozen=True, slots=True)
class Queue:
    """The accept queue of an address; of several listeners there (SO_REUSEPORT, or a `*` in a name), the sums."""

    recv_q: int
    send_q: int
    has_room: bool  # each of its listeners would take one more: the kernel refuses at recv_q > send_q


class Queues:
    """Reads accept queues. A context manager: it holds a netlink socket."""

    _diag: Any  # pyroute2 has no types

    def __enter__(self) -> Self:
        # Imported here because it takes 0.3 s and 25 MB: the clients are opening meanwhile, and only the
        # coordinator carries it.
        from pyroute2 import DiagSocket

        self._diag = DiagSocket()
        self._diag.bind()
        return self

    def read(self, address: Address) -> Queue | None:
        """None where nobody listens."""
        found = list(self._tcp(address) if isinstance(address, TcpAddress) else self._unix(address))
        if not found:
            return None
        received, bounds = zip(*found, strict=True)
        return Queue(sum(received), sum(bounds), all(queued <= bound for queued, bound in found))

    def _tcp(self, address: TcpAddress) -> Iterator[tuple[int, int]]:
        for listener in self._diag.get_sock_stats(family=socket.AF_INET, states=_LISTENING, sport=address.port):
            if listener["idiag_sport"] == address.port and listener["idiag_src"] in (address.host, "0.0.0.0"):
                yield listener["idiag_rqueue"], listener["idiag_wqueue"]

    def _unix(self, address: UnixAddress) -> Iterator[tuple[int, int]]:
        for listener in self._diag.get_sock_stats(family=socket.AF_UNIX, states=_LISTENING, show=_SHOW):
            if address.matches(listener.get_attr("UNIX_DIAG_NAME") or ""):
                queue = listener.get_attr("UNIX_DIAG_RQLEN")
                yield queue["udiag_rqueue"], queue["udiag_wqueue"]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._diag.close()
