"""The parts that can be proved without a server."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.instrument.servers import free_port
from topolab.instrument import census, honesty, queues, sockets, wire
from topolab.instrument.addresses import Listener, TcpAddress, UnixAddress, parse_listener, parse_tcp
from topolab.instrument.applied import LimitsReader
from topolab.instrument.board import Board, Fate
from topolab.instrument.gate import SOME_AT_ONCE, Gate, listen
from topolab.instrument.processes import Orders, Team, processes_for
from topolab.instrument.queues import Queue
from topolab.instrument.releasing import release
from topolab.instrument.sockets import TcpState, tcp_rows, unix_rows
from topolab.instrument.timer import Timer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize(
    ("received", "closed", "fate"),
    [
        (OK + b"{}", False, Fate.ANSWERED),
        (OK + b"{", False, None),
        (OK + b"{", True, Fate.CLOSED),
        (b"", True, Fate.CLOSED),
        (b"HTTP/1.1 200", False, None),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", False, None),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", True, Fate.ANSWERED),
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n", False, Fate.ERROR),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", True, Fate.ERROR),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", False, None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", False, Fate.ANSWERED),
        (b"garbage\r\n\r\n", True, Fate.ERROR),
    ],
)
def test_outcome(received: bytes, closed: bool, fate: Fate | None) -> None:
    """An answer counts when it is whole: by its length, its last chunk, or the end of the connection."""
    assert wire.outcome(received, closed=closed) == fate


def test_status() -> None:
    """The status of an answer; garbage has none."""
    assert (wire.status(OK), wire.status(b"HTTP/1.1 504\r\n\r\n"), wire.status(b"garbage\r\n\r\n")) == (200, 504, 0)


def test_path_with_id() -> None:
    """The id is appended to the path, whether it has a query or not."""
    assert wire.with_id("/hold", "7") == "/hold?id=7"
    assert wire.with_id("/hold?wait=sleep", "7") == "/hold?wait=sleep&id=7"


def test_addresses() -> None:
    """Listeners are TCP or unix; a wildcard is reached by way of loopback."""
    assert parse_listener("front=0.0.0.0:8000") == Listener("front", TcpAddress("127.0.0.1", 8000))
    assert parse_listener("app=unix:/run/app.sock") == Listener("app", UnixAddress("/run/app.sock"))
    assert parse_tcp("localhost:80") == TcpAddress("127.0.0.1", 80)


def test_names_of_unix_sockets() -> None:
    """A star stands for part of a file's name, never for a folder, and nothing else in a name is special."""
    pattern = UnixAddress("/run/[a]*/wsgi.*.0.1.sock")
    assert pattern.matches("/run/[a]*/wsgi.4711.0.1.sock")
    assert not pattern.matches("/run/[a]*/wsgi.4711/0.1.sock")
    assert not pattern.matches("/run/[a]x/wsgi.4711.0.1.sock")
    assert not pattern.matches("/run/[a]*/wsgi.4711.0x1.sock")
    assert UnixAddress("/run/app.sock").matches("/run/app.sock")


def test_processes_for() -> None:
    """It takes as many processes as the descriptor limit and the ports of an address ask for, within reason."""
    assert processes_for(10_000, 20_000) == 1
    assert processes_for(25_000, 20_000) == 2
    assert processes_for(14_001, 20_000, at_most=14_000) == 2
    assert processes_for(10_000, 1024) == 10
    assert processes_for(1000, 64) == 10
    assert processes_for(1_000_000, 1024) == 32


def test_timer_keeps_its_schedule() -> None:
    """The timer expires once per interval since its absolute start, however late it is read."""
    timer = Timer()
    timer.start(time.monotonic_ns() - 95_000_000, 10_000_000)
    assert select.select([timer], [], [], 1) == ([timer], [], [])
    assert timer.expirations() in (10, 11, 12)
    timer.stop()
    assert timer.expirations() == 0
    os.close(timer.fileno())


def test_pacing() -> None:
    """Lateness is actual minus due time; requests that were never opened have none."""
    board = Board(4)
    board.start_ns[0] = 1_000_000_000
    for request, opened_ns in enumerate([1_000_000_000, 1_100_000_000, 1_250_000_000]):
        board.opened_ns[request] = opened_ns
    assert honesty.pacing(board, rate=10.0) == honesty.Pacing(rate_got=8.0, lateness_p99_s=0.0, lateness_max_s=0.05)


def test_board_is_shared() -> None:
    """What a child writes on the board, its parent reads."""
    board = Board(100, gates=2)
    pid = os.fork()
    if pid == 0:
        board.fate[99] = Fate.ANSWERED
        board.fate[3] = Fate.SENT
        board.held[1] = 7
        board.port[99] = 65535
        os._exit(0)
    os.waitpid(pid, 0)
    assert board.fates() == {Fate.NOT_YET: 98, Fate.ANSWERED: 1, Fate.SENT: 1}
    assert (board.handlers(), board.ended(), board.pending(), board.port[99]) == (7, 1, [3], 65535)


