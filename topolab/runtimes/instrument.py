"""Runs the instrument as a child, asks it for one experiment after the other, and reads its JSON lines."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from topolab.errors import LabError
from topolab.runtimes.base import Ask, Event

STARTS = 3
STOP_S = 5.0  # an instrument that does not stop at SIGTERM within this time is killed


class _NotStarted(LabError):
    """It ended without an event."""


@dataclass(slots=True)
class Instrument:
    """It is started when it is first asked for something, or before. As a context it is what answers, and ends with it.

    Its standard input is a pipe that ends with the lab (`--watch-stdin`), so that it can't outlive it. With `cpus` it
    may use only these. `again`: what is said (one of these) where it could not be started, and may be a moment later.
    """

    command: Sequence[str]
    environment: Mapping[str, str] | None = None
    cpus: Sequence[int] = ()
    again: Sequence[str] = ()
    commentary: IO[str] = field(default_factory=functools.partial(tempfile.TemporaryFile, "w+"))  # its standard error
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    heard: bool = False  # whether the last one that was started has said something

    def ask(self, words: Sequence[str]) -> Iterator[Event]:
        """The events of one experiment, the last of them its result."""
        while True:
            if not self.started:
                self.start()
            try:
                yield from self._events(words)
                return
            except _NotStarted as failed:
                said = " ".join(failed.details)
                if not any(text in said for text in self.again) or len(self.started) == STARTS:
                    raise
                self.commentary.seek(0)
                self.commentary.truncate()
                self.start()

    def __enter__(self) -> Ask:
        return self.ask

    def __exit__(self, *_how: object) -> None:
        self.end()

    def end(self) -> None:
        """Ends what was started, and waits for it."""
        for process in self.started:
            _end(process)
        self.commentary.close()

    def start(self) -> None:
        self.heard = False
        with _on(self.cpus):
            process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.commentary, text=True,
                env=self.environment,
                process_group=0,  # Ctrl-C is the lab's to handle: it stops the instrument, then the stack
            )  # fmt: skip
        self.started.append(process)

    def _events(self, words: Sequence[str]) -> Iterator[Event]:
        process = self.started[-1]
        assert process.stdin
        assert process.stdout
        with contextlib.suppress(BrokenPipeError):  # it has ended: how, is seen below
            process.stdin.write(json.dumps(words) + "\n")
            process.stdin.flush()
        for line in process.stdout:
            self.heard = True
            event: Event = json.loads(line)
            if event.get("event") == "failed":
                raise LabError(f"The instrument could not measure: {event['message']}")
            yield event
            if event.get("event") == "result":
                return
        returncode = process.wait()
        self.commentary.seek(0)
        lines = tuple(self.commentary.read().splitlines()[-8:])
        how = f"was killed by signal {-returncode}" if returncode < 0 else f"ended with status {returncode}"
        kind = LabError if self.heard else _NotStarted
        raise kind(f"The instrument {how} before it had a result. Run it again.", details=lines)


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
            with contextlib.suppress(BrokenPipeError):  # words that it did not take any more
                pipe.close()
