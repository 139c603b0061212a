"""Two campaigns of the same thing say "no difference"; one with a planted 15 % slow-down says "worse".

Each request burns CPU in the view, and the planted one burns 15 % more of it: all else is the same, so what is seen is
what the statistics make of a real difference in the real noise of this machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TOPOLAB = Path(sys.executable).parent / "topolab"
TOPOLOGIES = ("gunicorn-sync", "waitress")
USUAL_MS, SLOWER_MS = 10.0, 11.5
REPEATS = 5


def same_and_slower() -> Iterator[tuple[str, int, str]]:
    """What was looked for, how often the verdict was wrong, and what was seen."""
    with tempfile.TemporaryDirectory() as results:
        for name, burnt in (("first", USUAL_MS), ("again", USUAL_MS), ("slower", SLOWER_MS)):
            _topolab(
                results, "compare", *TOPOLOGIES, "--experiments", "throughput", "--work", f"cpu:{burnt:g}",
                "--repeats", str(REPEATS), "--name", name, "--seed", str(len(name)), "--runtime", "process",
            )  # fmt: skip
        same = _changes(results, "first", "again")
        slower = [
            change for change in _changes(results, "first", "slower") if change["figure"].startswith("requests/s")
        ]
        said = [change for change in same if change["verdict"] != "no difference"]
        missed = [change for change in slower if change["verdict"] != "worse"]
        yield f"verdicts on the same thing twice, of {len(same)}", len(said), _seen(same)
        yield f"planted slow-downs of 15 % not seen, of {len(slower)}", len(missed), _seen(slower)


def _changes(results: str, before: str, after: str) -> list[dict[str, Any]]:
    out = _topolab(results, "diff", before, after, "--across", "work", "--json")
    found: list[dict[str, Any]] = json.loads(out)["changes"]
    return found


def _seen(changes: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{change['ratio']['median']:.3f} ({change['ratio']['low']:.3f}-{change['ratio']['high']:.3f})"
        for change in changes
    )


def _topolab(results: str, *words: str) -> str:
    """A command's stdout; what was measured may be SUSPECT (exit code 1), but it must have been measured."""
    result = subprocess.run(
        [TOPOLAB, *words], env={**os.environ, "TOPOLAB_RESULTS": results}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if result.returncode not in (0, 1):
        sys.exit(f"topolab {' '.join(words)} ended with {result.returncode}:\n{result.stdout}\n{result.stderr}")
    return result.stdout
