"""Runs the instrument as a child and reads its JSON lines."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

from topolab.errors import LabError
from topolab.runtimes.base import Event

STARTS = 3
STOP_S = 5.0  # an instrument that does not stop at SIGTERM within this time is killed


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    cpus: Sequence[int] = (),
    again: Sequence[str] = (),
) -> Iterator[Iterator[Event]]:
    """The events of an instrument; leaving the context ends it.

    Its standard input is a pipe that ends with the lab (`--watch-stdin`), so that it can't outlive it. With `cpus` it
    may use only these. `again`: what is said (one of these) where it could not be started, and may be a moment later.
    """
    with tempfile.TemporaryFile("w+") as commentary:

        def start() -> subprocess.Popen[str]:
            with _on(cpus):
                return subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=commentary, text=True,
                    env=environment,
                    process_group=0,  # Ctrl-C is the lab's to handle: it stops the instrument, then the stack
                )  # fmt: skip

        started = [start()]

        def events() -> Iterator[Event]:
            while True:
                try:
                    yield from _events(started[-1], commentary)
                    return
                except _NotStarted as failed:
                    said = " ".join(failed.details)
                    if not any(text in said for text in again) or len(started) == STARTS:
                        raise
                    commentary.seek(0)
                    commentary.truncate()
                    started.append(start())

        try:
            yield events()
        finally:
            for process in started:
                _end(process)


class _NotStarted(LabError):
    """It ended without an event."""


@contextlib.contextmanager
def _on(cpus: Sequence[int]) -> Iterator[None]:
    """This thread on these CPUs for a moment: what it starts meanwhile stays on them. They may be refused."""
    before = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):
        if cpus:
            os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()


def _events(process: subprocess.Popen[str], commentary: IO[str]) -> Iterator[Event]:
    assert process.stdout
    kind: type[LabError] = _NotStarted
    for line in process.stdout:
        kind = LabError
        event: Event = json.loads(line)
        if event.get("event") == "failed":
            raise LabError(f"The instrument could not measure: {event['message']}")
        yield event
        if event.get("event") == "result":
            return
    returncode = process.wait()
    commentary.seek(0)
    lines = tuple(commentary.read().splitlines()[-8:])
    how = f"was killed by signal {-returncode}" if returncode < 0 else f"ended with status {returncode}"
    raise kind(f"The instrument {how} before it had a result. Run it again.", details=lines)
