"""What a host is and what it can grant: against this machine, and against trees that stand for others."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.modules import load
from topolab.host import fingerprint

host_state = load("host_state")
rlimits = sys.modules["ansible.module_utils.topolab_rlimits"]

LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max processes             unlimited            96365                processes
Max open files            1024                 20000                files
"""


def process(proc: Path, pid: int, *, name: str = "sh", capabilities: int = 0, users: str = "0 0 4294967295") -> None:
    """A process in a tree that stands for /proc."""
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "comm").write_text(f"{name}\n")
    (folder / "limits").write_text(LIMITS)
    (folder / "status").write_text(f"Name:\t{name}\nCapEff:\t{capabilities:016x}\n")
    (folder / "uid_map").write_text(f"{users}\n")


def test_it_says_of_a_host_what_a_run_says() -> None:
    """The same words mean the same here and in a run's own fingerprint."""
    state, run = host_state.state(), fingerprint()
    same = ("os", "kernel", "cpu", "cores", "memory_bytes", "nofile_hard")
    assert {name: state[name] for name in same} == {name: getattr(run, name) for name in same}
    assert state["sysctls"]["net.core.somaxconn"] == run.somaxconn


def test_it_can_be_sent_and_is_complete() -> None:
    """Everything is JSON, and asked for or not, no key is left out."""
    state = json.loads(json.dumps(host_state.state(ports=[1], programs=["sh", "no-such-program", "/no/file"])))
    assert state["ports"] == {"1": None}
    assert state["programs"]["sh"]
    assert state["programs"]["no-such-program"] is state["programs"]["/no/file"] is None
    assert set(state["engine"]) == {"version", "compose", "buildx"}
    assert set(state["reachable"]) == set(state["reachable_by"]) == {"nofile", "nproc"}


def test_a_port_is_held_by_its_program() -> None:
    """A listener on loopback is named with its pid; one at another address is no obstacle."""
    with socket.create_server(("127.0.0.1", 0)) as here, socket.create_server(("127.0.0.2", 0)) as elsewhere:
        port, other = here.getsockname()[1], elsewhere.getsockname()[1]
        assert host_state.holder(port, [], "a").endswith(f" (pid {os.getpid()})")
        assert host_state.holder(other, [], "a") is None
    assert host_state.holder(port, [], "a") is None


def test_a_port_is_ours_only_if_the_same_stack_holds_it() -> None:
    """A stack may take its own port again, and not another stack's."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        records = [{"name": "damaged"}, {"name": "mine", "port": port}]
        assert host_state.holder(port, records, "mine") == "ours"
        assert host_state.holder(port, records, "yours") == "the stack mine"


def test_addresses_are_read_in_the_machines_byte_order() -> None:
    """As /proc/net/tcp and tcp6 write them."""
    packed = [f"{int.from_bytes(socket.inet_aton('127.0.0.1'), sys.byteorder):08X}", "0" * 32]
    assert [host_state.address(each) for each in packed] == ["127.0.0.1", "::"]


def test_a_kernel_without_the_files_is_told_by_null(tmp_path: Path) -> None:
    """Nothing raises where /proc is empty."""
    assert host_state.sysctl("net.core.somaxconn", tmp_path) is None
    assert host_state.cpu_model(tmp_path / "cpuinfo") == os.uname().machine
    assert host_state.listeners(tmp_path) == {}
    assert host_state.owner(["1"], tmp_path) is None
    assert host_state.stacks(tmp_path / "stacks") == []
    assert host_state.read_only(tmp_path / "sys") is None
    assert rlimits.limits_of(1, tmp_path) == {}
    assert host_state.tried(int, "no number") is None


def test_a_pair_of_numbers_is_one_value(tmp_path: Path) -> None:
    """A tab between them is the kernel's; a single number is a number."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net/range").write_text("32768\t60999\n")
    (tmp_path / "net/backlog").write_text("4096\n")
    assert host_state.sysctl("net.range", tmp_path) == "32768 60999"
    assert host_state.sysctl("net.backlog", tmp_path) == 4096


