"""The work that the app does on request, with Flask's test client and the instrument's own downstream service."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app import create_app, work
from tests.instrument.servers import free_port
from topolab.instrument.addresses import TcpAddress
from topolab.instrument.downstream import Downstream
from topolab.instrument.gate import listen


@dataclass(frozen=True)
class Running:
    """A downstream service in a thread of its own, and the calls that it has counted for laps 0 to 2."""

    address: str
    calls: memoryview[int]


@pytest.fixture
def downstream() -> Iterator[Running]:
    address = TcpAddress("127.0.0.1", free_port())
    calls = memoryview(bytearray(24)).cast("q")
    ours, theirs = socket.socketpair()
    with listen(address) as listener, ours, theirs:
        thread = threading.Thread(target=Downstream(listener, calls).run, args=(theirs,))
        thread.start()
        yield Running(str(address), calls)
        ours.shutdown(socket.SHUT_WR)
        thread.join(5)
    assert not thread.is_alive()


def client(*, gate: str = "", run_dir: str = "") -> FlaskClient:
    return create_app({"TOPOLAB_LAB_ROUTES": "1", "GATE": gate, "RUN_DIR": run_dir}).test_client()


@pytest.mark.parametrize("path", ["/io", "/async/io"])
def test_io(path: str, downstream: Running) -> None:
    """An I/O view waits for the downstream service as long as asked, and is counted for its lap."""
    began = time.monotonic()
    response = client(gate=downstream.address).get(f"{path}?id=2&ms=50")
    assert (response.status_code, response.get_json()["waited_ms"]) == (200, 50)
    assert time.monotonic() - began >= 0.05
    assert list(downstream.calls) == [0, 0, 1]


def test_io_at_once(downstream: Running) -> None:
    """The downstream service answers each call at its own time: a short one does not wait behind long ones."""
    ended: list[int] = []

    def ask(milliseconds: int) -> None:
        assert client(gate=downstream.address).get(f"/io?id=0&ms={milliseconds}").status_code == 200
        ended.append(milliseconds)

    waits = [400, 300, 300, 100, 0]
    threads = [threading.Thread(target=ask, args=(milliseconds,)) for milliseconds in waits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert ended == sorted(waits)
    assert downstream.calls[0] == len(waits)


def test_a_caller_that_is_none_of_ours_is_sent_away(downstream: Running) -> None:
    """Whoever says something else is answered at once and counts for no lap, and others are served as before."""
    host, port = downstream.address.split(":")
    for line in (b"HOLD 1 2 3\n", b"nonsense\n", b"WAIT 99 1\n"):
        with socket.create_connection((host, int(port)), timeout=5) as stranger:
            stranger.sendall(line)
            assert stranger.recv(10) == b"GO\n"
    socket.create_connection((host, int(port))).close()  # says nothing at all
    assert client(gate=downstream.address).get("/io?id=1&ms=1").status_code == 200
    assert list(downstream.calls) == [0, 1, 0]


def test_mixed(downstream: Running) -> None:
    """A mixed view waits first, then burns this thread's CPU time."""
    began, began_cpu = time.monotonic(), time.thread_time()
    said = client(gate=downstream.address).get("/mixed?id=0&io_ms=30&cpu_ms=20").get_json()
    assert (said["waited_ms"], said["burned_ms"] >= 20) == (30, True)
    assert time.thread_time() - began_cpu >= 0.02
    assert time.monotonic() - began >= 0.05


@pytest.mark.parametrize("path", ["/io?id=1", "/async/io?id=1", "/mixed?id=1"])
def test_no_downstream(path: str) -> None:
    """Where nothing listens downstream, the answer is 503 and names the address."""
    address = f"127.0.0.1:{free_port()}"
    response = client(gate=address).get(path)
    assert response.status_code == 503
    assert response.get_json()["error"].startswith(f"gate {address}: ")


def test_json() -> None:
    """JSON comes back as it went in; what is no JSON is answered with 400, and too much with 413."""
    items = {"items": [{"id": 1, "name": "one", "price": 1.5}], "padding": "x" * 100}
    assert client().post("/json", json=items).get_json() == items
    assert client().post("/json", data="{", content_type="application/json").status_code == 400
    too_much = json.dumps("x" * work.MAX_JSON_BYTES)
    assert client().post("/json", data=too_much, content_type="application/json").status_code == 413


def test_large() -> None:
    """A large answer has the size that was asked for."""
    for size in (1, 64, 100_000):
        assert len(client().get(f"/large?size={size}").data) == size


def test_static(tmp_path: Path) -> None:
    """The app's file is in RUN_DIR, where a front finds it, is made once, and has the size that was asked for."""
    asked = client(run_dir=str(tmp_path))
    assert len(asked.get("/static?size=5000").data) == 5000
    made = tmp_path / "topolab-static/5000.bin"
    made.write_bytes(b"the same file")
    assert asked.get("/static?size=5000").data == b"the same file"


def test_static_files_are_few(tmp_path: Path) -> None:
    """RUN_DIR is memory: when there are many sizes already, another one is refused."""
    work._file.cache_clear()
    asked = client(run_dir=str(tmp_path))
    for size in range(1, work.MAX_FILES + 1):
        assert asked.get(f"/static?size={size}").status_code == 200
    refused = asked.get("/static?size=99")
    assert refused.status_code == 400
    assert refused.get_json()["error"].startswith(f"There are {work.MAX_FILES} files of other sizes already.")
    assert asked.get("/static?size=1").status_code == 200


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("/io?ms=1", "id is missing. Give a whole number, 0 or more."),
        ("/io?id=1&ms=60001", 'ms is "60001". Give a number from 0 to 60000.'),
        ("/mixed?id=1&cpu_ms=10001", 'cpu_ms is "10001". Give a number from 0 to 10000.'),
        ("/mixed?id=1&io_ms=-1", 'io_ms is "-1". Give a number from 0 to 60000.'),
        ("/large", "size is missing. Give a whole number from 1 to 16777216."),
        ("/large?size=16777217", 'size is "16777217". Give a whole number from 1 to 16777216.'),
        ("/static?size=0", 'size is "0". Give a whole number from 1 to 1048576.'),
        ("/static?size=../../etc/passwd", 'size is "../../etc/passwd". Give a whole number from 1 to 1048576.'),
    ],
)
def test_bad_values(query: str, error: str, downstream: Running) -> None:
    """A bad value is answered with 400, what it was and what to give; nobody downstream hears of it."""
    response = client(gate=downstream.address).get(query)
    assert (response.status_code, response.get_json()) == (400, {"error": error})
    assert not any(downstream.calls)
