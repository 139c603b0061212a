"""A lap's moments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from topolab.loads import Offered


@dataclass(frozen=True, slots=True)
class Span:
    """CLOCK_MONOTONIC in ns: the first request, and the time in which what is due counts, without its last moment."""

    begin_ns: int
    from_ns: int
    to_ns: int

    @classmethod
    def of(cls, offered: Offered, begin_ns: int) -> Self:
        from_ns = begin_ns + int(offered.warmup_s * 1e9)
        return cls(begin_ns, from_ns, from_ns + int(offered.seconds * 1e9))
