"""The instrument against a server that does nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.instrument.conftest import children, environment, eventually, finish, is_alive, read_until
from topolab.errors import LabError
from topolab.instrument.calibrate import apart
from topolab.instrument.nullserver import CLOSED, KEPT, NullServer
from topolab.instrument.processes import Team
from topolab.instrument.tracking import used, wait_for_room

WORDS = [sys.executable, "-m", "topolab.instrument", "calibrate"]


def start() -> subprocess.Popen[str]:
    return subprocess.Popen(WORDS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())


def test_what_the_instrument_can_do() -> None:
    """A calibration says rates and CPU seconds per 1,000 requests; a connection each costs more than a kept one."""
    with start() as process:
        ended = finish(process)
    seen = ended.result
    assert 1_000 < seen["reconnect_rate"] < seen["keepalive_rate"] < 2_000_000
    assert 0.0005 < seen["keepalive_cpu_s"] < seen["reconnect_cpu_s"] < 1
    assert 0 < seen["open_rate"] < seen["keepalive_rate"]
    assert {event["phase"] for event in ended.events[:-1]} == {"calibrating"}


def test_it_stops() -> None:
    """Told to stop, a calibration leaves nothing running."""
    with start() as process:
        read_until(process, "calibrating")
        assert eventually(lambda: len(children(process.pid)) == 2)
        ours = [process.pid, *children(process.pid)]
        process.send_signal(signal.SIGINT)
        finish(process)
        assert process.returncode == 130
        assert eventually(lambda: not any(is_alive(pid) for pid in ours))


def test_they_are_on_cpus_of_their_own() -> None:
    """Server and instrument share no CPU where there are two, and afterwards we may use all that we might before."""
    before = os.sched_getaffinity(0)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as server:
        with apart(server.pid):
            ours, theirs = os.sched_getaffinity(0), os.sched_getaffinity(server.pid)
        assert server.stdin
        server.stdin.close()
    assert len(ours) == 1 or len(before) == 1
    assert not ours & theirs or os.cpu_count() == 1
    assert os.sched_getaffinity(0) == before


@pytest.fixture
def null_server() -> Iterator[tuple[str, int]]:
    ours, theirs = socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener, ours, theirs:
        listener.setblocking(False)
        thread = threading.Thread(target=NullServer(listener).run, args=(theirs,))
        thread.start()
        yield listener.getsockname()
        ours.shutdown(socket.SHUT_WR)
        thread.join(5)
    assert not thread.is_alive()


def test_the_null_server(null_server: tuple[str, int]) -> None:
    """It answers every request, keeps connections unless told not to, and outlives clients that hang up."""
    with socket.create_connection(null_server, timeout=5) as client:
        for _ in range(3):
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert client.recv(1000) == KEPT
        client.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert client.recv(1000) == CLOSED
        assert client.recv(1000) == b""
    socket.create_connection(null_server).close()
    with socket.create_connection(null_server, timeout=5) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        head, _, body = client.recv(1000).partition(b"\r\n\r\n")
    assert json.loads(body) == {"message": "nothing"}
    assert f"Content-Length: {len(body)}".encode() in head


def test_a_full_table_of_connections(tmp_path: Path) -> None:
    """Where the kernel would drop handshakes, it is waited for; where that does not end, it is said."""
    (tmp_path / "nf_conntrack_max").write_text("1000\n")
    (tmp_path / "nf_conntrack_count").write_text("950\n")
    with Team() as team:
        with pytest.raises(LabError, match="stays 95% full"):
            wait_for_room(team, tmp_path, patience_s=0.1)
        threading.Timer(0.1, lambda: (tmp_path / "nf_conntrack_count").write_text("10\n")).start()
        wait_for_room(team, tmp_path, patience_s=10)
        assert used(tmp_path) == 0.01
        wait_for_room(team, tmp_path / "none", patience_s=0)
