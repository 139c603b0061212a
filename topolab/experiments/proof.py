"""Proof: every topology at its defaults, at other settings and under other limits; does each prediction hold?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from topolab.plan import Plan, resolve
from topolab.runtimes.base import RuntimeName
from topolab.topology import Catalog

# Each topology is proved under these limits, in the runtime that can set them.
LIMIT_SETS: tuple[tuple[str, RuntimeName], ...] = (("article-macos", "process"), ("old-kernel", "compose"))


@dataclass(frozen=True, slots=True)
class Cell:
    """One prediction to prove."""

    plan: Plan
    runtime: RuntimeName


def cells(catalog: Catalog, names: Sequence[str]) -> Iterator[Cell]:
    """For each topology: 1,000 requests at its defaults, the cases of its own file, and each of the limit sets."""
    for name in names:
        yield Cell(resolve(catalog, name), "process")
        for case in catalog.topology(name).proof:
            sets = [
                f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in case.set.items()
            ]
            yield Cell(resolve(catalog, name, sets=sets, requests=case.requests), "process")
        for limits_name, runtime in LIMIT_SETS:
            yield Cell(resolve(catalog, name, limits_name=limits_name, requests=300), runtime)
