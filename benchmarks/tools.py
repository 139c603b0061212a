"""The load generators that ours is measured against, as a person would start them, each on one CPU."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from topolab import packages, paths
from topolab.errors import LabError

PROGRAMS = {"wrk": "wrk", "hey": "hey", "ab": "apache2-utils", "nginx": "nginx-light"}  # and their Debian packages
FOLDER = Path(__file__).parent
LOCUST = paths.VENVS / "bench-locust"
LOCUSTFILE = """
from locust import FastHttpUser, task

class Client(FastHttpUser):
    @task
    def ask(self):
        self.client.get("/")
"""  # as quick as Locust gets: no pause between two requests


@dataclass(frozen=True, slots=True)
class Told:
    """What a generator says: good answers, seconds, its own CPU seconds, and p99 in seconds where it tells."""

    answers: int
    seconds: float
    cpu_s: float
    p99_s: float = 0.0

    @property
    def rate(self) -> float:
        return self.answers / self.seconds

    @property
    def cpu_each_s(self) -> float:
        return self.cpu_s / self.answers


def install() -> None:
    """Debian's packages as root, and Locust in a virtualenv of its own."""

    def say(line: str) -> None:
        print(f"  {line}", file=sys.stderr)

    wanted = sorted(package for program, package in PROGRAMS.items() if not packages.find(program))
    if wanted and os.geteuid():
        raise LabError(f"These are missing: {', '.join(wanted)}. Type: sudo apt-get install {' '.join(wanted)}")
    if wanted:
        packages.install([], wanted, say)
    lock, mark = FOLDER / "requirements.txt", LOCUST / ".complete"
    if not mark.exists() or mark.read_text() != lock.read_text():
        say("installing Locust")
        python = LOCUST / "bin/python"
        for words in (
            ["venv", "--quiet", "--clear", "--python", sys.executable, str(LOCUST)],
            ["pip", "install", "--quiet", "--require-hashes", "--python", str(python), "--requirements", str(lock)],
        ):
            subprocess.run([find_uv_bin(), *words], check=True)
        mark.write_text(lock.read_text())


def wrk(url: str, cpu: int, *, connections: int, seconds: int, keepalive: bool = True) -> Told:
    close = [] if keepalive else ["-H", "Connection: close"]
    out, cpu_s = _run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}", *close, url], cpu)
    found = re.search(r"(\d+) requests in ([\d.]+)(m?s),", out)
    if not found or "Non-2xx" in out:
        raise LabError(f"wrk says: {out}")
    return Told(int(found[1]), float(found[2]) / (1000 if found[3] == "ms" else 1), cpu_s)


def ab(url: str, cpu: int, *, connections: int, seconds: int) -> Told:
    out, cpu_s = _run(["ab", "-q", "-c", str(connections), "-t", str(seconds), "-n", "10000000", url], cpu)
    return Told(
        int(_number(r"Complete requests: +(\d+)", out)), _number(r"Time taken for tests: +([\d.]+)", out), cpu_s,
        _number(r"99% +(\d+)", out) / 1000,
    )  # fmt: skip


def hey(url: str, cpu: int, *, connections: int, seconds: int) -> Told:
    out, cpu_s = _run(["hey", "-c", str(connections), "-z", f"{seconds}s", url], cpu, GOMAXPROCS="1")
    return Told(
        int(_number(r"\[200\]\s+(\d+) responses", out)), _number(r"Total:\s+([\d.]+) secs", out), cpu_s,
        _number(r"99%+ in ([\d.]+) secs", out),
    )  # fmt: skip


def locust(url: str, cpu: int, *, connections: int, seconds: int) -> Told:
    """Its own statistics over its own run time; without the CPU time of its start, which is as long as its run."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "locustfile.py")
        file.write_text(LOCUSTFILE)
        out, _ = _run(
            [str(LOCUST / "bin/locust"), "--locustfile", str(file), "--headless", "--json", "--skip-log",
             "--users", str(connections), "--spawn-rate", str(connections), "--run-time", f"{seconds}s",
             "--host", url.rstrip("/")],
            cpu, HOME=folder,
        )  # fmt: skip
    [told] = json.loads(out[out.index("[") :])
    if told["num_failures"]:
        raise LabError(f"Locust had {told['num_failures']} failures.")
    took = told["last_request_timestamp"] - told["start_time"]
    return Told(told["num_requests"], took, took)  # it fills its core


def _run(command: Sequence[str], cpu: int, **environment: str) -> tuple[str, float]:
    """What a command prints, and the CPU seconds of it and its children."""
    before = os.times()
    result = subprocess.run(
        ["taskset", "--cpu-list", str(cpu), *command], capture_output=True, text=True, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    after = os.times()
    if result.returncode:
        raise LabError(f"{command[0]} ended with {result.returncode}: {result.stderr[-500:]}")
    return result.stdout, after.children_user + after.children_system - before.children_user - before.children_system


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if not found:
        raise LabError(f"nothing like {pattern} in: {text}")
    return float(found[1])
