"""What the instrument says on standard output: one JSON object per line."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Literal

from topolab.results import to_json

Phase = Literal[
    "settling", "opening", "resting", "census", "holding", "releasing", "one by one", "at once", "mixed", "watching",
    "loading", "calibrating",
]  # fmt: skip
EVERY_S = 0.1


class Events:
    """Progress, at most ten times a second and at the end of each phase, and one result or failure."""

    def __init__(self) -> None:
        self._said: tuple[Phase, int] | None = None
        self._said_s = 0.0

    def progress(self, phase: Phase, done: int, of: int) -> None:
        now = time.monotonic()
        due = now - self._said_s >= EVERY_S or done >= of or self._said is None or self._said[0] != phase
        if due and self._said != (phase, done):
            self._said, self._said_s = (phase, done), now
            self._write({"event": "progress", "phase": phase, "done": done, "of": of})

    def result(self, result: Any) -> None:
        self._write({"event": "result", **to_json(result)})

    def failed(self, message: str) -> None:
        self._write({"event": "failed", "message": message})

    @staticmethod
    def _write(event: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()
