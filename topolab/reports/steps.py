"""What each host does now, while a playbook runs: a table where a person watches, a line per part elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from topolab.reports import words


class Steps:
    """Shows them on the console of stderr. Use as a context manager; call `step` from any thread."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = words.clean(title)
        self._began = time.monotonic()
        self._now: dict[str, str] = {}
        self._said: dict[str, str] = {}
        self._live: Live | None = None
        if console.is_terminal and not console.is_dumb_terminal:
            self._live = Live(console=console, get_renderable=self._table, transient=True, refresh_per_second=4)

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def step(self, host: str, what: str) -> None:
        """A host begins with something; `what` is "part: its step"."""
        self._now[host] = words.one_line(what)
        part = self._now[host].partition(":")[0]
        if not self._live and self._said.get(host) != part:
            self._console.print(Text(f"{words.clean(host)}: {part}"), soft_wrap=True)
        self._said[host] = part

    def _table(self) -> Table:
        grid = Table.grid(padding=(0, 2))
        grid.add_row(Text(self._title, "bold"), Text(f"{time.monotonic() - self._began:.0f} s", "dim"))
        for host, what in sorted(self._now.items()):
            grid.add_row(Text(words.clean(host)), Text(what, overflow="ellipsis", no_wrap=True))
        return grid
