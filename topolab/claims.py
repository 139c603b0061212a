"""The result types of `topolab claims`: what others found, checked against today's releases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from topolab.results import FORMAT, Host

Held = Literal["still true", "no longer true", "true with a condition", "not checked"]
HELD: tuple[Held, ...] = get_args(Held)
Figure = int | float | str
Figures = Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class Checked:
    """One claim after its check. `not checked` says in `reason` why, and counts neither for the claim nor against it.

    `figures` are what was measured and what the verdict was computed from; `commands` measure some of them again.
    """

    name: str
    text: str
    source: str  # where in the releases its cause is
    verdict: Held
    figures: dict[str, Figure]
    reason: str
    seconds: float
    versions: dict[str, str]
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsRun:
    """All claims that were checked by one command."""

    experiment: Literal["claims"] = "claims"
    checked: tuple[Checked, ...]
    host: Host
    command: str
    started: str  # ISO 8601, UTC
    seconds: float
    format: int = FORMAT

    @property
    def name(self) -> str:
        """Names its file, as a `Run`'s."""
        return f"{self.started.replace(':', '').replace('-', '')}-claims"
