"""What the process that generates load hands over to the coordinator, lap by lap."""

from __future__ import annotations

import mmap
import os
import pickle

from topolab.instrument.span import Span
from topolab.instrument.tally import Summary


class Handover:
    """Moments in shared memory, for the coordinator to read whenever it likes; the summary in a file in memory."""

    def __init__(self) -> None:
        self._cells = memoryview(mmap.mmap(-1, 40)).cast("q")  # laps begun, laps done; moments of the last one begun
        self._file = os.memfd_create("topolab-lap")

    @property
    def begun(self) -> int:
        """How many laps have begun."""
        return self._cells[0]

    @property
    def done(self) -> int:
        """How many laps have been handed over."""
        return self._cells[1]

    @property
    def span(self) -> Span:
        """Of the last lap that has begun."""
        return Span(*self._cells[2:])

    def begin(self, span: Span) -> None:
        """By the generator."""
        self._cells[2], self._cells[3], self._cells[4] = span.begin_ns, span.from_ns, span.to_ns
        self._cells[0] += 1

    def give(self, summary: Summary) -> None:
        """By the generator."""
        with open(self._file, "wb", closefd=False) as file:
            file.seek(0)
            file.truncate()
            pickle.dump(summary, file)
        self._cells[1] += 1

    def take(self) -> Summary:
        """By the coordinator, of the last lap that is done."""
        with open(self._file, "rb", closefd=False) as file:
            file.seek(0)
            summary: Summary = pickle.load(file)  # of our own child's making
        return summary
