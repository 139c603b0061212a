"""The identity experiment: who serves successive and concurrent requests, and who waits although a worker is free."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from topolab.behaviours import Crossing, Identity, Served
from topolab.instrument.asked import IdentityAsked
from topolab.instrument.board import Fate
from topolab.instrument.events import Events
from topolab.instrument.exchange import Answer, Due, exchange, most_at_once
from topolab.instrument.processes import Team, raise_descriptor_limit
from topolab.instrument.settling import until_settled

PATH = "/whoami?ms={ms:g}"
LONG_EVERY = 10  # one request of so many is long
NS = 1_000_000_000


def identity(asked: IdentityAsked, events: Events) -> Identity:
    """Asks one after the other, then all at once, then short and long ones mixed."""
    raise_descriptor_limit()
    with Team(watch_stdin=asked.watch_stdin) as team:
        until_settled(asked, team, events)
        successive = _one_by_one(asked, team, events)
        concurrent = exchange(
            asked.stack.entry, [Due(PATH.format(ms=asked.concurrent_ms))] * asked.concurrent, team,
            deadline_s=asked.deadline_s, on_done=lambda done, of: events.progress("at once", done, of),
        )  # fmt: skip
        mixed = exchange(
            asked.stack.entry, _mixed(asked), team, deadline_s=asked.deadline_s,
            on_done=lambda done, of: events.progress("mixed", done, of),
        )  # fmt: skip
    return Identity(_served(successive), _served(concurrent), _crossing(asked, mixed) if mixed else None)


def _one_by_one(asked: IdentityAsked, team: Team, events: Events) -> list[Answer]:
    """Up to the first that never ends, if any: those after it would wait as long."""
    answers: list[Answer] = []
    while len(answers) < asked.successive and not any(answer.pending for answer in answers):
        answers += exchange(asked.stack.entry, [Due(PATH.format(ms=0))], team, deadline_s=asked.deadline_s)
        events.progress("one by one", len(answers), asked.successive)
    return answers


def _mixed(asked: IdentityAsked) -> list[Due]:
    """Open loop at a constant rate, every tenth request long."""
    step = NS / asked.rate if asked.rate else 0
    return [
        Due(PATH.format(ms=asked.short_ms if number % LONG_EVERY else asked.long_ms), int(number * step))
        for number in range(asked.mixed)
    ]


def _served(answers: Sequence[Answer]) -> Served:
    said = [_said(answer) for answer in answers if answer.fate == Fate.ANSWERED]
    processes = Counter(one["pid"] for one in said)
    return Served(
        requests=len(answers),
        answered=len(said),
        processes=len(processes),
        native_threads=len({(one["pid"], one["native"]) for one in said}),
        units=len({one["token"] for one in said}),
        at_once=most_at_once((one["began_ns"], one["ended_ns"]) for one in said),
        per_process=tuple(sorted(processes.values(), reverse=True)),
    )


@dataclass(frozen=True, slots=True)
class _View:
    """When a view ran, and where."""

    pid: int
    due_ns: int
    began_ns: int
    ended_ns: int


def _crossing(asked: IdentityAsked, answers: Sequence[Answer]) -> Crossing:
    views = [
        _View(said["pid"], answer.due_ns, said["began_ns"], said["ended_ns"])
        for answer in answers
        if answer.fate == Fate.ANSWERED
        for said in [_said(answer)]
    ]
    threshold_ns = int(asked.threshold_s * NS)
    late = [view for view in views if view.began_ns - view.due_ns >= threshold_ns]
    misplaced = sum(_free_ns(view, views, asked.handlers) >= threshold_ns for view in late)
    waits = sorted(max(0, view.began_ns - view.due_ns) / NS for view in views)
    return Crossing(
        requests=len(answers),
        answered=len(views),
        handlers=asked.handlers,
        threshold_s=asked.threshold_s,
        waited=len(late),
        misplaced=misplaced,
        wait_p50_s=round(_at(waits, 0.5), 4),
        wait_p99_s=round(_at(waits, 0.99), 4),
        wait_max_s=round(_at(waits, 1.0), 4),
    )


def _free_ns(waiting: _View, views: Iterable[_View], handlers: int) -> int:
    """For how long, while that request waited, another process had a handler free."""
    longest = 0
    for pid in {view.pid for view in views} - {waiting.pid}:
        changes = []
        for view in views:
            if view.pid == pid and view.began_ns < waiting.began_ns and view.ended_ns > waiting.due_ns:
                changes += [(max(view.began_ns, waiting.due_ns), 1), (min(view.ended_ns, waiting.began_ns), -1)]
        free, busy, since = 0, 0, waiting.due_ns
        for moment, change in sorted(changes):
            free += (moment - since) * (busy < handlers)
            busy, since = busy + change, moment
        longest = max(longest, free + (waiting.began_ns - since) * (busy < handlers))
    return longest


def _said(answer: Answer) -> Any:
    return json.loads(answer.body)


def _at(ordered: Sequence[float], quantile: float) -> float:
    """0 of nothing."""
    return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))] if ordered else 0.0
