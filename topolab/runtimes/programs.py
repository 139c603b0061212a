"""Programs that threads run to their end; whoever waits for those threads can end all of them at once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from typing import Any

from topolab.errors import LabError


class Programs:
    """Runs programs, from any thread, until `end`: that kills what runs, and from then on none starts.

    A thread can't be interrupted where it waits for a program; so its program is ended, and the thread goes on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: list[subprocess.Popen[str]] = []
        self._over = False

    def run(
        self, words: Sequence[str], *, timeout_s: float | None = None, **how: Any
    ) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run` does it, but in a process group of its own, all of which is killed where one is.

        Raises `LabError` where the programs were ended meanwhile, or before.
        """
        with self._lock:
            self.require_wanted()
            process = subprocess.Popen(words, text=True, stdin=subprocess.DEVNULL, process_group=0, **how)
            self._running.append(process)
        with process:
            try:
                out, err = process.communicate(timeout=timeout_s)
            except BaseException:
                _kill(process)
                raise
            finally:
                with self._lock:
                    self._running.remove(process)
        self.require_wanted()
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def require_wanted(self) -> None:
        """Raises `LabError` after `end`."""
        if self._over:
            raise LabError("It was interrupted.")

    def end(self) -> None:
        """Kills every program that runs, with what it has started itself; no other starts."""
        with self._lock:
            self._over = True
            for process in self._running:
                _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
