"""The program: laps one after the other on one stack, and what it says of each."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.instrument.conftest import Ended, children, environment, eventually, finish, is_alive, read_until
from tests.instrument.servers import free_port
from tests.instrument.talkers import OK, Talker, never, says
from topolab.instrument.addresses import TcpAddress
from topolab.loads import Loaded, Offered, RawLap, Work
from topolab.samples import columns, lap_of


def words(address: TcpAddress, gate: int, *laps: Offered) -> list[str]:
    return [
        sys.executable, "-m", "topolab.instrument", "load", "--listener", f"app={address}", "--gate",
        f"127.0.0.1:{gate}", "--laps", json.dumps([asdict(lap) for lap in laps]),
    ]  # fmt: skip


def start(address: TcpAddress, gate: int, *laps: Offered, more: tuple[str, ...] = (), **options: Any) -> Any:
    return subprocess.Popen(
        [*words(address, gate, *laps), *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(), **options,
    )  # fmt: skip


def run(address: TcpAddress, gate: int, *laps: Offered, **options: Any) -> Ended:
    with start(address, gate, *laps, **options) as process:
        return finish(process)


def laps_of(ended: Ended) -> list[RawLap]:
    result = {key: value for key, value in ended.result.items() if key != "event"}
    return list(TypeAdapter(Loaded).validate_python(result).laps)


def lap(**more: Any) -> Offered:
    return Offered(**{"work": Work(), "loop": "open", "rate": 100.0, "seconds": 0.5, **more})


class Calling(Talker):
    """Its views call the gate, as the app's do."""

    def __init__(self, gate: int) -> None:
        super().__init__(self.view)
        self.gate = gate

    def view(self, connection: socket.socket, number: int) -> bool:
        path = self.requests[number].split(b" ")[1]
        if b"id=" in path:
            number_of_lap = path.partition(b"id=")[2].partition(b"&")[0]
            with socket.create_connection(("127.0.0.1", self.gate)) as call:
                call.sendall(b"WAIT %b 20\n" % number_of_lap)
                assert call.recv(3) == b"GO\n"
        connection.sendall(OK)
        return True


def test_laps(gate: int) -> None:
    """Each lap has its own samples, counts and views; times count from where its counted time begins."""
    offered = (
        lap(label="first", warmup_s=0.2),
        lap(work=Work("io", io_ms=20.0), rate=50.0, warmup_s=0.2),
        lap(loop="closed", rate=0.0, connections=3, work=Work("io", io_ms=20.0)),
    )
    with Calling(gate) as server:
        ended = run(server.address, gate, *offered)
    laps = laps_of(ended)
    assert [one.offered for one in laps] == list(offered)
    assert [one.count for one in laps[:2]] == [50, 25]
    assert [one.views for one in laps] == [0, 25, laps[2].count]
    for one in laps:
        seen = columns(one)
        assert (seen.of("answered")).all()
        assert (seen.status == 200).all()
        assert (seen.due_ns >= 0).all()
        assert (seen.due_ns < 0.5e9).all()
        assert (seen.sent_ns >= seen.due_ns).all()
        assert (seen.ended_ns > seen.sent_ns).all()
        assert one.instrument.responses == one.count
        assert one.instrument.connections_opened <= 10
        assert one.machine.wall_s == pytest.approx(0.5, abs=0.3)
        assert one.machine.server_cpus == len(os.sched_getaffinity(0))
    assert columns(laps[1]).latency_s.min() >= 0.02
    assert laps[2].instrument.connections_held == pytest.approx(3, abs=0.2)
    assert lap_of(laps[2]).in_flight == pytest.approx(3, abs=0.5)
    phases = [event["phase"] for event in ended.events[:-1]]
    assert list(dict.fromkeys(phases)) == ["settling", "loading"]
    loading = [event for event in ended.events if event.get("phase") == "loading"]
    assert loading[-1]["of"] == 2


def test_what_it_costs(gate: int) -> None:
    """CPU time of server, generator and downstream service is told apart; the generator's lateness is in seconds."""
    with Calling(gate) as server:
        [busy, calling] = laps_of(
            run(server.address, gate, lap(loop="closed", connections=4), lap(work=Work("io", io_ms=20.0), rate=200.0))
        )
    assert 0.02 < busy.instrument.cpu_s < busy.machine.wall_s
    assert busy.instrument.cpu_share == pytest.approx(busy.instrument.cpu_s / busy.machine.wall_s, abs=0.01)
    assert busy.instrument.gate_cpu_s == 0
    assert busy.instrument.lateness_max_s == 0
    assert calling.instrument.gate_cpu_s > 0.001
    assert 0 < calling.instrument.lateness_p50_s <= calling.instrument.lateness_p99_s
    assert calling.instrument.lateness_p99_s <= calling.instrument.lateness_max_s < 0.5
    for one in (busy, calling):
        assert one.machine.server_cpu_s  # this test's own process
        assert one.machine.server_cpu_s < 3


