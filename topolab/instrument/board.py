"""The board: memory that the instrument's processes share. Each cell has one writer, so it needs no lock.

The clients and the gate write what they see; the coordinator reads it whenever it likes, without a message.
"""

from __future__ import annotations

import mmap
from collections import Counter
from enum import IntEnum


class Fate(IntEnum):
    """What a client knows of its request. Up to `SENT` it can still change."""

    NOT_YET = 0  # not opened yet
    CONNECTING = 1  # the handshake is unanswered as far as the client can tell
    SENT = 2  # the kernel took the request; that says nothing about the server
    REFUSED = 3
    RESET = 4  # ended by RST, without a whole answer
    ERROR = 5  # status 400 or more
    ANSWERED = 6
    TIMED_OUT = 7  # the kernel gave the handshake up
    LEFT = 8  # told to leave, at the release
    NOT_OPENED = 9  # this machine has no descriptor or port left for it
    CLOSED = 10  # ended by FIN, without a whole answer


PENDING = (Fate.CONNECTING, Fate.SENT)
ENDED = (Fate.REFUSED, Fate.RESET, Fate.CLOSED, Fate.ERROR, Fate.ANSWERED, Fate.TIMED_OUT)


class Board:
    """One cell per request and field, and one per gate process and counter. Times are CLOCK_MONOTONIC, in ns."""

    def __init__(self, requests: int, *, gates: int = 1, client_processes: int = 1) -> None:
        self.requests = requests
        self.client_processes = client_processes  # request i belongs to process i % client_processes
        self._memory = memoryview(mmap.mmap(-1, requests * 26 + gates * 48 + 8))
        self._used = 0
        # by the coordinator, before it gives the order to open
        self.start_ns = self._take("q", 1)
        # by the client
        self.opened_ns = self._take("q", requests)
        self.ended_ns = self._take("q", requests)
        # by each gate process
        self.held = self._take("q", gates)  # handlers of our requests that are blocked at it now
        self.arrived = self._take("q", gates)  # handlers that ever called it
        self.departed = self._take("q", gates)  # handlers that hung up, whether let go or not
        self.unread = self._take("q", gates)  # callers that it took and that have not said their line yet
        self.strangers = self._take("q", gates)  # handlers that gave an id which is none of ours
        self.short = self._take("q", gates)  # 1: out of descriptors, it takes no more callers
        self.port = self._take("H", requests)  # by the client: its own port
        self.status = self._take("H", requests)  # by the client: of the answer; 0 without one
        self.fate = self._take("B", requests)  # by the client: a Fate
        self.leaving = self._take("B", requests)  # by the coordinator: 1 tells the client to leave
        self.asleep = self._take("B", requests)  # by a gate: 1 for a handler that announced itself and sleeps
        self.in_handler = self._take("B", requests)  # by a gate: 1 while a handler is blocked at it, or is asleep
        self.called = self._take("B", requests)  # by a gate: 1 once a handler has called it for this request
        self.let_go = self._take("B", requests)  # by a gate: 1 once that handler has been let go and has hung up

    def _take(self, code: str, count: int) -> memoryview[int]:
        size = {"q": 8, "H": 2, "B": 1}[code] * count
        # mypy knows `cast` by literal codes only
        cells = self._memory[self._used : self._used + size].cast(code)  # type: ignore[call-overload]
        self._used += size
        return cells  # type: ignore[no-any-return]

    def fates(self) -> Counter[Fate]:
        """How many clients have which fate."""
        cells = bytes(self.fate)
        return Counter({fate: count for fate in Fate if (count := cells.count(fate))})

    def pending(self) -> list[int]:
        """The requests that are opened and have no end yet."""
        return [request for request, fate in enumerate(bytes(self.fate)) if fate in PENDING]

    def ended(self) -> int:
        """How many requests have come to an end by themselves."""
        return sum(count for fate, count in self.fates().items() if fate in ENDED)

    def woken(self) -> bool:
        """Whether a handler that slept has ended: from now on, fewer and fewer are in one."""
        asleep = bytes(self.asleep)
        return 1 in asleep and (1, Fate.ANSWERED) in zip(asleep, bytes(self.fate), strict=True)

    def handlers(self) -> int:
        """Handlers that run: blocked at the gate, or asleep for a client that still waits."""
        asleep = bytes(self.asleep)
        sleeping = sum(asleep[request] for request in self.pending()) if any(asleep) else 0
        return sum(self.held) + sleeping
