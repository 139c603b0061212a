"""Starts the instrument as a runtime does: as a program, told by its command line, read by its JSON lines."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.instrument.servers import free_port

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """An instrument that has ended."""

    events: list[dict[str, Any]]
    returncode: int
    stderr: str

    @property
    def result(self) -> dict[str, Any]:
        assert self.events[-1]["event"] == "result", (self.events[-1], self.stderr)
        return self.events[-1]

    @property
    def ledger(self) -> dict[str, int]:
        """Whole: places that are not here hold nobody."""
        return {f"{place['service']}.{place['place']}": place["count"] for place in self.result["places"]}

    @property
    def queues(self) -> dict[str, tuple[int, int, int]]:
        """Recv-Q, Send-Q and our own count of each listener."""
        return {
            queue["service"]: (queue["recv_q"], queue["send_q"], queue["unaccepted"])
            for queue in self.result["listeners"]
        }


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "topolab.instrument", "capacity", *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), **options
    )


def run(*arguments: object, descriptors: int | None = None) -> Ended:
    def limit() -> None:
        if descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

    with start(*arguments, preexec_fn=limit) as process:
        try:
            stdout, stderr = process.communicate(timeout=60)
        finally:
            process.kill()
    return Ended([json.loads(line) for line in stdout.splitlines()], process.returncode, stderr)


def finish(process: subprocess.Popen[str]) -> Ended:
    """Reads the events that are left."""
    assert process.stdout
    assert process.stderr
    events = [json.loads(line) for line in process.stdout]
    return Ended(events, process.wait(), process.stderr.read())


def read_until(process: subprocess.Popen[str], phase: str) -> None:
    """Reads events up to the first of this phase."""
    assert process.stdout
    for line in process.stdout:
        if json.loads(line).get("phase") == phase:
            return
    raise AssertionError(f"ended before {phase}: {process.stderr.read() if process.stderr else ''}")


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(condition: Callable[[], bool], deadline_s: float = 5.0) -> bool:
    deadline = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def gate() -> int:
    """A port for the gate."""
    return free_port()
