"""Programs that threads wait for, and how all of them are ended."""

from __future__ import annotations

import concurrent.futures
import subprocess
import threading
import time
from pathlib import Path

import psutil
import pytest

from topolab.errors import LabError
from topolab.runtimes.programs import Programs

SLEEPS = ["sh", "-c", 'sleep 600 & echo $! > "$0"; wait']  # with a child of its own, whose pid it writes


def child(file: Path) -> int:
    """The pid that such a program has written."""
    deadline = time.monotonic() + 10
    while not (file.exists() and file.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(file.read_text())


def gone(pid: int) -> bool:
    """Whether it has ended, or ends within a moment: init may reap it later."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.01)
    return False


def test_a_program_is_run_to_its_end() -> None:
    """What it prints and how it ends comes back, as from `subprocess.run`."""
    script = "echo out; echo err >&2; exit 3"
    done = Programs().run(["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_all_are_ended_at_once(tmp_path: Path) -> None:
    """Threads that wait for programs get an error, no child of a program is left, and no further one starts."""
    programs = Programs()
    files = [tmp_path / name for name in ("one", "two")]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = [pool.submit(programs.run, [*SLEEPS, str(file)]) for file in files]
        children = [child(file) for file in files]
        programs.end()
        for future in waiting:
            assert isinstance(future.exception(timeout=10), LabError)
    assert all(gone(pid) for pid in children)
    with pytest.raises(LabError, match="interrupted"):
        programs.run(["touch", str(tmp_path / "three")])
    assert not (tmp_path / "three").exists()


def test_one_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    """After its time the whole group is killed, and the others go on."""
    programs = Programs()
    other = threading.Thread(target=programs.run, args=[["sleep", "0.5"]])
    other.start()
    with pytest.raises(subprocess.TimeoutExpired):
        programs.run([*SLEEPS, str(tmp_path / "one")], timeout_s=0.3)
    assert gone(child(tmp_path / "one"))
    other.join(10)
    assert programs.run(["true"]).returncode == 0