def test_space_is_asked_where_the_directory_is_going_to_be(tmp_path: Path) -> None:
    """A directory that does not exist yet has the space of its nearest parent."""
    assert host_state.free_mb(tmp_path / "not/yet/there") == pytest.approx(host_state.free_mb(tmp_path), rel=0.01)


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    """It hides neither itself nor the others."""
    for name, text in {"good": '{"name": "good", "port": 8000}', "list": "[]", "torn": '{"name":'}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "stack.json").write_text(text)
    found = {record["name"]: record for record in host_state.stacks(tmp_path)}
    assert found["good"]["port"] == 8000
    assert found["list"]["problem"]
    assert found["torn"]["problem"]


def test_limits_are_read_with_their_unlimited(tmp_path: Path) -> None:
    """Soft before hard; null is unlimited."""
    process(tmp_path, 7)
    assert rlimits.limits_of(7, tmp_path) == {"nofile": [1024, 20000], "nproc": [None, 96365]}


@pytest.mark.parametrize(
    ("capabilities", "users", "may"),
    [(1 << 24, "0 0 4294967295", True), (0, "0 0 4294967295", False), (1 << 24, "0 1000 1", False)],
)
def test_who_may_raise_a_hard_limit(tmp_path: Path, capabilities: int, users: str, may: bool) -> None:
    """It takes CAP_SYS_RESOURCE, and not in a user namespace of one's own."""
    process(tmp_path, 7, capabilities=capabilities, users=users)
    (tmp_path / "sys/fs").mkdir(parents=True)
    (tmp_path / "sys/fs/nr_open").write_text("1048576\n")
    assert rlimits.may_raise(7, tmp_path) is may
    assert rlimits.most("nofile", 7, tmp_path) == (1048576 if may else 20000)


def test_the_engine_is_found_by_name(tmp_path: Path) -> None:
    """Also one whose name the kernel cuts."""
    process(tmp_path, 12, name="dockerd")
    process(tmp_path, 13, name="containerd-shim"[:15])
    assert rlimits.processes("dockerd", proc=tmp_path) == [12]
    assert rlimits.processes("containerd-shim-runc-v2", proc=tmp_path) == [13]


def test_what_is_reachable_is_what_the_kernel_grants() -> None:
    """The number that is told can be had, and this process stays as it was."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    most, bound = rlimits.reachable("nofile", [before[1] + 1])
    assert rlimits.granted("nofile", min(most, before[1]))
    assert bound
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
    if not rlimits.may_raise("self"):
        assert most <= before[1]
        assert not rlimits.granted("nofile", before[1] + 1)


def docker(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `docker` this script."""
    path = directory / "docker"
    path.write_text(script)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")


def test_an_engine_says_its_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers alone, whatever stands around them."""
    script = (
        "#!/bin/sh\ncase $1 in version) echo 20.10.24+dfsg1;; compose) echo v2.26.1;; "
        "buildx) echo github.com/docker/buildx v0.13.1 0.13.1;; esac\n"
    )
    docker(tmp_path, script, monkeypatch)
    expected: dict[str, Any] = {"version": "20.10.24+dfsg1", "compose": "2.26.1", "buildx": "0.13.1", "hangs": False}
    assert host_state.engine()() == expected


def test_an_engine_that_does_not_answer_is_null(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that fails, or is no program at all."""
    for script in ("#!/bin/sh\nexit 1\n", "\x7fELF of another machine"):
        docker(tmp_path, script, monkeypatch)
        assert set(host_state.engine()().values()) == {None, False}


def test_an_engine_that_hangs_is_left_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All questions together take no longer than one, and nothing that was started stays behind."""
    docker(tmp_path, "#!/bin/sh\nsleep 301.7\n", monkeypatch)
    monkeypatch.setattr(host_state, "ENGINE_S", 0.3)
    began = time.monotonic()
    assert host_state.engine()()["hangs"]
    assert time.monotonic() - began < 2
    assert subprocess.run(["pgrep", "-f", "sleep 301.7"], capture_output=True).returncode == 1
