"""Query values with bounds: a value that is missing, mistyped or out of bounds is answered with 400 and why."""

from __future__ import annotations

import math
from typing import NoReturn

from flask import abort, request


def choice(name: str, choices: tuple[str, ...]) -> str:
    """One of `choices`; the first is the default."""
    value = request.args.get(name, choices[0])
    if value not in choices:
        _refuse(name, value, f"one of: {', '.join(choices)}")
    return value


def whole(name: str, *, low: int = 0, high: int | None = None) -> int:
    """A whole number, `low` or more, and `high` at most. There is no default."""
    text = request.args.get(name)
    wanted = f"a whole number, {low} or more" if high is None else f"a whole number from {low} to {high}"
    # isdecimal also accepts digits of other scripts, int() would take signs, spaces and underscores.
    if text is None or not (text.isascii() and text.isdecimal()) or len(text) > 18 or int(text) < low:
        _refuse(name, text, wanted)
    if high is not None and int(text) > high:
        _refuse(name, text, wanted)
    return int(text)


def bounded(name: str, *, default: float, high: float) -> float:
    """A number from 0 to `high`, in the unit that the parameter's name says."""
    text = request.args.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= high:  # also false for nan
        _refuse(name, text, f"a number from 0 to {high:g}")
    return value


def _refuse(name: str, value: str | None, wanted: str) -> NoReturn:
    got = "missing" if value is None else f'"{value[:40]}"'
    abort(400, description=f"{name} is {got}. Give {wanted}.")
