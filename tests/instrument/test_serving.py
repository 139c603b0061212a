"""Which processes are the server's, what they used, and what the rest of the machine did meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.instrument.conftest import environment, eventually
from tests.instrument.servers import free_port
from topolab.errors import LabError
from topolab.instrument import proctable
from topolab.instrument.addresses import Listener, TcpAddress, UnixAddress
from topolab.instrument.machine import Machine
from topolab.instrument.serving import Serving

# A master that forks two workers, one of which starts a process of its own; then waits to be told to burn CPU time in
# a child that it reaps.
SERVER = """
import os, socket, sys, time
listener = socket.socket(socket.AF_UNIX if "/" in sys.argv[1] else socket.AF_INET)
listener.bind(sys.argv[1] if "/" in sys.argv[1] else ("127.0.0.1", int(sys.argv[1])))
listener.listen()
workers = []
for grandchild in (True, False):
    workers.append(os.fork())
    if not workers[-1]:
        if grandchild:
            os.fork()
        while True:
            time.sleep(60)
print(*workers, flush=True)
for line in sys.stdin:
    child = os.fork()
    if not child:
        while time.process_time() < float(line):
            pass
        os._exit(0)
    os.waitpid(child, 0)
    print("burned", flush=True)
time.sleep(60)
"""


@contextlib.contextmanager
def server(address: str, **options: int) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A running server and the pids of its workers."""
    words = [sys.executable, "-c", SERVER, address]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0) as process:
        assert process.stdout
        try:
            yield process, [int(word) for word in process.stdout.readline().split()]
        finally:
            os.killpg(process.pid, 9)


def burn(process: subprocess.Popen[str], seconds: float) -> None:
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{seconds}\n")
    process.stdin.flush()
    assert process.stdout.readline() == "burned\n"


def test_all_of_a_server_is_found_from_one_worker() -> None:
    """One worker's pid leads to its master, the other workers and their children; not to who started them."""
    with server(str(free_port())) as (process, workers), server(str(free_port())):
        serving = Serving([workers[1]], [os.getpid()])
        assert serving.roots == {process.pid}
        assert eventually(lambda: len(serving.processes()) == 4)
        assert serving.processes() > {process.pid, *workers}
        assert serving.cpus() == len(os.sched_getaffinity(process.pid))


def test_cpu_time_of_children_that_have_ended_counts() -> None:
    """What a forked child burned stays in the sum after its master has reaped it."""
    with server(str(free_port())) as (process, workers):
        serving = Serving(workers, [os.getpid()])
        before = serving.cpu_s()
        burn(process, 0.2)
        after = serving.cpu_s()
        assert before is not None
        assert after is not None
        assert after - before >= 0.18  # read in ticks of 10 ms


@pytest.mark.parametrize("unix", [False, True])
def test_a_server_is_found_by_its_listener(tmp_path: Path, unix: bool) -> None:
    """Where no process that answered is left, whoever has the listening socket open leads to the rest."""
    port = free_port()
    path = str(tmp_path / "socket")
    address = UnixAddress(path) if unix else TcpAddress("127.0.0.1", port)
    with server(path if unix else str(port)) as (process, _workers):
        assert Serving([], [os.getpid()], [Listener("app", address)]).roots == {process.pid}


def test_a_whole_local_stack_is_found(tmp_path: Path) -> None:
    """Below a supervisor everything belongs to the stack: the front too, that nobody has asked for its pid."""
    services: list[dict[str, Any]] = [
        {"name": name, "command": [sys.executable, "-c", SERVER, str(free_port())], "cwd": "/", "environment": {}}
        for name in ("app", "front")
    ]
    spec = {"services": services, "limits": {}, "cpus": [], "temporary": True, "grace_s": 0.0}
    (tmp_path / "services.json").write_text(json.dumps(spec))
    supervisor = [sys.executable, "-m", "topolab.runtimes.supervisor", str(tmp_path)]
    with subprocess.Popen(supervisor, stdin=subprocess.PIPE, env=environment(), start_new_session=True) as process:
        assert eventually(lambda: len(proctable.descendants(proctable.processes(), [process.pid])) == 9)
        table = proctable.processes()
        app = min(pid for pid in table if table[pid].parent == process.pid)
        serving = Serving([app], [os.getpid()])
        assert serving.processes() == proctable.descendants(table, [process.pid]) - {process.pid}
        assert len(serving.roots) == 2
        assert process.stdin
        process.stdin.close()


def test_the_instrument_is_never_counted() -> None:
    """A server that runs in a process above the instrument's is that process alone."""
    assert Serving([os.getppid()], [os.getpid()]).processes() == {os.getppid()}
    assert Serving([os.getpid()], [os.getpid()]).processes() == set()
    assert Serving([], [os.getpid()]).cpu_s() is None


def test_memory() -> None:
    """The PSS of all processes, and how many there were; a server that was not found has none to tell."""
    with server(str(free_port())) as (_process, workers):
        serving = Serving(workers, [os.getpid()])
        assert eventually(lambda: len(serving.processes()) == 4)
        footprint = serving.footprint()
        assert footprint.processes == 4
        assert 1 << 20 < footprint.pss_bytes < 1 << 28
    with pytest.raises(LabError, match="were not found"):
        Serving([], [os.getpid()]).footprint()


def test_other_processes_are_told_from_the_server() -> None:
    """CPU time that neither server nor instrument used is others'."""
    with server(str(free_port())) as (_quiet, workers), server(str(free_port())) as (stranger, _):
        machine = Machine(Serving(workers, [os.getpid()]), [os.getpid()])
        before = machine.now()
        burn(stranger, 0.3)
        use = machine.use(before, machine.now())
        assert use.server_cpu_s is not None
        assert use.server_cpu_s < 0.1
        assert use.others_cpu_s > 0.25
        assert use.wall_s >= 0.3


def test_our_own_work_is_not_others() -> None:
    """The instrument's own CPU time is neither the server's nor others'."""
    with server(str(free_port())) as (_process, workers):
        machine = Machine(Serving(workers, [os.getpid()]), [os.getpid()])
        before, ours = machine.now(), time.process_time()
        while time.process_time() - ours < 0.3:
            pass
        after = machine.now()
        assert after.ours - before.ours >= 0.28
        assert machine.use(before, after).server_cpu_s == pytest.approx(0, abs=0.05)
