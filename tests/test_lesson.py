"""What docs/contexts.md shows is what its programs print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from topolab import paths
from topolab.runtimes import venvs
from topolab.topology import Catalog

LESSON = paths.HOME / "docs" / "contexts.md"
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Step(NamedTuple):
    heading: str
    program: str
    output: str | None  # of the block that follows; None where that is no output


def steps(text: str) -> list[Step]:
    """Every Python block of a text, with the block after it."""
    blocks = list(FENCED.finditer(text))
    return [
        Step(
            heading=re.findall(r"^#+ (.*)$", FENCED.sub("", text[: block.start()]), re.MULTILINE)[-1],
            program=block[2],
            output=after[2] if after and after[1] == "text" else None,
        )
        for block, after in zip(blocks, [*blocks[1:], None], strict=True)
        if block[1] == "python"
    ]


@pytest.fixture(scope="module")
def python(catalog: Catalog) -> Path:
    """The interpreter of the virtualenv that the lesson names: that of gevent's own server, which holds Flask too."""
    server = catalog.server("pywsgi", where="the lesson")
    lock = venvs.Lock(server, (server.requirements,))
    venvs.make(lock, lambda line: print(line, file=sys.stderr))
    return lock.venv / "bin" / "python"


def run(python: Path, program: str, folder: Path) -> str:
    """What a program prints, as a file of its own in a fresh interpreter that knows nothing of this one."""
    file = folder / "step.py"
    file.write_text(program)
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run([python, file], cwd=folder, env=own, capture_output=True, text=True, timeout=15, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("step", steps(LESSON.read_text()), ids=lambda step: step.heading)
def test_a_program_prints_what_the_lesson_shows(step: Step, python: Path, tmp_path: Path) -> None:
    """Each program of docs/contexts.md runs as written, and prints exactly the text below it."""
    assert step.output is not None, f"{LESSON.name}: {step.heading}: no ```text block follows the program"
    assert run(python, step.program, tmp_path) == step.output


def test_every_numbered_step_has_one_program() -> None:
    """Ten numbered steps, each with one program and its output; none is passed over by a mistyped fence."""
    text = LESSON.read_text()
    assert [step.heading for step in steps(text)] == re.findall(r"^## (\d+\. .*)$", text, re.MULTILINE)
    assert text.count("```python") == len(steps(text)) == 10


def test_a_missing_output_is_seen() -> None:
    """A program without a text block after it has no output, whatever else follows."""
    program, shown, other = (f"```{word}\n1\n```\n" for word in ("python", "text", "console"))
    read = steps(f"# A\n{program}{shown}# B\n{program}{other}{shown}# C\n{program}")
    assert [(step.heading, step.output) for step in read] == [("A", "1\n"), ("B", None), ("C", None)]


def test_the_lesson_cites_the_locked_releases(catalog: Catalog) -> None:
    """The releases whose files the lesson cites are those that its programs run with."""
    locked = catalog.server("pywsgi", where="the lesson").requirements.read_text()
    cited = re.findall(r"\b(Flask|Werkzeug|asgiref|gevent|greenlet) (\d+\.\d+\.\d+)", LESSON.read_text())
    assert len(cited) == 5
    for name, version in cited:
        assert re.search(rf"^{name.lower()}=={re.escape(version)}\b", locked, re.MULTILINE), (name, version)
