"""Many requests at moments of their own, each on a connection of its own, and each whole answer with its times."""

from __future__ import annotations

import itertools
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from topolab.instrument import wire
from topolab.instrument.addresses import TcpAddress
from topolab.instrument.board import PENDING, Fate
from topolab.instrument.processes import Team, require_opened

TICK_S = 0.05
AT_ONCE = 256  # openings between two looks at the answers


@dataclass(slots=True)
class Due:
    """A request, and when it is due: nanoseconds after the start."""

    path: str
    after_ns: int = 0


@dataclass(slots=True)
class Answer:
    """What became of a request. Times are CLOCK_MONOTONIC in ns, 0 for what never came."""

    due_ns: int
    opened_ns: int = 0
    connected_ns: int = 0
    ended_ns: int = 0
    fate: Fate = Fate.NOT_YET
    status: int = 0
    body: bytes = b""

    @property
    def pending(self) -> bool:
        """Whether it had no end by the deadline."""
        return self.fate in PENDING


def exchange(
    entry: TcpAddress,
    dues: Sequence[Due],
    team: Team,
    *,
    deadline_s: float,
    on_done: Callable[[int, int], None] = lambda _done, _of: None,
) -> list[Answer]:
    """Sends them all, the answers in the order of the requests.

    Whatever has no end `deadline_s` after the last was due stays CONNECTING or SENT. `Stopped` when told to stop,
    `LabError` where some could not be opened.
    """
    order = sorted(range(len(dues)), key=lambda index: dues[index].after_ns)
    start_ns = time.monotonic_ns()
    answers = [Answer(start_ns + due.after_ns) for due in dues]
    deadline_ns = max((answer.due_ns for answer in answers), default=start_ns) + int(deadline_s * 1e9)
    received: dict[int, bytes] = {}
    opened, ended = 0, 0
    with selectors.DefaultSelector() as selector:
        try:
            while ended < len(dues) and (now := time.monotonic_ns()) < deadline_ns:
                for _ in range(AT_ONCE):
                    if opened == len(order) or answers[order[opened]].due_ns > now:
                        break
                    if not _open(entry, order[opened], answers, selector):
                        require_opened(opened, len(dues))
                    opened += 1
                until_next = answers[order[opened]].due_ns - now if opened < len(order) else int(TICK_S * 1e9)
                for key, _ in selector.select(timeout=min(max(until_next, 0) / 1e9, TICK_S)):
                    index: int = key.data
                    if _follow(key, answers[index], wire.request(dues[index].path, str(entry)), received, selector):
                        ended += 1
                on_done(ended, len(dues))
                team.pause(0)
        finally:
            for key in list(selector.get_map().values()):
                _hang_up(key.fileobj)
    return answers


def most_at_once(spans: Iterable[tuple[int, int]]) -> int:
    """Of spans of time, the most that overlap."""
    changes = sorted(change for began, ended in spans for change in ((began, 1), (ended, -1)))
    return max(itertools.accumulate((change for _moment, change in changes), initial=0))


def _open(entry: TcpAddress, index: int, answers: Sequence[Answer], selector: selectors.BaseSelector) -> bool:
    answer = answers[index]
    answer.opened_ns = time.monotonic_ns()
    try:
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError:  # out of descriptors
        answer.fate = Fate.NOT_OPENED
        return False
    answer.fate = Fate.CONNECTING
    connection.connect_ex(entry.pair)
    selector.register(connection, selectors.EVENT_WRITE, index)
    return True


def _follow(
    key: selectors.SelectorKey,
    answer: Answer,
    request: bytes,
    received: dict[int, bytes],
    selector: selectors.BaseSelector,
) -> bool:
    """One step of one connection; whether it has come to its end."""
    connection = key.fileobj
    assert isinstance(connection, socket.socket)
    now = time.monotonic_ns()
    try:
        if key.events == selectors.EVENT_WRITE:
            connection.send(request)
            answer.connected_ns, answer.fate = now, Fate.SENT
            selector.modify(connection, selectors.EVENT_READ, key.data)
            return False
        data = connection.recv(65536)
        fate = None
    except ConnectionRefusedError:
        data, fate = b"", Fate.REFUSED
    except ConnectionResetError:
        data, fate = b"", Fate.RESET
    except TimeoutError:
        data, fate = b"", Fate.TIMED_OUT
    except OSError:
        data, fate = b"", Fate.CLOSED
    whole = received.get(key.fd, b"") + data
    received[key.fd] = whole
    fate = fate or wire.outcome(whole, closed=not data)
    if fate is None:
        return False
    answer.ended_ns, answer.fate, answer.status = now, fate, wire.status(whole)
    answer.body = whole.partition(wire.BODY)[2]
    del received[key.fd]
    selector.unregister(connection)
    connection.close()
    return True


def _hang_up(connection: object) -> None:
    assert isinstance(connection, socket.socket)
    connection.close()
