"""Live progress of a comparison: a bar where a person watches, one plain line per event of note elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.text import Text

from topolab.reports import words
from topolab.results import CapacityRun, NotRun

PHASES = {  # the instrument's phases, in a person's words; other phases are shown as they are
    "settling": "waiting for its processes",
    "opening": "opening connections",
    "resting": "waiting for rest",
    "census": "taking the census",
    "releasing": "releasing",
}


class Progress:
    """Shows what a comparison is doing on the console of stderr. Use as a context manager.

    Where that console is no terminal it writes a line when a topology starts and when it is finished, and no
    control codes; `event` is then silent.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = console.is_terminal and not console.is_dumb_terminal
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.fields[topology]}", style="bold", markup=False),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not self._live,
        )
        self._at = ""
        self._phase: str | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def start(self, topology: str, index: int, of: int) -> None:
        """A topology begins: number `index` of `of`, counted from 1."""
        self._at = f"[{index}/{of}] {words.clean(topology)}"
        self._clear()
        self._bars.add_task("starting", total=None, topology=self._at)
        self._phase = None
        if not self._live:
            self._print(f"{self._at}: started")

    def event(self, phase: str, done: int, of: int) -> None:
        """A progress event of the instrument or the runtime. `of` is 0 where the end is not known."""
        for task in self._bars.task_ids:
            if phase != self._phase:  # a new phase: its bar and its clock start over
                self._bars.reset(task, description=PHASES.get(phase, words.one_line(phase)), total=None)
            self._bars.update(task, completed=done, total=of or None, refresh=phase != self._phase)
        self._phase = phase

    def finish(self, run: CapacityRun | NotRun) -> None:
        """The topology is done, one way or the other: its line stays."""
        self._clear()
        if isinstance(run, NotRun):
            self._print(f"{self._at}: {words.absence(run).upper()}, {words.one_line(run.reason)}")
        else:
            places = words.phrase(run.measured.ledger, with_service=words.fronted(run), separator=", ")
            self._print(f"{self._at}: {places}; {run.verdict}, {run.seconds:.1f} s")

    def ended(self, how: str) -> None:
        """The same for what is no run of one topology: what became of it, in one line."""
        self._clear()
        self._print(f"{self._at}: {words.one_line(how)}")

    def _clear(self) -> None:
        for task in self._bars.task_ids:
            self._bars.remove_task(task)
        self._bars.refresh()

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `1 h 20 min`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