def test_kernel_rows_and_queue() -> None:
    """Of 9 clients of a listener with a backlog of 5 that has accepted 2, 6 are queued and 1 is unanswered."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(5)
        address = TcpAddress(*listener.getsockname())
        clients, accepted = [], []
        for number in range(9):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(address.pair)
            clients.append(client)
            if number < 2:
                accepted.append(listener.accept())
        rows = tcp_rows(local_port=address.port)
        assert sum(row.owned for row in rows) == 2
        assert sum(row.unaccepted for row in rows) == 6
        assert queues.read(address) == Queue(recv_q=6, send_q=5, has_room=False)
        outgoing = [row for row in tcp_rows(remote_port=address.port) if row.remote == address.key]
        assert sorted(row.state for row in outgoing) == [TcpState.ESTABLISHED] * 8 + [TcpState.SYN_SENT]
        for sock in [*clients, *(connection for connection, _ in accepted)]:
            sock.close()


def test_queues_of_several_listeners() -> None:
    """Listeners that share a port (SO_REUSEPORT) are summed up; there is room when each of them has some."""
    with socket.socket() as one, socket.socket() as other:
        for listener in (one, other):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(("127.0.0.1", 0))
        other.bind(one.getsockname())
        one.listen(0)
        other.listen(100)
        address = TcpAddress(*one.getsockname())
        assert queues.read(address) == Queue(recv_q=0, send_q=100, has_room=True)
        clients: list[socket.socket] = []
        while (queue := queues.read(address)) and queue.has_room and len(clients) < 60:
            clients.append(socket.create_connection(address.pair))
        assert queues.read(address) == Queue(recv_q=len(clients), send_q=100, has_room=False)
        for client in clients:
            client.close()


def test_unix_rows_and_queue(tmp_path: object) -> None:
    """A unix listener's connections are told apart the same way: 2 accepted, 4 queued."""
    address = UnixAddress(f"{tmp_path}/it.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address.path)
        listener.listen(5)
        clients, accepted = [], []
        for number in range(6):
            client = socket.socket(socket.AF_UNIX)
            client.connect(address.path)
            clients.append(client)
            if number < 2:
                accepted.append(listener.accept())
        assert unix_rows(address) == (2, 4)
        assert queues.read(address) == Queue(recv_q=4, send_q=5, has_room=True)
        assert queues.read(UnixAddress("/nowhere")) is None
        for sock in [*clients, *(connection for connection, _ in accepted)]:
            sock.close()


def test_limits_are_read_back() -> None:
    """The smallest and the largest soft limit of the processes; those that are gone, or ours, are left out."""

    def limited(soft: int, hard: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["sleep", "9"], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        )

    few, fewer, gone = limited(100, 200), limited(99, 99), limited(98, 98)
    gone.kill()
    gone.wait()
    reader = LimitsReader(ours=[os.getpid()])
    for pid in (few.pid, fewer.pid, few.pid, gone.pid, os.getpid()):
        reader.notice(pid)
    applied = reader.applied()
    for process in (few, fewer):
        process.kill()
        process.wait()
    assert (applied.processes_read, applied.nofile_min, applied.nofile_max) == (2, 99, 100)
    assert applied.nproc_min == applied.nproc_max
    assert applied.somaxconn == int(Path("/proc/sys/net/core/somaxconn").read_text())
    assert applied.ip_local_port_range == " ".join(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())


def test_nothing_to_read_back() -> None:
    """Without a process that can be read, the limits of processes are unknown, and the namespace's are not."""
    applied = LimitsReader(ours=[]).applied()
    assert (applied.processes_read, applied.nofile_min, applied.nofile_max) == (0, None, None)
    assert (applied.nproc_min, applied.nproc_max, applied.cgroups_read, applied.pids_max) == (None, None, 0, None)
    assert applied.tcp_max_syn_backlog == int(Path("/proc/sys/net/ipv4/tcp_max_syn_backlog").read_text())


@pytest.mark.parametrize("request_", [bytes([socket.AF_APPLETALK] + [0] * 7), bytes([socket.AF_INET, 200] + [0] * 54)])
def test_a_kernel_without_sock_diag(request_: bytes) -> None:
    """A kernel that lacks the family (unix_diag) or the protocol (tcp_diag) says so: no rows is never the answer."""
    with pytest.raises(OSError, match=r"^\[Errno 2\] sock_diag: No such file or directory$"):
        list(sockets.dump(request_))


def test_rows_beside_churn() -> None:
    """Each connection is listed exactly once, although others come and go all the time."""
    with socket.socket() as listener, socket.socket() as busy:
        listener.bind(("127.0.0.1", 0))
        listener.listen(600)
        busy.bind(("127.0.0.1", 0))
        busy.listen(10)
        clients = [socket.create_connection(listener.getsockname()) for _ in range(500)]
        for _ in range(20):
            for _ in range(20):
                with socket.create_connection(busy.getsockname()):
                    busy.accept()[0].close()
            rows = tcp_rows(local_port=listener.getsockname()[1])
            assert len(rows) == len({row.remote for row in rows}) == 500
        for client in clients:
            client.close()


def test_gate_short_of_descriptors() -> None:
    """A gate without descriptors leaves callers in the kernel's queue, says so, and takes them when it can."""
    board = Board(100)
    address = TcpAddress("127.0.0.1", free_port())

    def gate_with_30(orders: Orders) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))
        Gate(listener, board, 0).run(orders)

    with listen(address) as listener, Team() as team:
        team.fork("gate", gate_with_30)
        callers = [socket.create_connection(address.pair) for _ in range(40)]
        for request, caller in enumerate(callers):
            caller.sendall(b"HOLD %d 1 1\n" % request)
        assert team.wait_until(lambda: bool(board.short[0]), deadline_s=5)
        assert team.wait_until(lambda: board.held[0] + unaccepted(address) == 40, deadline_s=5)
        assert 0 < board.held[0] < 30
        for caller in callers[:35]:
            caller.close()
        assert team.wait_until(lambda: board.held[0] == 5, deadline_s=5)
        for caller in callers[35:]:
            caller.close()


