"""Ctrl-C, SIGTERM and a closed terminal: the first stops the work, and nothing interrupts the stopping."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_shields = 0
_waiting = False


def install() -> None:
    """From here on each of the signals is a `KeyboardInterrupt`, once; the next ones change nothing.

    One that whoever started us ignores stays ignored: SIGHUP below `nohup`, SIGINT in the background of a script.
    """
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """What happens in here is finished first; an interruption that came meanwhile is raised afterwards."""
    global _shields
    _shields += 1
    try:
        yield
    finally:
        _shields -= 1
    if _waiting and not _shields:
        _raise()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    global _waiting
    _waiting = True
    if not _shields:
        _raise()


def _raise() -> None:
    global _waiting
    _waiting = False
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
