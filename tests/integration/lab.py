"""The command as a person types it, with records and results of its own, and what it leaves running."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

TOPOLAB = Path(sys.executable).parent / "topolab"
DEADLINE_S = 60.0


@dataclass(frozen=True)
class Result:
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Lab:
    """The command line of the lab, with a state directory and a results directory of its own."""

    home: Path

    def environment(self, **more: str) -> dict[str, str]:
        mine = {"TOPOLAB_STATE": str(self.home / "state"), "TOPOLAB_RESULTS": str(self.home / "results")}
        return {**os.environ, **mine, **more}

    def start(self, *words: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        """A command in the background, in a process group of its own."""
        return subprocess.Popen(
            [TOPOLAB, *words], env=self.environment(**environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, process_group=0, cwd=cwd, preexec_fn=_heeds,
        )  # fmt: skip

    def run(self, *words: str, cwd: Path | None = None, **environment: str) -> Result:
        """A command to its end."""
        return ended(self.start(*words, cwd=cwd, **environment))

    def processes(self) -> list[psutil.Process]:
        """Every process that belongs to a stack or a supervisor of this lab: it says so, or writes into its files."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                traces = [*process.cmdline(), process.environ().get("TOPOLAB_STACK", "")]
                with contextlib.suppress(OSError):  # a process that is just ending has no descriptors any more
                    traces.append(str(Path(f"/proc/{process.pid}/fd/2").readlink()))
                if str(self.home / "state") in " ".join(traces) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def stored(self) -> list[Path]:
        return sorted((self.home / "results").glob("*.json"))


def _heeds() -> None:
    """Signals as in a terminal, also where pytest itself runs below `nohup` or in the background of a script."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def ended(process: subprocess.Popen[str]) -> Result:
    """A started command, waited for."""
    try:
        out, err = process.communicate(timeout=DEADLINE_S * 3)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Result(process.returncode, out, err)


def until(condition: Callable[[], Any], what: str) -> Any:
    """Waits for a condition; fails by name when it does not come."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"did not happen within {DEADLINE_S:.0f} s: {what}")


def instrument_of(process: subprocess.Popen[str]) -> psutil.Process | None:
    """The instrument at work, among a command's children: with children of its own, as it starts before the servers
    are up; or the `docker compose run instrument` it is in.
    """
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        return next(
            (
                child
                for child in children
                if "instrument" in child.cmdline() or ("topolab.instrument" in child.cmdline() and child.children())
            ),
            None,
        )
    except psutil.Error:
        return None


def has_ended(process: psutil.Process) -> bool:
    """Whether it runs no more; one that its parent (or init, in its own time) has not reaped yet has ended as well."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def places(run: dict[str, Any]) -> dict[str, int]:
    """A run's measured ledger, by "service place"."""
    return {f"{place['service']} {place['place']}": place["count"] for place in run["measured"]["places"]}