def test_calls_under_way() -> None:
    """A call counts until the gate has read it: unanswered, queued in the kernel, hung up there, or without a word."""
    board = Board(100)
    with socket.socket() as listener, Team() as team:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2)  # the kernel keeps one more
        listener.setblocking(False)
        address = TcpAddress(*listener.getsockname())
        callers = []
        for request in range(7):
            caller = socket.socket()
            caller.setblocking(False)
            caller.connect_ex(address.pair)
            callers.append(caller)
            if request < 2:
                caller.sendall(b"SLEEP %d 1 1\n" % request)
                caller.close()
        assert census.calls_under_way(board, address) == 7
        team.fork("gate", Gate(listener, board, 0).run)
        assert team.wait_until(lambda: (board.arrived[0], board.unread[0]) == (2, 1), deadline_s=5)
        assert census.calls_under_way(board, address) == 5
        unsaid = dict(enumerate(callers[2:], 2))

        def all_have_called() -> bool:  # the kernel calls again after a second
            for request, caller in list(unsaid.items()):
                with contextlib.suppress(BlockingIOError):
                    caller.sendall(b"HOLD %d 1 1\n" % request)
                    del unsaid[request]
            return not census.calls_under_way(board, address)

        assert team.wait_until(all_have_called, deadline_s=10)
        assert (board.held[0], sum(board.asleep)) == (5, 2)
        for caller in callers:
            caller.close()


@pytest.mark.parametrize("gates", [1, 2])
def test_few_are_let_go_at_once(gates: int) -> None:
    """The next few when as many have ended, from however many gates; and all of them in the end."""
    board = Board(100, gates=gates)
    address = TcpAddress("127.0.0.1", free_port())
    at_once = []
    with listen(address) as listener, Team() as team:
        gate = [team.fork("gate", Gate(listener, board, index).run) for index in range(gates)]
        held = {request: socket.create_connection(address.pair) for request in range(100)}
        for request, caller in held.items():
            caller.sendall(b"HOLD %d 1 1\n" % request)
            board.fate[request] = Fate.SENT
        assert team.wait_until(lambda: board.handlers() == 100, deadline_s=5)

        def end_those_let_go(_ended: int, _of: int) -> None:
            ready = select.select(held.values(), [], [], 0)[0]
            at_once.append(len(ready))
            for request in [request for request, caller in held.items() if caller in ready]:
                held.pop(request).close()
                board.fate[request] = Fate.ANSWERED

        after = release(
            board, team, gate, [], leaving=(), unanswered=(), deadline_s=5, on_end=end_those_let_go, few_at_once=True
        )
    assert (after.answered, after.failed) == (100, 0)
    assert 0 < max(at_once) <= SOME_AT_ONCE * gates


def test_undelivered() -> None:
    """What the other end's kernel has not taken is undelivered, on connections that stand: accepted, or queued."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.listen(0)  # the kernel keeps one
        address = TcpAddress(*listener.getsockname())
        talkers = [socket.socket() for _ in range(3)]
        accepted: list[socket.socket] = []
        for talker in talkers:  # one is accepted, one queued, one unanswered
            talker.setblocking(False)
            talker.connect_ex(address.pair)
            with contextlib.suppress(BlockingIOError):
                talker.send(bytes(1 << 20))
            if not accepted:
                accepted.append(listener.accept()[0])
        towards, at = census.rows_towards(address), census.rows_at(address)
        assert (len(towards), len(at), census.count_undelivered(towards, at)) == (3, 2, 2)
        for sock in [*talkers, *accepted]:
            sock.close()


def unaccepted(address: TcpAddress) -> int:
    return sum(row.unaccepted for row in tcp_rows(local_port=address.port))
