"""Where the command line prints, and what its exit codes are."""

from __future__ import annotations

import sys

from rich.console import Console

DONE, SUSPECT, COULD_NOT = 0, 1, 2
WIDTH = 120  # where there is no terminal to ask

out = Console(highlight=False, emoji=False, width=None if sys.stdout and sys.stdout.isatty() else WIDTH)
err = Console(stderr=True, highlight=False, emoji=False)


def say(line: str) -> None:
    """One line of commentary."""
    err.print(line, markup=False, soft_wrap=True)
