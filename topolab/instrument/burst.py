"""The burst experiment: how long do instant requests wait that all come at once to an idle server?"""

from __future__ import annotations

from collections import Counter

from topolab.behaviours import Burst
from topolab.instrument.asked import BurstAsked
from topolab.instrument.board import Fate
from topolab.instrument.events import Events
from topolab.instrument.exchange import Answer, Due, exchange
from topolab.instrument.processes import Team, raise_descriptor_limit
from topolab.instrument.settling import until_settled

SLOW_S = 0.9  # the kernel repeats a dropped handshake after 1 s


def burst(asked: BurstAsked, events: Events) -> Burst:
    """Opens them as fast as it can, and follows each to its end."""
    raise_descriptor_limit()
    with Team(watch_stdin=asked.watch_stdin) as team:
        until_settled(asked, team, events)
        answers = exchange(
            asked.stack.entry, [Due("/healthz")] * asked.requests, team,
            deadline_s=asked.deadline_s, on_done=lambda done, of: events.progress("at once", done, of),
        )  # fmt: skip
    took = sorted((answer.ended_ns - answer.opened_ns) / 1e9 for answer in answers if answer.fate == Fate.ANSWERED)
    pending = sum(answer.pending for answer in answers)
    failed = Counter(_end(answer) for answer in answers if not answer.pending and answer.fate != Fate.ANSWERED)
    return Burst(
        requests=len(answers),
        answered=len(took),
        failed=failed.total(),
        unanswered=pending,
        slow_s=SLOW_S,
        slow=sum(seconds >= SLOW_S for seconds in took) + pending,
        p50_s=round(took[len(took) // 2], 4) if took else 0.0,
        p99_s=round(took[min(len(took) - 1, int(len(took) * 0.99))], 4) if took else 0.0,
        max_s=round(took[-1], 4) if took else 0.0,
        failures=dict(failed),
    )


def _end(answer: Answer) -> str:
    """What one of the failed got: "error 502", "reset" ..."""
    return f"{answer.fate.name.lower().replace('_', ' ')} {answer.status or ''}".strip()
