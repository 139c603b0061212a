"""What an artefact is: a server, a naive harness, the figure that it gets wrong, and the finding that catches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from topolab.artefacts import Quantity
from topolab.experiments.artefacts.harness import Harness
from topolab.ledger import Ledger
from topolab.loads import Lap, Offered
from topolab.results import FindingCode


@dataclass(frozen=True, slots=True)
class Case:
    """One artefact. `naive` is what its harness believes to offer, `ours` what the instrument offers instead.

    `says` gives the figure as the harness tells it, and as it is: from both laps and, with `held`, from where so many
    requests stand. `factor`: what it is off by at least.
    """

    name: str
    title: str
    published: str
    again: str
    instead: str
    topology: str
    sets: tuple[str, ...]
    client: Callable[[Harness, int], None]  # one client of the naive harness, by its number
    naive: Offered
    ours: Offered
    figure: str
    quantity: Quantity
    says: Callable[[Lap, Lap, Ledger], tuple[float, float]]
    factor: float
    caught_by: tuple[FindingCode, ...]
    held: int = 0  # so many requests are held as well, to see where they stand
