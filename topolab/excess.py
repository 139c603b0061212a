"""Excess: what becomes of requests beyond those that were planned for, as the model says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from topolab.ledger import Ledger
from topolab.model import predict
from topolab.plan import Plan

Fate = Literal["refused at once", "told late", "left outside", "waits", "runs as well", "descriptors run out"]
FATES: tuple[Fate, ...] = get_args(Fate)

SAID: dict[Fate, str] = {
    "refused at once": "answered or closed at once",
    "told late": "told when a time-out has passed",
    "left outside": "left with a connect that hangs",
    "waits": "taken in without a bound, and waits",
    "runs as well": "run as well: nothing bounds it before descriptors do",
    "descriptors run out": "taken in until descriptors run out",
}


@dataclass(frozen=True, slots=True)
class Excess:
    """`waiting` wait; whoever comes then gets `fate`. `ledger`: where all of them stand."""

    fate: Fate
    waiting: int
    ledger: Ledger


def excess(plan: Plan, requests: int) -> Excess:
    """The fate of so many, of which most are more than was planned for."""
    predicted = predict(plan.asking(requests), requests)
    ledger = predicted.ledger
    waiting = sum(place.count for place in ledger if place.place in ("waiting", "accept_queue"))
    return Excess(_fate(plan, ledger, predicted.bound_by), waiting, ledger)


def _fate(plan: Plan, ledger: Ledger, bound_by: str | None) -> Fate:
    turned_away = sum(ledger.at("client", place).count for place in ("error", "reset", "refused"))
    outside = ledger.at("client", "unanswered").count
    connecting = ledger.at("front", "connecting").count
    front = plan.front.server.front if plan.front else None
    tried_again = front and front.when_app_full[plan.listen] == "waiting" and ledger.at("front", "waiting").count
    if (bound_by or "").rpartition(".")[2] == "nofile" and (turned_away or outside or connecting):
        return "descriptors run out"
    if connecting or tried_again:
        return "told late"
    if outside:
        return "left outside"
    if turned_away:
        return "refused at once"
    return "waits" if any(place.place != "handler" for place in ledger) else "runs as well"
