"""The isolation experiment: under concurrency, is what a request has left somewhere still its own?"""

from __future__ import annotations

import json

from topolab.behaviours import Isolation, Kept
from topolab.instrument.asked import IsolationAsked
from topolab.instrument.board import Fate
from topolab.instrument.events import Events
from topolab.instrument.exchange import Due, exchange, most_at_once
from topolab.instrument.processes import Team, raise_descriptor_limit
from topolab.instrument.settling import until_settled

DEADLINE_S = 60.0
PACE_NS = 1_000_000  # between two openings: a burst would overflow the shortest backlogs on the way in


def isolation(asked: IsolationAsked, events: Events) -> Isolation:
    """Sends them all at once, each with an id of its own; each view leaves it everywhere, waits, and looks again."""
    raise_descriptor_limit()
    path = "/async/isolation" if asked.use_async else "/isolation"
    with Team(watch_stdin=asked.watch_stdin) as team:
        until_settled(asked, team, events)
        dues = [Due(f"{path}?id={number}&ms={asked.wait_ms:g}", number * PACE_NS) for number in range(asked.requests)]
        answers = exchange(
            asked.stack.entry, dues, team, deadline_s=DEADLINE_S,
            on_done=lambda done, of: events.progress("at once", done, of),
        )  # fmt: skip
    said = [json.loads(answer.body) for answer in answers if answer.fate == Fate.ANSWERED]
    places = list(said[0]["kept"]) if said else []
    return Isolation(
        requests=len(answers),
        answered=len(said),
        at_once=most_at_once((one["began_ns"], one["ended_ns"]) for one in said),
        counters=len({one["pid"] for one in said if one["serial"]}),
        kept=tuple(Kept(place, len(said), sum(one["kept"][place] for one in said)) for place in places),
    )
