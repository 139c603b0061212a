"""Progress on the console of stderr, replayed from scripted events."""

from __future__ import annotations

import io

from rich.console import Console

from topolab.comparison import Comparison
from topolab.reports.progress import Progress


def replay(comparison: Comparison, console: Console) -> str:
    with Progress(console) as progress:
        progress.start("uwsgi-threads", 1, 2)
        progress.event("settling", 0, 1)
        progress.event("opening", 400, 1000)
        progress.event("opening", 1000, 1000)
        progress.event("a new phase", 0, 0)
        progress.finish(comparison.runs[3])
        progress.start("nginx-uwsgi", 2, 2)
        progress.finish(comparison.not_run[0])
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_without_a_terminal_it_writes_plain_lines(comparison: Comparison) -> None:
    """Each topology gets a line at its start and one at its end, never wrapped, without control codes."""
    assert replay(comparison, Console(file=io.StringIO(), width=40)) == (
        "[1/2] uwsgi-threads: started\n"
        "[1/2] uwsgi-threads: 10 handler, 101 accept queue, 889 unanswered; VALID, 3.1 s\n"
        "[2/2] nginx-uwsgi: started\n"
        "[2/2] nginx-uwsgi: NOT RUN, nginx is not installed on this machine.\n"
    )


def test_in_a_terminal_it_shows_the_phase_and_leaves_the_results(comparison: Comparison) -> None:
    """While it runs the phase and its count are drawn; what stays are the finished topologies."""
    terminal = io.StringIO()
    console = Console(file=terminal, width=120, force_terminal=True, color_system=None, _environ={"TERM": "xterm"})
    with Progress(console) as progress:
        progress.start("uwsgi-threads", 1, 1)
        progress.event("opening", 400, 1000)
        console.print("drawn")  # draws the bar anew beneath
        progress.finish(comparison.runs[3])
    text = terminal.getvalue()
    assert "opening connections" in text
    assert " 400/1000 " in text
    assert "[1/1] uwsgi-threads: 10 handler, 101 accept queue, 889 unanswered; VALID, 3.1 s" in text
    assert "\x1b[?25h" in text  # the cursor is back
    assert "started" not in text


def test_a_dumb_terminal_gets_plain_lines(comparison: Comparison) -> None:
    """TERM=dumb is treated as no terminal: nothing is drawn over."""
    console = Console(file=io.StringIO(), width=120, force_terminal=True, _environ={"TERM": "dumb"})
    assert "\x1b" not in replay(comparison, console)
