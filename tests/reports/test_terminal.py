"""What a person reads in a terminal, written out whole."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from topolab.comparison import Comparison
from topolab.reports import terminal
from topolab.results import Finding

TABLE = """\
Where 1,000 requests were
Topology             Place          Predicted  Measured  After release   Verdict
────────────────────────────────────────────────────────────────────────────────
flask-threaded       handler            1,000     1,000  1,000 answered  VALID
next limit: nofile

flask-single         handler                1         1  130 answered    VALID
bound by threaded    accept queue         129       129  870 left
                     unanswered           870       870

flask-forking        handler              100       100  229 answered    VALID
bound by processes   accept queue         129       129  771 left
                     unanswered           771       771

uwsgi-threads        handler               10        10  111 answered    VALID
bound by threads     accept queue         101       101  889 left
                     unanswered           889       889

gunicorn-sync        handler                4         4  1,000 answered  VALID
bound by workers     accept queue         996       996

gunicorn-gthread     handler               10        10  1,000 answered  VALID
bound by threads     waiting              990       990

gunicorn-gevent      handler            1,000     1,000  1,000 answered  VALID
next limit:
worker_connections

nginx-gunicorn-sync  app handler            4         4  1,000 answered  VALID
bound by workers     app accept           996       996
                     queue

gunicorn-gthread     handler        600-1,000       873  1,000 answered  VALID
workers=4            waiting            0-400       127
threads=250
next limit: threads

uwsgi-threads        handler               10        10  995 answered    SUSPECT
listen=1024          accept queue         990    != 985  2 left
bound by threads     unanswered             0      != 2

SUSPECT  uwsgi-threads listen=1024
  unbalanced: 997 of 1,000 requests were placed. Run it again; if 3 are missing
  again, tell us.
  prediction_differs: accept queue: predicted 990, measured 985. Compare Send-Q
  with listen: somaxconn may be lower.

NOT RUN  nginx-uwsgi
  nginx is not installed on this machine.
  Type: sudo apt-get install nginx-light

9 VALID, 1 SUSPECT, 1 not run
Measured in the process runtime on Intel Xeon Processor @ 2.90GHz, 2 cores, 8.0
GiB, Debian GNU/Linux 12 (bookworm), kernel 6.18.44, somaxconn 4096, open files
20000
"""

LEDGER = """\
uwsgi-threads  1,000 requests, process runtime, 3.1 s  SUSPECT
with listen=1024

Place         Predicted  Measured  What it means
────────────────────────────────────────────────────────────────────────────────
handler              10        10  In the Flask view: the server runs it, and it
                                   blocks until the experiment releases it.
accept queue        990    != 985  Connected and sent, but still in the kernel's
                                   queue: the server has not accepted it.
unanswered            0      != 2  The kernel dropped the handshake because the
                                   queue was full. The client keeps retrying.
all               1,000       997  1,000 were asked for

Bound by: threads

Listener            Recv-Q  Send-Q  Not accepted
────────────────────────────────────────────────
app 127.0.0.1:8000     985   1,024           985

After release: 995 answered, 2 left; the last answer after 1.9 s

Instrument: opened 1,998 of 2,000 connections/s asked; late by 0.4 ms (p99), 2.1
ms at most; at rest after 1.2 s; 1 of 1 server processes seen; 0 short of
descriptors (limit 20000 a process); 0.4 s CPU, 46 MiB

SUSPECT  uwsgi-threads
  unbalanced: 997 of 1,000 requests were placed. Run it again; if 3 are missing
  again, tell us.
  prediction_differs: accept queue: predicted 990, measured 985. Compare Send-Q
  with listen: somaxconn may be lower.

Again: topolab capacity uwsgi-threads --runtime process --requests 1000 --set \\
       listen=1024
"""


def shown(renderable: RenderableType, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return "".join(line.rstrip() + "\n" for line in console.file.getvalue().splitlines())


def test_a_comparison_at_80_columns(comparison: Comparison) -> None:
    """At 80 columns the table shows every place's two counts, and under it findings, what was not run, and where."""
    assert shown(terminal.table(comparison), 80) == TABLE


def test_one_run_in_detail(comparison: Comparison) -> None:
    """One run is shown place by place, with its listeners, what followed, and reasons to doubt it."""
    assert shown(terminal.ledger(comparison.runs[9]), 80) == LEDGER


@pytest.mark.parametrize("width", [80, 100, 112, 140])
def test_nothing_is_cut_off(comparison: Comparison, width: int) -> None:
    """At any usual width no line is too long, and no name, count or remedy is lost."""
    text = shown(terminal.table(comparison), width)
    assert max(map(len, text.splitlines())) <= width
    words = text.split()
    for run in comparison.runs:
        assert run.topology in words
        assert run.predicted.bound_by is None or run.predicted.bound_by in words
    for word in (
        "worker_connections)" if width >= 112 else "worker_connections",
        "600-1,000",
        "nginx-light",
        "SUSPECT",
    ):
        assert word in words


def test_wide_terminals_get_a_column_for_the_limit(comparison: Comparison) -> None:
    """From 112 columns on, the limit that binds has its own column."""
    assert "Bound by" in shown(terminal.table(comparison), 140).splitlines()[1]
    assert "Bound by" not in shown(terminal.table(comparison), 111)


def test_a_server_cannot_write_to_the_terminal(comparison: Comparison) -> None:
    """Control codes and console markup in a finding reach the terminal as harmless text."""
    finding = Finding("unbalanced", "\x1b[2J\x07[bold]quoted[/bold]\u202e")
    run = replace(comparison.runs[9], findings=(finding,))
    text = shown(terminal.table(Comparison((run,))), 80) + shown(terminal.ledger(run), 80)
    assert "[bold]quoted[/bold]" in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)


def test_an_ascii_terminal_is_enough(comparison: Comparison) -> None:
    """A console that can only encode ASCII shows the same counts."""
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii")
    Console(file=stream, width=80).print(terminal.table(comparison))
    stream.flush()
    assert b"!= 985" in written.getvalue()


def test_a_comparison_of_nothing() -> None:
    """Where nothing was run, that is what is said."""
    assert shown(terminal.table(Comparison(())), 80) == "nothing was run\n"
