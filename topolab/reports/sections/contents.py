"""All sections that a comparison has runs for, in the order of the page."""

from __future__ import annotations

from topolab.comparison import Comparison
from topolab.reports.sections import (
    behaviours,
    changes,
    claims,
    cost,
    distribution,
    glance,
    latency,
    memory,
    overload,
    throughput,
)  # fmt: skip
from topolab.reports.sections.doubts import Doubts
from topolab.reports.sections.shape import Section

_LOADS = (throughput, cost, latency, distribution, overload, memory)


def sections(comparison: Comparison, doubts: Doubts) -> tuple[Section, ...]:
    """What comes after the ledger; `glance` is apart, as it comes before it."""
    loads = (module.section(comparison, doubts) for module in _LOADS)
    found = (changes.section(comparison), *loads, *behaviours.sections(comparison, doubts), claims.section(comparison))
    return tuple(section for section in found if section)


def at_a_glance(comparison: Comparison, doubts: Doubts) -> Section | None:
    return glance.section(comparison, doubts)
