"""What the generator makes of every way in which a server can treat a request."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.instrument.servers import free_port
from tests.instrument.talkers import OK, Answer, Talker, never, resets, says
from topolab.instrument import work
from topolab.instrument.addresses import TcpAddress
from topolab.instrument.board import Fate
from topolab.instrument.connections import SOURCES, Connections
from topolab.instrument.generator import Generator
from topolab.instrument.loops import LOOPS
from topolab.instrument.tally import Tally
from topolab.loads import Offered, Work

S = 1_000_000_000
CLOSED: dict[str, Any] = {"loop": "closed", "seconds": 0.3, "connections": 4}
OPEN: dict[str, Any] = {"loop": "open", "seconds": 0.3, "rate": 200.0}


def lap(address: TcpAddress, work_: Work | None = None, **more: Any) -> Generator:
    """One lap to its end."""
    offered = Offered(**{"work": work_ or Work(), "timeout_s": 5.0, **more})
    request = work.request(offered.work, 0, str(address), keepalive=offered.keepalive)
    generator = LOOPS[offered.loop](offered, address, request, descriptors=1024)
    assert generator.run(lambda _: None)
    return generator


def fates(tally: Tally) -> Counter[tuple[Fate, int]]:
    """How many requests came to which end, with which status."""
    found = Counter((row[3], row[4]) for row in tally.others)
    return found + Counter({(Fate.ANSWERED, 200): len(tally.due)})


@pytest.mark.parametrize("loop", [CLOSED, OPEN])
def test_kept_connections(loop: dict[str, Any]) -> None:
    """Where the server keeps connections, they are used again, by one request at a time."""
    with Talker(says(OK)) as server:
        tally = lap(server.address, **loop).tally
    assert set(fates(tally)) == {(Fate.ANSWERED, 200)}
    assert len(tally.due) == len(server.requests) >= 50
    assert server.opened == tally.opened <= 8
    assert server.pipelined == 0


@pytest.mark.parametrize(
    "answer",
    [
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", keeps=False),
        says(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", keeps=False),
        says(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", keeps=False),
    ],
)
@pytest.mark.parametrize("loop", [CLOSED, OPEN])
def test_connections_that_are_not_kept(loop: dict[str, Any], answer: Answer) -> None:
    """A server that closes after each answer, and says so, costs a connection for each request and is no error."""
    with Talker(answer) as server:
        tally = lap(server.address, **loop).tally
    assert set(fates(tally)) == {(Fate.ANSWERED, 200)}
    assert server.opened == len(server.requests) == len(tally.due) >= 50
    assert tally.opened >= len(tally.due) - 4


@pytest.mark.parametrize("loop", [CLOSED, OPEN])
def test_a_connection_for_each_request(loop: dict[str, Any]) -> None:
    """Without keep-alive each request asks for its connection to be closed, and has one of its own."""
    with Talker(says(OK)) as server:
        tally = lap(server.address, keepalive=False, **loop).tally
    assert set(fates(tally)) == {(Fate.ANSWERED, 200)}
    assert server.opened == len(server.requests) == len(tally.due) >= 50
    assert all(b"\r\nConnection: close\r\n" in request for request in server.requests)


def test_connections_that_are_closed_between_requests() -> None:
    """A server that closes idle connections without a word is reconnected to; that is no error."""

    def answer(connection: socket.socket, _number: int) -> bool:
        connection.sendall(OK)
        time.sleep(0.002)  # it was kept until here
        return False

    with Talker(answer) as server:
        tally = lap(server.address, loop="open", rate=20.0, seconds=0.5).tally
    assert fates(tally) == {(Fate.ANSWERED, 200): 10}
    assert server.opened == 10


@contextlib.contextmanager
def kept() -> Iterator[tuple[Connections, int, socket.socket]]:
    """A connection of ours that has had an answer, and the server's end of it."""
    with socket.create_server(("127.0.0.1", 0)) as listener, select.epoll() as epoll:
        connections = Connections(TcpAddress(*listener.getsockname()), b"GET / HTTP/1.1\r\n\r\n", epoll, 1024)
        assert connections.ask_anew(1) == Fate.SENT
        [fd] = connections.open
        server, _ = listener.accept()
        assert server.recv(100)
        server.sendall(OK)
        assert epoll.poll(5)
        assert connections.receive[fd](bytearray(1000)) == len(OK)
        connections.keep(fd)
        try:
            yield connections, fd, server
        finally:
            connections.close_all()


