"""Runs the instrument as a child and reads its JSON lines."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

from topolab.errors import LabError
from topolab.runtimes.base import Event

STOP_S = 5.0  # an instrument that does not stop at SIGTERM within this time is killed


@contextlib.contextmanager
def running(command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> Iterator[Iterator[Event]]:
    """The events of an instrument; leaving the context ends it.

    Its standard input is a pipe that ends with the lab (`--watch-stdin`), so that it can't outlive it.
    """
    with tempfile.TemporaryFile("w+") as commentary:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=commentary, text=True, env=environment,
            process_group=0,  # Ctrl-C is the lab's to handle: it stops the instrument, then the stack
        )  # fmt: skip
        try:
            yield _events(process, commentary)
        finally:
            _end(process)


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
    for line in process.stdout:
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
    raise LabError(f"The instrument {how} before it had a result. Run it again.", details=lines)
