"""One claim: what was said, what to measure, and what to make of that."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from topolab.claims import Checked, Figure, Figures, Held
from topolab.errors import LabError
from topolab.experiments.bench import Bench, Stood
from topolab.runtimes.base import RuntimeName

Judged = tuple[Held, str]  # a verdict, and the reason in one or two sentences
TRUE: Held = "still true"
FALSE: Held = "no longer true"
CONDITION: Held = "true with a condition"
UNCHECKED: Held = "not checked"


@dataclass(frozen=True, slots=True)
class Claim:
    """One finding: what was said, where its cause is, what to measure, and what to make of that."""

    name: str
    text: str
    source: str
    needs: tuple[tuple[RuntimeName, str], ...]  # topologies that it brings up, and where
    measure: Callable[[Bench], dict[str, Figure]]
    judge: Callable[[Figures], Judged]


def check(claim: Claim, bench: Bench) -> Checked:
    """Measures and judges. What fails is `not checked`, with the reason."""
    began = time.monotonic()
    bench.begin()
    figures: dict[str, Figure] = {}
    try:
        figures = claim.measure(bench)
        verdict, reason = claim.judge(figures)
    except LabError as error:
        verdict, reason = UNCHECKED, " ".join([str(error), *error.details])
    seconds = round(time.monotonic() - began, 1)
    return Checked(
        claim.name, claim.text, claim.source, verdict, figures, reason, seconds, bench.versions, tuple(bench.commands)
    )


def check_all(claims: Sequence[Claim], bench: Bench, on_start: Callable[[Claim, int], None]) -> Iterator[Checked]:
    """One after the other; each result at once."""
    for number, claim in enumerate(claims, 1):
        on_start(claim, number)
        yield check(claim, bench)


def here(*names: str) -> tuple[tuple[RuntimeName, str], ...]:
    """These topologies, as local processes."""
    return tuple(("process", name) for name in names)


def places(stood: Stood) -> dict[str, Figure]:
    """Where the requests stood, as figures."""
    return {
        "requests": stood.run.asked.requests,
        "handler": stood.at("handler"),
        "queued": stood.at("accept_queue", "waiting"),
        "unanswered": stood.at("unanswered"),
        "failed": stood.at("error", "reset", "refused"),
    }
