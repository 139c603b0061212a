"""The load generator: one thread, a timerfd for what is due, answers compared byte by byte with the last good one.

Requests are prebuilt bytes, one under way on each connection. Only answers that differ are looked into (answers.py),
and while a lap runs nothing is kept but three times of each request (tally.py).
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable

from topolab.instrument.addresses import TcpAddress
from topolab.instrument.answers import Heads, Partial
from topolab.instrument.board import Fate
from topolab.instrument.connections import BUSY, IDLE, PARTIAL, UNSENT, Connections, fate_of
from topolab.instrument.processes import Orders
from topolab.instrument.span import Span
from topolab.instrument.tally import GOOD, Tally
from topolab.instrument.timer import Timer
from topolab.loads import Offered

LEAD_NS = 10_000_000  # from the decision to begin to the first request
LOOK_NS = 20_000_000  # how often time-outs are looked for, at most
LOOKS = 50  # looks in the time that a request may take
AT_ONCE = 64  # events, and sends, between two looks at the other
BUFFER_BYTES, READ_BYTES = 1 << 18, 1 << 13  # of the rest of a long answer, and of its beginning
MOST_DESCRIPTORS = 1 << 16
NEVER = 1 << 62
READABLE = int(select.EPOLLIN)
HUNG_UP = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR


class Generator:
    """One lap: sends, receives, gives up. Of which request is sent when, the two loops know (loops.py).

    All send `request`, and `warmup` until the count begins. The lap is broken off when the orders end.
    """

    def __init__(
        self,
        offered: Offered,
        target: TcpAddress,
        request: bytes,
        *,
        warmup: bytes | None = None,
        descriptors: int,
        orders: Orders | None = None,
    ) -> None:
        self.tally = Tally()
        self.span = Span(0, 0, 0)
        self._keepalive = offered.keepalive
        self._offered = offered
        self._request = request
        self._orders = orders
        self._stopped = self._done = False
        self._again_until = 0  # until then, who is answered asks again at once on the same connection
        self._timeout_ns = int(offered.timeout_s * 1e9)
        self._look_every_ns = max(LOOK_NS, self._timeout_ns // LOOKS)
        self._epoll = select.epoll()
        self._timer = Timer()
        self._connections = Connections(target, warmup or request, self._epoll, min(descriptors, MOST_DESCRIPTORS))
        self._heads = Heads()
        self._buffer = bytearray(BUFFER_BYTES)
        self._partial: dict[int, Partial] = {}  # by descriptor

    def run(self, on_begin: Callable[[Span], None]) -> bool:
        """The lap, from its first request to the end of its last; false where it was broken off."""
        with self._epoll, contextlib.closing(self._timer):
            self._epoll.register(self._timer, select.EPOLLIN | select.EPOLLET)  # so that it need not be read
            if self._orders:
                self._epoll.register(self._orders, select.EPOLLIN)
            self.span = Span.of(self._offered, time.monotonic_ns() + LEAD_NS)
            self._marks = [self.span.to_ns, self.span.from_ns]
            self._seen = (0, 0)
            self._look_ns = self._wake_ns = min(self.span.from_ns, self.span.begin_ns + self._look_every_ns)
            self._timer.once(self.span.begin_ns)
            self._begin()
            on_begin(self.span)
            try:
                self._loop()
            finally:
                self._connections.close_all()
        return not self._stopped

    # What the two loops fill in.

    def _begin(self) -> None:
        """The span is known."""

    def _free(self, fd: int, now: int) -> None:
        """A request was answered, and its connection is kept."""
        raise NotImplementedError

    def _gone(self, now: int) -> None:
        """A request was answered, and its connection is not kept."""

    def _unanswered(self, now: int, fate: Fate) -> None:
        """A request came to its end without an answer."""

    def _not_opened(self, due: int) -> None:
        """There is no descriptor or port for this request's connection."""
        raise NotImplementedError

    def _ask(self, now: int) -> int:
        """Sends what is to be sent; by when it has to be called again at the latest."""
        raise NotImplementedError

    def _give_up(self, due: int) -> None:
        """What was due before that and has not been sent is given up."""

    def _exhausted(self) -> bool:
        """Whether nothing will be sent any more."""
        raise NotImplementedError

    def _loop(self) -> None:
        # Long and flat on purpose: this runs once for each request, and a call or an attribute more costs a percent of
        # the rate. What is not the rule is in the methods below.
        poll, clock, read, write = self._epoll.poll, time.monotonic_ns, os.read, os.write
        connections, tally, buffer = self._connections, self.tally, self._buffer
        state, due, sent = connections.state, connections.due, connections.sent
        add_due, add_sent, add_ended = tally.due.append, tally.sent.append, tally.ended.append
        whole = self._heads.whole
        again_until = self._again_until
        last: bytes | None = None
        last_keeps = False
        request, request_size, patience_s, now = connections.request, len(connections.request), 0.0, 0
        while not self._done:
            events = poll(patience_s, AT_ONCE)
            for fd, event in events:
                if state[fd] != BUSY:
                    self._attend(fd, event)
                    continue
                try:
                    answer = read(fd, READ_BYTES)  # quicker than the socket's own recv_into
                except OSError as error:
                    self._broken(fd, error)
                    continue
                now = clock()
                if answer != last:
                    size = len(answer)
                    buffer[:size] = answer
                    head = whole(buffer, size)
                    if head is None or head.status != GOOD:
                        self._take(fd, size, event)
                        continue
                    last, last_keeps = answer, head.keeps
                add_due(due[fd])
                add_sent(sent[fd])
                add_ended(now)
                if event == READABLE and last_keeps and now < again_until:
                    due[fd] = sent[fd] = now
                    try:
                        taken = write(fd, request)  # quicker than the socket's own send
                    except OSError:
                        taken = -1
                    if taken != request_size:
                        self._not_sent(fd, taken)
                else:
                    self._answered(fd, now, event, kept=last_keeps)
            if events and now < again_until and now < self._wake_ns:
                continue  # it runs by itself
            patience_s = self._between(clock())
            request = connections.request
            request_size = len(request)

    def _attend(self, fd: int, event: int) -> None:
        """Something happened where no first bytes of an answer are waited for."""
        state = self._connections.state[fd]
        if state == PARTIAL and self._partial[fd].left > 0:
            self._finish(fd, event)
        elif state == PARTIAL or (state == UNSENT and self._connections.sent[fd] and event & select.EPOLLIN):
            self._read(fd, event)  # also an answer that came before the server had taken the whole request
        elif state == UNSENT:
            try:
                self._connections.send_rest(fd, time.monotonic_ns())
            except OSError as error:
                self._failed(fd, fate_of(error))
        elif state == IDLE:  # the server has closed it
            self._connections.close(fd, time.monotonic_ns(), hard=bool(event & HUNG_UP))
        elif self._orders and fd == self._orders.fileno():
            self._stopped = self._done = True

    def _finish(self, fd: int, event: int) -> None:
        """The same as `_read`, quicker, where it is known how much is to come: many servers send head and body apart,
        and some wait then until their client has hung up.
        """
        part = self._partial[fd]
        try:
            size = self._connections.receive[fd](self._buffer)
        except OSError as error:
            self._broken(fd, error)
            return
        if size != part.left:
            self._take(fd, size, event)
            return
        now = time.monotonic_ns()
        del self._partial[fd]
        assert part.head
        self._note(fd, now, part.head.status)
        self._answered(fd, now, event, kept=part.head.keeps)

    def _read(self, fd: int, event: int) -> None:
        try:
            size = self._connections.receive[fd](self._buffer)
        except OSError as error:
            self._broken(fd, error)
        else:
            self._take(fd, size, event)

    def _take(self, fd: int, size: int, event: int) -> None:
        """What came of an answer that is not the last one again: not whole yet, say, or no good one."""
        part = self._partial.pop(fd, None) or Partial(self._heads)
        try:
            while size:
                if part.feed(self._buffer, size):
                    assert part.head
                    kept = part.head.keeps and not part.surplus
                    self._note(fd, now := time.monotonic_ns(), part.head.status)
                    self._answered(fd, now, event, kept=kept)
                    return
                if size < READ_BYTES and not event & HUNG_UP:
                    break  # epoll tells when there is more
                size = self._connections.receive[fd](self._buffer)
        except BlockingIOError:
            pass
        except ValueError:  # no HTTP: as good as nothing
            self._failed(fd, Fate.CLOSED)
            return
        except OSError as error:
            self._failed(fd, fate_of(error))
            return
        if size:
            self._connections.state[fd] = PARTIAL
            self._partial[fd] = part
        elif part.closed():
            assert part.head
            self._note(fd, now := time.monotonic_ns(), part.head.status)
            self._answered(fd, now, HUNG_UP, kept=False)
        elif part.untouched and self._connections.was_closed_before(fd):
            self._reopen(fd)
        else:
            self._failed(fd, Fate.CLOSED)

    def _note(self, fd: int, now: int, status: int) -> None:
        due, sent = self._connections.due[fd], self._connections.sent[fd]
        if status == GOOD:
            self.tally.due.append(due)
            self.tally.sent.append(sent)
            self.tally.ended.append(now)
        else:
            self.tally.others.append((due, sent, now, Fate.ERROR if status >= 400 else Fate.ANSWERED, status))

    def _answered(self, fd: int, now: int, event: int, *, kept: bool) -> None:
        """Its request has been answered. `kept`: the answer says that the connection is.

        A connection that is not kept is hung up on at once, as browsers and proxies do: a server that waits for its
        client to do so (gunicorn's sync worker) would wait for the instrument.
        """
        hung_up = bool(event & HUNG_UP)
        if kept and self._keepalive and not hung_up:
            self._free(fd, now)
        else:
            self._connections.close(fd, now, hard=hung_up)
            self._gone(now)

    def _ask_by(self, fd: int, due: int, now: int) -> None:
        """Sends a request on a kept connection."""
        if not self._connections.ask(fd, due, now):
            self._reopen(fd)

    def _not_sent(self, fd: int, taken: int) -> None:
        """A kept connection took only a part of the request, or none (-1): the server closed it after its answer."""
        if taken < 0:
            self._reopen(fd)
        else:
            self._connections.rest(fd, taken)

    def _reopen(self, fd: int) -> None:
        """The server closed a kept connection between two requests, which is its right: the second goes by another."""
        due = self._connections.due[fd]
        self._connections.close(fd, time.monotonic_ns())
        self._ask_anew(due)

    def _ask_anew(self, due: int) -> None:
        """Sends a request on a new connection."""
        fate = self._connections.ask_anew(due)
        if fate == Fate.NOT_OPENED:
            self._not_opened(due)
        elif fate not in (Fate.SENT, Fate.CONNECTING):
            now = time.monotonic_ns()
            self.tally.others.append((due, 0, now, fate, 0))
            self._unanswered(now, fate)

    def _broken(self, fd: int, error: OSError) -> None:
        if not isinstance(error, BlockingIOError):
            self._failed(fd, fate_of(error))

    def _failed(self, fd: int, fate: Fate) -> None:
        """Its request ended without an answer."""
        now = time.monotonic_ns()
        self.tally.others.append((self._connections.due[fd], self._connections.sent[fd], now, fate, 0))
        self._partial.pop(fd, None)
        self._connections.close(fd, now)
        self._unanswered(now, fate)

    def _between(self, now: int) -> float:
        """What is due between two looks at the connections; for how many seconds the next may wait."""
        if now >= self._look_ns:
            self._look(now)
        self._wake_ns = self._look_ns
        self._wake_ns = min(self._wake_ns, self._ask(now))
        if now >= self.span.to_ns and len(self._connections.open) == len(self._connections.idle):
            self._done = self._done or self._exhausted()
        return max(0.0, (self._wake_ns - now) / 1e9)

    def _look(self, now: int) -> None:
        """Notes where the counted time begins and ends; gives up what takes too long."""
        connections = self._connections
        while self._marks and now >= self._marks[-1]:
            self._marks.pop()
            seen = connections.opened, connections.held_ns(now)
            self.tally.opened, self.tally.held_ns = seen[0] - self._seen[0], seen[1] - self._seen[1]
            self._seen = seen
            connections.request = self._request  # from the first mark on
        too_late = now - self._timeout_ns
        for fd in [fd for fd in connections.open if connections.due[fd] < too_late and fd not in connections.idle]:
            self._failed(fd, Fate.TIMED_OUT)
        self._give_up(too_late)
        self._look_ns = now + self._look_every_ns
        if self._marks:
            self._look_ns = min(self._look_ns, self._marks[-1])
