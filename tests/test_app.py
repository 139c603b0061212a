"""The app by itself, with Flask's test client and a small gate that speaks real TCP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from flask.testing import FlaskClient

from app import create_app
from topolab import paths


@dataclass
class SmallGate:
    """A gate in a thread of its own. It answers each line with `answer`, once `opened` is set."""

    answer: bytes = b"GO\n"
    lines: list[str] = field(default_factory=list)
    opened: threading.Event = field(default_factory=threading.Event)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def address(self) -> str:
        host, port = self.listener.getsockname()
        return f"{host}:{port}"

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:  # closed: the test is over
                return
            with connection:
                self.lines.append(connection.makefile("r").readline())
                self.opened.wait(5)
                connection.sendall(self.answer)

    def wait_for_line(self) -> str:
        deadline = time.monotonic() + 5
        while not self.lines and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.lines[0]


@pytest.fixture
def gate() -> Iterator[SmallGate]:
    gate = SmallGate()
    thread = threading.Thread(target=gate.serve)
    thread.start()
    yield gate
    gate.opened.set()
    gate.listener.shutdown(socket.SHUT_RDWR)
    gate.listener.close()
    thread.join(5)


def client(*, gate: str = "", lab: str = "1") -> FlaskClient:
    return create_app({"TOPOLAB_LAB_ROUTES": lab, "GATE": gate}).test_client()


def test_greeting() -> None:
    """The greeting says which process and thread served it."""
    served_by = client(lab="").get("/", environ_base={"SERVER_SOFTWARE": "someserver/1"}).get_json()["served_by"]
    assert served_by == {
        "server": "someserver/1",
        "pid": os.getpid(),
        "thread": threading.current_thread().name,
        "thread_ident": threading.get_ident(),
    }


def test_health() -> None:
    """Health is answered whether the lab's routes are there or not."""
    for lab in ("", "1"):
        response = client(lab=lab).get("/healthz")
        assert (response.status_code, response.get_json()) == (200, {"status": "ok", "pid": os.getpid()})


@pytest.mark.parametrize("path", ["/hold?id=1", "/async/hold?id=1", "/sleep", "/cpu", "/crash?pid=1"])
@pytest.mark.parametrize("lab", ["", "0", "true"])
def test_no_lab_routes(path: str, lab: str) -> None:
    """The lab's routes do not exist unless TOPOLAB_LAB_ROUTES is exactly 1."""
    assert client(lab=lab).get(path).status_code == 404


def test_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch, gate: SmallGate) -> None:
    """Without arguments the factory reads its settings from the environment."""
    monkeypatch.setenv("TOPOLAB_LAB_ROUTES", "1")
    monkeypatch.setenv("GATE", gate.address)
    gate.opened.set()
    assert create_app().test_client().get("/hold?id=1").status_code == 200


@pytest.mark.parametrize("path", ["/hold", "/async/hold"])
def test_hold(path: str, gate: SmallGate) -> None:
    """A hold sends one line that names it, and answers only after the gate does."""
    answered: list[int] = []

    def request() -> None:
        response = client(gate=gate.address).get(f"{path}?id=17")
        answered.extend([response.status_code, response.get_json()["id"]])

    thread = threading.Thread(target=request)
    thread.start()
    word, request_id, pid, ident = gate.wait_for_line().split()
    assert (word, request_id, pid) == ("HOLD", "17", str(os.getpid()))
    assert ident.isdecimal()
    time.sleep(0.05)
    assert not answered
    gate.opened.set()
    thread.join(5)
    assert answered == [200, 17]


@pytest.mark.parametrize("path", ["/hold", "/async/hold"])
def test_hold_asleep(path: str, gate: SmallGate) -> None:
    """wait=sleep announces itself, does not wait for the gate, and sleeps as long as asked."""
    began = time.monotonic()
    response = client(gate=gate.address).get(f"{path}?id=3&wait=sleep&seconds=0.05")
    assert response.status_code == 200
    assert time.monotonic() - began >= 0.05
    assert gate.wait_for_line().startswith(f"SLEEP 3 {os.getpid()} ")


