"""The result type of `topolab artefact`: a famous number that its harness had made itself, made again, and caught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from topolab.ledger import PlaceCount
from topolab.loads import Lap, Pins
from topolab.results import FindingCode, Run

Quantity = Literal["requests/s", "seconds", "clients"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtefactRun(Run):
    """What a naive harness says of a server, beside what is so.

    `naive` is the naive harness's own record, judged by the same checks as any lap: its findings are what catches it.
    `ours` is the instrument's lap on the same stack, with what it doubts itself. `caught_by`: those of the naive lap's
    findings that name this flaw.
    """

    experiment: Literal["artefact"] = "artefact"
    artefact: str
    title: str
    published: str  # what was published
    again: str  # how it is made again here
    instead: str  # what to do instead
    figure: str
    quantity: Quantity
    naive_says: float
    so_it_is: float
    naive: Lap
    ours: Lap
    caught_by: tuple[FindingCode, ...]
    places: tuple[PlaceCount, ...] = ()  # where that many requests stand, where that is the answer
    pins: Pins | None = None

    @property
    def off_by(self) -> float:
        """How many times too high or too low the naive figure is."""
        low, high = sorted((self.naive_says, self.so_it_is))
        return high / low if low else float("inf")