def ended(connections: Connections, fd: int) -> int | type[OSError]:
    """What is received at the connection's end."""
    buffer = bytearray(1000)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            return connections.receive[fd](buffer)
        except BlockingIOError:
            time.sleep(0.001)
        except OSError as error:
            return type(error)
    raise AssertionError("it has no end")


def test_a_close_that_was_before_our_request() -> None:
    """The server closed, and then our request came: the kernel knows, and the request may go by another connection."""
    with kept() as (connections, fd, server):
        server.close()
        assert connections.ask(fd, due=2, now=2)
        assert ended(connections, fd) == 0
        assert connections.was_closed_before(fd)


def test_a_close_that_was_after_our_request() -> None:
    """The server took our request and closed: that is an answer that it owes us."""
    with kept() as (connections, fd, server):
        assert connections.ask(fd, due=2, now=2)
        assert server.recv(100)
        server.close()
        assert ended(connections, fd) == 0
        assert not connections.was_closed_before(fd)


def test_a_close_with_our_request_unread() -> None:
    """The server closed without reading what its kernel had taken: the kernel resets, and so we say."""
    with kept() as (connections, fd, server):
        assert connections.ask(fd, due=2, now=2)
        assert select.select([server], [], [], 5)[0]
        server.close()
        assert ended(connections, fd) is ConnectionResetError