@pytest.mark.parametrize("path", ["/hold", "/async/hold"])
@pytest.mark.parametrize("wait", ["gate", "sleep"])
def test_gate_unreachable(path: str, wait: str) -> None:
    """Where no gate listens, a hold is answered with 503 and the gate's address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    response = client(gate=address).get(f"{path}?id=1&wait={wait}")
    assert response.status_code == 503
    assert response.get_json()["error"].startswith(f"gate {address}: ")


@pytest.mark.parametrize("path", ["/hold", "/async/hold"])
def test_gate_hangs_up(path: str, gate: SmallGate) -> None:
    """A gate that hangs up is not taken for a release."""
    gate.answer = b""
    gate.opened.set()
    response = client(gate=gate.address).get(f"{path}?id=1")
    assert response.status_code == 503
    assert response.get_json() == {"error": f"gate {gate.address}: hung up without letting the request go"}


@pytest.mark.parametrize("address", ["", "localhost", "127.0.0.1:", "127.0.0.1:http"])
def test_gate_misnamed(address: str) -> None:
    """A GATE that is no host:port is reported as such."""
    response = client(gate=address).get("/hold?id=1")
    assert response.status_code == 503
    assert response.get_json() == {"error": f'GATE is "{address}". Set it to host:port.'}


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("/hold", "id is missing. Give a whole number, 0 or more."),
        ("/hold?id=", 'id is "". Give a whole number, 0 or more.'),
        ("/hold?id=-1", 'id is "-1". Give a whole number, 0 or more.'),
        ("/hold?id=1.5", 'id is "1.5". Give a whole number, 0 or more.'),
        ("/hold?id=%C2%B2", 'id is "²". Give a whole number, 0 or more.'),
        ("/hold?id=1%0AHOLD", 'id is "1\nHOLD". Give a whole number, 0 or more.'),
        ("/hold?id=1&wait=forever", 'wait is "forever". Give one of: gate, sleep.'),
        ("/hold?id=1&wait=sleep&seconds=301", 'seconds is "301". Give a number from 0 to 300.'),
        ("/async/hold?id=x", 'id is "x". Give a whole number, 0 or more.'),
        ("/sleep?seconds=-0.1", 'seconds is "-0.1". Give a number from 0 to 300.'),
        ("/sleep?seconds=nan", 'seconds is "nan". Give a number from 0 to 300.'),
        ("/cpu?ms=10001", 'ms is "10001". Give a number from 0 to 10000.'),
        ("/crash", "pid is missing. Give a whole number, 1 or more."),
        ("/cpu?ms=ten", 'ms is "ten". Give a number from 0 to 10000.'),
    ],
)
def test_bad_values(query: str, error: str, gate: SmallGate) -> None:
    """A bad value is answered with 400, what it was and what to give; the gate never hears of it."""
    response = client(gate=gate.address).get(query)
    assert (response.status_code, response.get_json()) == (400, {"error": error})
    assert not gate.lines


def test_sleep() -> None:
    """/sleep takes as long as asked."""
    began = time.monotonic()
    assert client().get("/sleep?seconds=0.05").get_json()["slept_s"] == 0.05
    assert time.monotonic() - began >= 0.05


def test_cpu() -> None:
    """/cpu burns this thread's CPU time, not just the clock's."""
    began = time.thread_time()
    assert client().get("/cpu?ms=30").get_json()["burned_ms"] >= 30
    assert time.thread_time() - began >= 0.03


def test_a_crash_is_of_the_named_process_only() -> None:
    """/crash leaves every process alone but the one that it names, and tells who it is instead."""
    response = client().get("/crash?pid=1")
    assert (response.status_code, response.get_json()["pid"]) == (409, os.getpid())


def test_a_crash_ends_the_process() -> None:
    """The named process is gone at once, by SIGABRT, with all its threads."""
    script = (
        "import os\n"
        "from app import create_app\n"
        "create_app({'TOPOLAB_LAB_ROUTES': '1'}).test_client().get(f'/crash?pid={os.getpid()}')\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=paths.HOME, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGABRT


def test_an_async_view_has_a_thread_of_its_own() -> None:
    """/async/whoami runs in a pool that was made for it, whether it awaits or blocks."""
    threads = [client().get(f"/async/whoami?how={how}&ms=1").get_json()["thread"] for how in ("await", "block")]
    assert all(thread.startswith("ThreadPoolExecutor-") and thread.endswith("_0") for thread in threads)
    assert len(set(threads)) == 2


def test_errors_are_json() -> None:
    """Even an unknown path is answered in JSON."""
    response = client().get("/nowhere")
    assert response.status_code == 404
    assert "error" in response.get_json()


@pytest.mark.parametrize("path", ["/isolation", "/async/isolation"])
def test_a_lone_request_keeps_everything(path: str) -> None:
    """Where nobody else runs nothing is overwritten, and a context of another app inside of its own is found."""
    kept = client().get(f"{path}?id=7&ms=1").get_json()["kept"]
    assert kept == dict.fromkeys(kept, True)
    assert {"current_app", "nested_app", "module_global"} <= set(kept)


def test_a_nested_context_that_finds_the_wrong_app_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: where the context inside is the first app's own, `nested_app` is not kept."""
    app = create_app({"TOPOLAB_LAB_ROUTES": "1"})
    monkeypatch.setattr(f"{create_app.__module__}.witness.another_app.app_context", app.app_context)
    assert app.test_client().get("/isolation?id=7&ms=1").get_json()["kept"]["nested_app"] is False
