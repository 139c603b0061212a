"""What a generator notes in one lap: as little as possible while it runs; columns and quantiles afterwards."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from topolab.instrument.board import Fate
from topolab.instrument.span import Span

GOOD = 200  # the status of nearly all answers


@dataclass(slots=True)
class Tally:
    """Times are CLOCK_MONOTONIC in ns, 0 for what never came. Requests are in the order of their ends."""

    # Those that were answered with status 200. Lists: to append to an array takes four times as long, and in the closed
    # loop the end of one request is the same number, in memory, as the beginning of the next.
    due: list[int] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    # All others: due, sent, ended, fate, status.
    others: list[tuple[int, int, int, Fate, int]] = field(default_factory=list)
    lateness: list[int] = field(default_factory=list)  # of the open loop's sends that had a connection, in ns
    opened: int = 0  # connections, in the lap's counted time
    held_ns: int = 0  # the sum of the times that they were open in it
    short: int = 0  # connections that could not be opened for lack of descriptors or ports


@dataclass(frozen=True, slots=True)
class Summary:
    """A lap's counted requests. `columns` as in `RawLap.samples`, not compressed."""

    count: int
    responses: int
    opened: int
    held: float
    lateness_p50_s: float
    lateness_p99_s: float
    lateness_max_s: float
    short: int
    columns: bytes


def summary(tally: Tally, span: Span) -> Summary:
    """Of the requests that were due in the span's counted time; their times count from its beginning."""
    zero = span.from_ns
    rows = [
        (due, sent, ended, Fate.ANSWERED, GOOD)
        for due, sent, ended in zip(tally.due, tally.sent, tally.ended, strict=True)
        if zero <= due < span.to_ns
    ]
    rows += [row for row in tally.others if zero <= row[0] < span.to_ns]
    # 0 says that it never came: what came in the very nanosecond in which the count began came in the next.
    columns = (
        array("q", [row[0] - zero for row in rows]).tobytes(),
        array("q", [max(1, row[1] - zero) if row[1] else 0 for row in rows]).tobytes(),
        array("q", [max(1, row[2] - zero) if row[2] else 0 for row in rows]).tobytes(),
        bytes([row[3] for row in rows]),
        array("H", [row[4] for row in rows]).tobytes(),
    )
    late = sorted(tally.lateness)
    return Summary(
        count=len(rows),
        responses=sum(row[3] in (Fate.ANSWERED, Fate.ERROR) for row in rows),
        opened=tally.opened,
        held=round(tally.held_ns / (span.to_ns - zero), 2),
        lateness_p50_s=quantile_s(late, 0.5),
        lateness_p99_s=quantile_s(late, 0.99),
        lateness_max_s=quantile_s(late, 1.0),
        short=tally.short,
        columns=b"".join(columns),
    )


def quantile_s(ordered: Sequence[int], share: float) -> float:
    """Of nanoseconds, in seconds; 0 of nothing."""
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1e9, 7) if ordered else 0.0
