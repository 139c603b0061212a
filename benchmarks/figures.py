"""What a benchmark prints, and how it runs commands."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One number beside its bound; both in `unit`."""

    what: str
    got: float
    bound: float
    unit: str
    note: str = ""
    at_least: bool = False

    @property
    def missed(self) -> bool:
        return self.got < self.bound if self.at_least else self.got > self.bound

    def __str__(self) -> str:
        verdict = "MISSED" if self.missed else "ok"
        most = "at least" if self.at_least else "at most"
        return f"{self.what:<52} {self.got:8.2f} {self.unit:<4} {most} {self.bound:g}  {verdict}  {self.note}"


def timed(
    *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, suspect: bool = False
) -> tuple[float, str]:
    """Seconds that a command took, and its stdout. It must succeed; `suspect`: what it measured may be SUSPECT."""
    started = time.monotonic()
    result = subprocess.run(
        command, cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if result.returncode not in ((0, 1) if suspect else (0,)):
        sys.exit(f"{' '.join(map(str, command))} ended with {result.returncode}:\n{result.stdout}\n{result.stderr}")
    return time.monotonic() - started, result.stdout
