"""The tables of docs/limits.md: the named sets, and what few descriptors and a short somaxconn did."""

from __future__ import annotations

from topolab.facts import Facts
from topolab.reports import words
from topolab.reports.cells import table
from topolab.results import CapacityRun
from topolab.topology import Catalog


def sets(_facts: Facts, catalog: Catalog) -> str:
    """Each set of limits.yaml with what it says itself; what it does not say, it has from the set it extends."""
    found = catalog.limit_sets.sets
    rows = [
        (
            name,
            one.summary,
            ", ".join(f"{limit} {entry.value}" for limit, entry in one.limits.items()) or "-",
            one.extends or "-",
        )
        for name, one in found.items()
    ]
    return table(("Set", "What it is", "Its values", "The rest from"), rows)


def descriptors(facts: Facts, catalog: Catalog) -> str:
    """300 requests at 256 descriptors, of every topology."""
    return _under("article-macos", facts, catalog)


def old_kernel(facts: Facts, catalog: Catalog) -> str:
    """300 requests at somaxconn 128."""
    return _under("old-kernel", facts, catalog)


def _under(limits_name: str, facts: Facts, catalog: Catalog) -> str:
    """The proof's cells under these limits."""
    rows = []
    for run in facts.proved(catalog.names).runs:
        if run.asked.limits_name == limits_name:
            outside = sum(place.count for place in run.measured.ledger if place.service == "client")
            rows.append((run.topology, _told(run), words.number(outside), words.bound(run)))
    return table(("Topology", "Where they stood", "Turned away or outside", "Bound by"), sorted(rows))


def _told(run: CapacityRun) -> str:
    return words.phrase(run.measured.ledger, with_service=words.fronted(run))


MADE = {"limit-sets": sets, "descriptors": descriptors, "old-kernel": old_kernel}