def test_views_of_clients_that_have_gone(gate: int) -> None:
    """Views that run after their clients gave up count for the lap that they are of."""

    class Slow(Calling):
        def view(self, connection: socket.socket, number: int) -> bool:
            time.sleep(0.4)
            return super().view(connection, number)

    offered = (lap(work=Work("io", io_ms=1.0), rate=20.0, seconds=0.2, timeout_s=0.1), lap(seconds=0.8, rate=5.0))
    with Slow(gate) as server:
        laps = laps_of(run(server.address, gate, *offered))
    assert (columns(laps[0]).of("timeout")).all()
    assert [one.views for one in laps] == [4, 0]


def test_the_server_ends_between_two_laps(gate: int) -> None:
    """A lap on a server that has gone is one of refusals, not a failure of the instrument."""
    with Talker(says(OK)) as server, start(server.address, gate, lap(), lap(seconds=1.0)) as process:
        assert eventually(lambda: len(server.requests) >= 40)
        assert eventually(lambda: not server._open)  # the first lap is over
        server.stop()
        laps = laps_of(finish(process))
    assert columns(laps[0]).of("answered").all()
    assert columns(laps[1]).of("refused").sum() >= 50
    assert laps[1].count == 100


def test_nobody_listens(gate: int) -> None:
    """Where there is no server from the beginning, nothing can be measured."""
    ended = run(address := TcpAddress("127.0.0.1", free_port()), gate, lap())
    assert ended.returncode == 2
    assert ended.events[-1] == {
        "event": "failed", "message": f"Nothing listens on {address}. Start the server first.",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "need"), [("static", "the lab's own app"), ("front-static", "the lab's own app")])
def test_no_file_to_ask_for(gate: int, name: Any, need: str) -> None:
    """A lap that asks for a file is refused at once where there is none."""
    with Talker(says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")) as server:
        ended = run(server.address, gate, lap(work=Work(name, size=100)))
    assert ended.returncode == 2
    assert ended.events[-1]["message"] == f"/static?size=100: 404. The work static needs {need}."


@pytest.mark.parametrize(
    ("laps", "problem"),
    [("[]", "this is no list of laps"), ('[{"work": {"name": "sing"}, "loop": "open", "seconds": 1}]', "lap 1: work.")],
)
def test_laps_that_can_not_be(gate: int, laps: str, problem: str) -> None:
    """Laps that make no sense are refused by the command line, with what is wrong."""
    command = words(TcpAddress("127.0.0.1", 1), gate)[:-1]
    result = subprocess.run([*command, laps], capture_output=True, text=True, env=environment(), check=False)
    assert result.returncode == 2
    assert f"argument --laps: {problem}" in result.stderr


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "stdin", "SIGKILL"])
def test_it_stops(gate: int, how: str) -> None:
    """Told to stop in a lap, or killed, it leaves no process behind, and the server's connections are closed."""
    with Talker(never) as server:
        with start(server.address, gate, lap(seconds=600.0), more=("--watch-stdin",), stdin=subprocess.PIPE) as process:
            read_until(process, "loading")
            assert eventually(lambda: len(server.requests) > 5)
            ours = [process.pid, *children(process.pid)]
            assert len(ours) == 3
            if how == "stdin":
                process.stdin.close()
            else:
                process.send_signal(signal.Signals[how])
            finish(process)
            assert process.returncode == {"SIGINT": 130, "SIGTERM": 143, "stdin": 143, "SIGKILL": -9}[how]
            assert eventually(lambda: not any(is_alive(pid) for pid in ours))
        assert eventually(lambda: not server._open)


def test_a_process_limit(gate: int) -> None:
    """With few descriptors, requests wait for connections, and the report says for how many there was none."""

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))

    def answer(connection: socket.socket, _number: int) -> bool:
        time.sleep(0.2)
        connection.sendall(OK)
        return True

    with Talker(answer) as server:
        [one] = laps_of(run(server.address, gate, lap(rate=200.0), preexec_fn=few))
    assert one.instrument.descriptors_short > 0
    assert columns(one).of("answered").all()
