"""The memory experiment, against servers that take what they are told to take."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.instrument.conftest import environment
from tests.instrument.servers import free_port
from topolab.instrument import wire

MIB = 1 << 20

# A thread for each connection. A request that is held takes 1 MiB, a connection that has asked keeps 256 KiB.
SERVER = """
import json, mmap, os, socket, sys, threading, time
port, gate, keeps, pause_s = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
one_by_one = threading.Lock()
threading.stack_size(256 * 1024)

def take(size):
    taken = mmap.mmap(-1, size)
    for _ in range(size // 4096):
        taken.write(b"x" * 4096)
    return taken

def serve(connection):
    kept = None
    with connection:
        while True:
            request = b""
            while not request.endswith(b"\\r\\n\\r\\n"):
                more = connection.recv(4096)
                if not more:
                    return
                request += more
            path = request.split(b" ")[1].decode()
            if path.startswith("/hold"):
                taken = take(1 << 20)
                with socket.create_connection(("127.0.0.1", gate)) as call:
                    word = "SLEEP" if "wait=sleep" in path else "HOLD"
                    call.sendall(f"{word} {path.partition('id=')[2]} 1 1\\n".encode())
                    if word == "HOLD":
                        call.recv(16)
                taken.close()
            elif keeps == "keep-alive":
                kept = take(1 << 18)
                with one_by_one:
                    time.sleep(pause_s)
            body = json.dumps({"pid": os.getpid()}).encode()
            head = f"HTTP/1.1 200 OK\\r\\nContent-Length: {len(body)}\\r\\nConnection: {keeps}\\r\\n\\r\\n"
            connection.sendall(head.encode() + body)
            if keeps == "close" or b"onnection: close" in request:
                return

listener = socket.create_server(("127.0.0.1", port), backlog=128)
print("up", flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


def measured(*words: object, keeps: str = "keep-alive", pause_s: float = 0.0) -> dict[str, Any]:
    """What the instrument saw of such a server."""
    port, gate = free_port(), free_port()
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(port), str(gate), keeps, str(pause_s)],
        stdout=subprocess.PIPE, process_group=0,
    )  # fmt: skip
    try:
        assert server.stdout
        assert server.stdout.readline() == b"up\n"
        done = subprocess.run(
            [sys.executable, "-m", "topolab.instrument", "memory", *map(str, words),
             "--listener", f"app=127.0.0.1:{port}", "--gate", f"127.0.0.1:{gate}"],
            env=environment(), capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
    finally:
        server.kill()
        server.wait()
        server.stdout.close()  # type: ignore[union-attr]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert result["event"] == "result"
    return result


def test_what_requests_and_idle_connections_take_is_seen() -> None:
    """30 requests of a mebibyte each, and 40 idle connections of a quarter: both are found, and given back after."""
    seen = measured("--requests", 30, "--idle", 40)
    grown = {name: seen[name]["pss_bytes"] - seen["at_rest"]["pss_bytes"] for name in ("full", "after")}
    assert (seen["served"], seen["accepted"], seen["idle_connections"]) == (30, 30, 40)
    assert grown["full"] / 30 == pytest.approx(MIB, rel=0.15)  # and a thread for each
    assert grown["after"] < 3 * MIB
    idle = seen["idle"]["pss_bytes"] - seen["before_idle"]["pss_bytes"]
    assert idle / 40 == pytest.approx(MIB / 4, rel=0.3)


def test_idle_connections_are_waited_for_as_long_as_somebody_is_answered() -> None:
    """A server that answers one by one for longer than the instrument is patient gets all of them all the same."""
    assert measured("--idle", 100, pause_s=0.02)["idle_connections"] == 100


def test_connections_that_the_server_closes_are_not_idle() -> None:
    """A server that closes after each answer has none, and nothing is said of what they cost."""
    seen = measured("--idle", 40, keeps="close")
    assert seen["idle_connections"] == 0
    assert (seen["served"], seen["full"]) == (0, seen["at_rest"])


@pytest.mark.parametrize(
    ("head", "keeps"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2", True),
    ],
)
def test_what_a_server_says_of_its_connection(head: bytes, keeps: bool) -> None:
    """HTTP/1.1 keeps it unless it says otherwise, HTTP/1.0 closes it unless it says otherwise."""
    assert wire.keeps_open(head + b"\r\n\r\n{}") is keeps
