"""Reads the laps that `--laps` asks for: a JSON list of `topolab.loads.Offered`."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any, get_args

from topolab.loads import Arrivals, Loop, Offered, Work, WorkName

MOST_CONNECTIONS = 60_000
MOST_RATE = 200_000.0
MOST_REQUESTS = 20_000_000  # their samples are in memory
MOST_SECONDS = 3600.0


def parse_laps(text: str) -> tuple[Offered, ...]:
    """ValueError says what is wrong with which lap."""
    try:
        given = json.loads(text)
    except ValueError as error:
        raise ValueError(f"this is no JSON: {error}") from None
    if not isinstance(given, list) or not given:
        raise ValueError("this is no list of laps")
    return tuple(_lap(number, lap) for number, lap in enumerate(given, 1))


def _lap(number: int, given: Any) -> Offered:
    try:
        if not isinstance(given, dict) or not isinstance(given.get("work"), dict):
            raise ValueError("it has no work")
        lap = Offered(**{**_known(Offered, given), "work": Work(**_known(Work, given["work"]))})
        for problem in _problems(lap):
            raise ValueError(problem)
    except (ValueError, TypeError) as error:
        raise ValueError(f"lap {number}: {error}") from None
    return lap


def _known(kind: type[Any], given: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    for name in given:
        if name not in names:
            raise ValueError(f'"{name}" is unknown; known are {", ".join(sorted(names))}')
    return given


def _problems(lap: Offered) -> list[str]:
    end = lap.rate if lap.rate_end is None else lap.rate_end
    wrong = {
        f"work.name is one of {', '.join(get_args(WorkName))}": lap.work.name not in get_args(WorkName),
        "work: times and sizes are 0 or more": min(lap.work.io_ms, lap.work.cpu_ms, lap.work.size) < 0,
        "work.path is the path of a URL, and for the work path only": (
            re.fullmatch(r"/[!-~]*" if lap.work.name == "path" else "", lap.work.path) is None
        ),
        f"loop is one of {', '.join(get_args(Loop))}": lap.loop not in get_args(Loop),
        f"arrivals is one of {', '.join(get_args(Arrivals))}": lap.arrivals not in get_args(Arrivals),
        f"seconds is above 0, {MOST_SECONDS:g} at most": not 0 < lap.seconds <= MOST_SECONDS,
        f"warmup_s is 0 or more, {MOST_SECONDS:g} at most": not 0 <= lap.warmup_s <= MOST_SECONDS,
        f"timeout_s is above 0, {MOST_SECONDS:g} at most": not 0 < lap.timeout_s <= MOST_SECONDS,
        f"connections is 0 or more, {MOST_CONNECTIONS} at most": not 0 <= lap.connections <= MOST_CONNECTIONS,
        "a closed loop has 1 connection or more": lap.loop == "closed" and lap.connections < 1,
        f"the rate of an open loop is above 0, {MOST_RATE:g} at most": (
            lap.loop == "open" and not (0 < lap.rate <= MOST_RATE and 0 <= end <= MOST_RATE)
        ),
        f"these are more than {MOST_REQUESTS} requests": (
            max(lap.rate, end) * (lap.warmup_s + lap.seconds) > MOST_REQUESTS
        ),
    }
    return [what for what, is_so in wrong.items() if is_so]
