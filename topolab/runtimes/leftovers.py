"""Finds and ends the processes of a stack when nothing but their own traces is left of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

MARK = "TOPOLAB_STACK"  # in the environment of every server process: the directory of its stack


def supervisor_of(directory: Path) -> psutil.Process | None:
    """The running supervisor of the stack in that directory."""
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if command[-2:] == ["topolab.runtimes.supervisor", str(directory)]:
            return process
    return None


def processes_of(directory: Path) -> list[psutil.Process]:
    """Every process that carries the stack's mark in its environment, or writes its stderr into the stack's logs.

    The latter for nginx, which writes its title over its environment.
    """
    mark = str(directory)
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark or _stderr_of(process).startswith(f"{mark}/"):
                found.append(process)
    return found


def _stderr_of(process: psutil.Process) -> str:
    return str(Path(f"/proc/{process.pid}/fd/2").readlink())


def wait_gone(processes: Sequence[psutil.Process], seconds: float) -> None:
    """Until all have ended (one that its parent has not reaped yet has); after that time, kills the rest."""
    deadline = time.monotonic() + seconds
    while left := [process for process in processes if _runs(process)]:
        if time.monotonic() > deadline:
            kill(left)
            return
        time.sleep(0.01)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill(processes: Sequence[psutil.Process]) -> None:
    """SIGKILL to each that is still there."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
