"""The Markdown table, written out whole."""

from __future__ import annotations

from dataclasses import replace

from topolab.comparison import Comparison
from topolab.reports import markdown
from topolab.results import Finding

EXPECTED = """\
**Where 1,000 requests were.** Measured in the process runtime on Intel Xeon Processor @ 2.90GHz, 2 cores, 8.0 GiB, \
Debian GNU/Linux 12 (bookworm), kernel 6.18.44, somaxconn 4096, open files 20000

| Topology | Predicted | Measured | Bound by | After release | Verdict |
| --- | --- | --- | --- | --- | --- |
| uwsgi-threads | 10 handler · 101 accept queue · 889 unanswered | 10 handler · 101 accept queue · 889 unanswered \
| threads | 111 answered, 889 left | VALID |
| gunicorn-gevent | 1,000 handler | 1,000 handler | nothing (next: worker\\_connections) | 1,000 answered | VALID |
| nginx-gunicorn-sync | 4 app handler · 996 app accept queue | 4 app handler · 996 app accept queue | workers \
| 1,000 answered | VALID |
| gunicorn-gthread workers=4 threads=250 | 600-1,000 handler · 0-400 waiting | 873 handler · 127 waiting \
| nothing (next: threads) | 1,000 answered | VALID |
| uwsgi-threads listen=1024 | 10 handler · 990 accept queue | 10 handler · 985 accept queue · 2 unanswered | threads \
| 995 answered, 2 left | **SUSPECT** |

- **SUSPECT** uwsgi-threads listen=1024: 997 of 1,000 requests were placed. Run it again; if 3 are missing again, \
tell us. (`unbalanced`)
- **SUSPECT** uwsgi-threads listen=1024: accept queue: predicted 990, measured 985. Compare Send-Q with listen: \
somaxconn may be lower. (`prediction_differs`)
- **Not run** nginx-uwsgi: nginx is not installed on this machine. Type: `sudo apt-get install nginx-light`
"""


def test_a_comparison_as_markdown(comparison: Comparison) -> None:
    """The table has a line per run, and under it the findings and what was not run with what to type."""
    runs = tuple(comparison.runs[index] for index in (3, 6, 7, 8, 9))
    assert markdown.table(Comparison(runs, comparison.not_run)) == EXPECTED


def test_text_from_a_run_stays_text(comparison: Comparison) -> None:
    """Bars, tags, links and line ends in a reason or a command can't break the table or become markup."""
    finding = Finding("unbalanced", "a | b\n\n<script>alert(1)</script> [x](y) *z*")
    gap = replace(comparison.not_run[0], remedy="echo `id` | cat")
    text = markdown.table(Comparison((replace(comparison.runs[9], findings=(finding,)),), (gap,)))
    assert "a \\| b \\<script\\>alert(1)\\</script\\> \\[x\\](y) \\*z\\* (`unbalanced`)\n" in text
    assert "Type: `` echo `id` | cat ``\n" in text


def test_something_that_failed_is_called_so(comparison: Comparison) -> None:
    """A server that should have run is not listed among those that can't run here."""
    gap = replace(comparison.not_run[0], failed=True)
    assert "- **Failed** nginx-uwsgi: " in markdown.table(Comparison((), (gap,)))