def test_a_close_on_the_first_request() -> None:
    """A first request that gets nothing is never sent again."""
    with socket.create_server(("127.0.0.1", 0)) as listener, select.epoll() as epoll:
        connections = Connections(TcpAddress(*listener.getsockname()), b"GET / HTTP/1.1\r\n\r\n", epoll, 1024)
        assert connections.ask_anew(1) == Fate.SENT
        [fd] = connections.open
        server, _ = listener.accept()
        server.shutdown(socket.SHUT_WR)
        assert ended(connections, fd) == 0
        assert not connections.was_closed_before(fd)
        connections.close_all()
        server.close()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (says(OK[:20], OK[20:]), (Fate.ANSWERED, 200)),
        (says(b"HTTP/1.1 204 No Content\r\n\r\n"), (Fate.ANSWERED, 204)),
        (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\nok\r\n", b"0\r\n\r\n"),
         (Fate.ANSWERED, 200)),
        (says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx"), (Fate.ERROR, 404)),
        (says(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", keeps=False),
         (Fate.ERROR, 503)),
        (resets, (Fate.RESET, 0)),
        (says(keeps=False), (Fate.CLOSED, 0)),
        (says(OK[:-1], keeps=False), (Fate.CLOSED, 0)),
        (says(b"220 mail.example.org\r\n\r\n"), (Fate.CLOSED, 0)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("loop", [CLOSED, OPEN])
def test_fates(loop: dict[str, Any], answer: Answer, expected: tuple[Fate, int]) -> None:
    """Each way to answer, or not to, is told from the others, by its status where there is one."""
    with Talker(answer) as server:
        tally = lap(server.address, **loop).tally
    assert set(fates(tally)) == {expected}
    assert sum(fates(tally).values()) == len(server.requests)


def test_answers_that_differ() -> None:
    """Answers of all kinds after one another are each what they are."""
    said = (OK, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")

    def answer(connection: socket.socket, number: int) -> bool:
        connection.sendall(said[number % 3])
        return True

    with Talker(answer) as server:
        tally = lap(server.address, loop="closed", seconds=0.3, connections=1).tally
    count = len(server.requests)
    assert fates(tally) == {(Fate.ANSWERED, 200): count - count // 3, (Fate.ERROR, 500): count // 3}


def test_nobody_listens() -> None:
    """Where nobody listens each request is refused, and a closed loop does not ask more often than it makes sense."""
    address = TcpAddress("127.0.0.1", free_port())
    opened = lap(address, **OPEN).tally
    assert fates(opened) == {(Fate.REFUSED, 0): 60}
    closed = lap(address, **CLOSED).tally
    assert set(fates(closed)) == {(Fate.REFUSED, 0)}
    assert 4 <= len(closed.others) <= 4 * 31


@pytest.mark.parametrize("loop", [CLOSED, OPEN])
def test_time_outs(loop: dict[str, Any]) -> None:
    """A request without an answer is given up after the time-out, also after the lap, and not before."""
    with Talker(never) as server:
        tally = lap(server.address, **{**loop, "timeout_s": 0.2}).tally
    assert set(fates(tally)) == {(Fate.TIMED_OUT, 0)}
    assert len(tally.others) == len(server.requests)
    waits = [ended - due for due, _sent, ended, _fate, _status in tally.others]
    assert min(waits) >= 0.2 * S
    if loop == OPEN:
        assert len(waits) == 60


def test_a_handshake_that_nobody_answers() -> None:
    """A connection that the kernel of the server drops is a request that was never sent, and times out."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)  # the kernel keeps one
        address = TcpAddress(*listener.getsockname())
        tally = lap(address, loop="closed", seconds=0.1, connections=5, timeout_s=0.3).tally
    assert {fate for fate, _ in fates(tally)} == {Fate.TIMED_OUT}
    unsent = [row for row in tally.others if not row[1]]
    assert 0 < len(unsent) < len(tally.others)


def stalling(seconds: float, at: int) -> Answer:
    """One thread for all, that is away once."""
    one = threading.Lock()

    def answer(connection: socket.socket, number: int) -> bool:
        with one:
            if number == at:
                time.sleep(seconds)
            connection.sendall(OK)
        return True

    return answer


def test_a_stall_is_seen_by_all_that_were_due_in_it() -> None:
    """In an open loop, all that were due while the server was away waited for it; in a closed loop, its few clients."""
    with Talker(stalling(0.5, at=50)) as server:
        tally = lap(server.address, loop="open", rate=200.0, seconds=1.0, connections=3).tally
    assert fates(tally) == {(Fate.ANSWERED, 200): 200}
    long = sum(ended - due > 0.1 * S for due, ended in zip(tally.due, tally.ended, strict=True))
    assert long >= 75  # 200/s for the first 0.4 s of it, but for how exactly it begins
    from_sent = sum(ended - sent > 0.1 * S for sent, ended in zip(tally.sent, tally.ended, strict=True))
    assert from_sent <= 3
    with Talker(stalling(0.5, at=50)) as server:
        tally = lap(server.address, loop="closed", connections=3, seconds=1.0).tally
    assert sum(ended - due > 0.1 * S for due, ended in zip(tally.due, tally.ended, strict=True)) <= 3


@pytest.mark.parametrize("keepalive", [True, False])
def test_a_cap_on_connections(keepalive: bool) -> None:
    """With a cap, what is due waits for a connection: never more are open, nothing is lost, and the wait counts."""

    def answer(connection: socket.socket, _number: int) -> bool:
        time.sleep(0.02)
        connection.sendall(OK)
        return True

    offered: dict[str, Any] = {"loop": "open", "rate": 200.0, "seconds": 0.3, "connections": 2, "keepalive": keepalive}
    with Talker(answer) as server:
        generator = lap(server.address, **offered)
    tally = generator.tally
    assert fates(tally) == {(Fate.ANSWERED, 200): 60}
    # Without keep-alive, one that is answered is closed by the server while the next is opened.
    assert server.most_open <= (2 if keepalive else 4)
    changes = sorted(itertools.chain(((at, 1) for at in tally.sent), ((at, -1) for at in tally.ended)))
    assert max(itertools.accumulate(change for _, change in changes)) == 2
    last = max(range(60), key=lambda row: tally.due[row])
    assert tally.ended[last] - tally.due[last] >= 0.2 * S  # 60 of them took 0.6 s, and it was due after 0.3 s
    assert tally.ended[last] - tally.sent[last] < 0.2 * S
    assert len(tally.lateness) < 60  # those that waited for a connection are no lateness of ours


def test_what_waits_for_a_connection_times_out_as_well() -> None:
    """Whoever is never sent for want of a connection is a time-out, counted from when it was due."""
    with Talker(never) as server:
        tally = lap(server.address, loop="open", rate=500.0, seconds=0.02, connections=1, timeout_s=0.3).tally
    assert fates(tally) == {(Fate.TIMED_OUT, 0): 10}
    assert sum(not sent for _due, sent, *_ in tally.others) > 0
    assert min(ended - due for due, _sent, ended, *_ in tally.others) >= 0.3 * S


def test_the_warm_up_is_not_counted() -> None:
    """What was due before the counted time is asked for under another name and is in none of the counts."""
    with Talker(says(OK)) as server:
        offered = Offered(Work("io"), "open", 0.2, rate=100.0, warmup_s=0.2)
        requests = [work.request(offered.work, number, str(server.address), keepalive=True) for number in (7, 8)]
        generator = LOOPS[offered.loop](offered, server.address, requests[0], warmup=requests[1], descriptors=1024)
        assert generator.run(lambda _: None)
    tally, span = generator.tally, generator.span
    assert len(tally.due) == 40
    counted = sum(span.from_ns <= due < span.to_ns for due in tally.due)
    assert counted == 20
    assert [request.split(b" ")[1] for request in server.requests] == [b"/io?id=8&ms=0"] * 20 + [b"/io?id=7&ms=0"] * 20
    assert tally.opened == 0  # the connection is of the warm-up
    assert len(tally.lateness) == 20


def test_clients_give_up_in_the_warm_up_as_well() -> None:
    """Nobody is held longer than the others, to be closed all at once at the moment when the count begins."""
    with Talker(never) as server:
        tally = lap(server.address, loop="open", rate=50.0, warmup_s=1.0, seconds=0.1, timeout_s=0.2).tally
    assert len(tally.others) == 55
    assert max(ended - due for due, _sent, ended, *_ in tally.others) < 0.5 * S


def test_clients_come_one_by_one() -> None:
    """In a warm-up the clients of a closed loop begin one after the other: at once, they overflow an accept queue."""
    with Talker(never) as server:
        ended = lap(server.address, loop="closed", connections=20, seconds=0.1, warmup_s=0.2, timeout_s=1.0)
    asked = sorted(due for due, *_ in ended.tally.others)
    assert len(asked) == 20
    assert all(due >= ended.span.begin_ns + client * S // 1000 for client, due in enumerate(asked))


def test_a_request_that_does_not_fit_into_the_kernel_at_once() -> None:
    """A large request goes out in pieces, to the last byte, and is answered."""

    def answer(connection: socket.socket, number: int) -> bool:
        body = server.requests[number].partition(b"\r\n\r\n")[2]
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return True

    with Talker(answer) as server:
        server.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        size = 3_000_000
        tally = lap(server.address, Work("json", size=size), loop="closed", connections=2, seconds=0.3).tally
    assert set(fates(tally)) == {(Fate.ANSWERED, 200)}
    assert {len(request.partition(b"\r\n\r\n")[2]) for request in server.requests} == {size}


def test_an_answer_before_the_request_is_out() -> None:
    """A server that refuses a large request without taking all of it is heard."""
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    heard = threading.Event()

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.recv(1000)
                connection.sendall(refusal)
                heard.wait(5)  # a close with the rest unread would be a reset, and might overtake the answer
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        address = TcpAddress(*listener.getsockname())
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        threading.Timer(0.3, heard.set).start()
        tally = lap(address, Work("json", size=4_000_000), loop="closed", connections=1, seconds=0.1).tally
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    assert tally.others[0][3:] == (Fate.ERROR, 413)


def test_large_answers() -> None:
    """An answer that is larger than any buffer is followed to its last byte."""
    size = 5_000_000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    with Talker(says(answer)) as server:
        tally = lap(server.address, loop="closed", connections=2, seconds=0.2).tally
    assert set(fates(tally)) == {(Fate.ANSWERED, 200)}
    assert len(tally.due) == len(server.requests)


def test_a_server_that_goes_away() -> None:
    """When the server ends in a lap, what was under way is reset or closed, and the rest is refused."""
    with Talker(says(OK)) as server:
        threading.Timer(0.15, server.stop).start()
        tally = lap(server.address, **OPEN).tally
    found = fates(tally)
    assert sum(found.values()) == 60
    assert found[Fate.ANSWERED, 200] > 0
    assert found[Fate.REFUSED, 0] > 0


def test_no_descriptors() -> None:
    """Without descriptors for more connections, what is due waits for those that there are, and it is counted."""

    def answer(connection: socket.socket, _number: int) -> bool:
        time.sleep(0.05)
        connection.sendall(OK)
        return True

    with Talker(answer) as server:
        spare = socket.socket()
        few = spare.fileno() + 8
        spare.close()
        for loop in ({"loop": "open", "rate": 200.0}, {"loop": "closed", "connections": 30}):
            offered = Offered(**{"work": Work(), "seconds": 0.3, **loop})  # type: ignore[arg-type]
            request = work.request(offered.work, 0, str(server.address), keepalive=True)
            generator = LOOPS[offered.loop](offered, server.address, request, descriptors=few)
            assert generator.run(lambda _: None)
            assert set(fates(generator.tally)) == {(Fate.ANSWERED, 200)}
            assert generator.tally.short > 0


def test_a_lap_is_broken_off() -> None:
    """When the orders end, so does the lap, whatever is under way, and no descriptor stays open."""
    ours, theirs = socket.socketpair()
    with Talker(never) as server, ours, theirs:
        offered = Offered(Work(), "open", 3600.0, rate=10.0)
        generator = LOOPS[offered.loop](
            offered, server.address, b"GET / HTTP/1.1\r\n\r\n", descriptors=1024, orders=theirs
        )
        threading.Timer(0.1, lambda: ours.shutdown(socket.SHUT_WR)).start()
        assert not generator.run(lambda _: None)
        assert until(lambda: not server._open)


def test_connections_are_spread_over_source_addresses() -> None:
    """Connections come from addresses of their own in turn, so that none runs out of ports."""
    with socket.create_server(("127.0.0.1", 0)) as listener, select.epoll() as epoll:
        connections = Connections(TcpAddress(*listener.getsockname()), b"GET / HTTP/1.1\r\n\r\n", epoll, 1024)
        for due in range(SOURCES + 1):
            assert connections.ask_anew(due) == Fate.SENT
        accepted = [listener.accept() for _ in range(SOURCES + 1)]
        addresses = [address[0] for _, address in accepted]
        assert addresses == [f"127.0.0.{2 + number % SOURCES}" for number in range(SOURCES + 1)]
        connections.close_all()
        for server, _ in accepted:
            server.close()


FIRST = 3  # the first one after the warm-up and the readiness check, or so


@pytest.mark.parametrize("loop", [CLOSED, OPEN])
def test_a_whole_answer_is_hung_up_on_at_once(loop: dict[str, Any]) -> None:
    """The client does not wait for a server that says it will close the connection: that server may wait for it."""
    stayed = []

    def answer(connection: socket.socket, number: int) -> bool:
        connection.sendall(OK)
        if number == FIRST:
            connection.settimeout(0.2)  # the lap goes on for longer than that
            try:
                stayed.append(connection.recv(1) != b"")  # nothing comes of a connection that was hung up on
            except TimeoutError:
                stayed.append(True)
        return True

    with Talker(answer) as server:
        lap(server.address, keepalive=False, **{**loop, "seconds": 1.0})
    assert stayed == [False]


def until(condition: Callable[[], bool], deadline_s: float = 5.0) -> bool:
    deadline = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
