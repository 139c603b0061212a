"""An instrument that could not be started is started again where that helps, and nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from topolab.errors import LabError
from topolab.runtimes.instrument import STARTS, Instrument

PROGRAM = """
import json, pathlib, sys
count = pathlib.Path(sys.argv[1])
number = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(number))
if number <= int(sys.argv[2]):
    if sys.argv[3] == "late":
        print('{"event": "progress", "phase": "holding"}', flush=True)
    sys.exit("Error response from daemon: No such container: 1234")
for line in sys.stdin:
    print(json.dumps({"event": "result", "number": number, "asked": json.loads(line)}), flush=True)
"""


def command(folder: Path, failures: int, when: str = "at once") -> list[str]:
    return [sys.executable, "-c", PROGRAM, str(folder / "count"), str(failures), when]


def test_it_is_started_again_where_that_may_help(tmp_path: Path) -> None:
    """It fails twice before it has said anything, and the third one measures."""
    with Instrument(command(tmp_path, STARTS - 1), again=("No such container",)) as ask:
        assert [event["number"] for event in ask(["readback"])] == [STARTS]


def test_one_is_asked_again_and_again(tmp_path: Path) -> None:
    """It is started at the first question, and the same one answers all; after its end there is nobody to ask."""
    with Instrument(command(tmp_path, 0)) as ask:
        assert not (tmp_path / "count").exists()
        for words in (["readback"], ["load", "--laps", '["\n"]']):
            assert list(ask(words)) == [{"event": "result", "number": 1, "asked": words}]


def test_one_that_has_answered_is_not_started_again(tmp_path: Path) -> None:
    """It ends after its first answer; what it was asked then is not asked of another one."""
    ends = PROGRAM + '    sys.exit("Error response from daemon: No such container: 1234")\n'
    typed = [sys.executable, "-c", ends, str(tmp_path / "count"), "0", ""]
    with Instrument(typed, again=("No such container",)) as ask:
        assert [event["number"] for event in ask(["readback"])] == [1]
        with pytest.raises(LabError, match="ended with status 1 before it had a result") as caught:
            list(ask(["load"]))
    assert "No such container: 1234" in caught.value.details[-1]
    assert (tmp_path / "count").read_text() == "1"


@pytest.mark.parametrize(
    ("failures", "when", "again", "starts"),
    [(1, "at once", (), 1), (1, "at once", ("no space left",), 1), (1, "late", ("No such container",), 1),
     (9, "at once", ("no space left", "No such container"), STARTS)],
)  # fmt: skip
def test_it_is_not_started_again_for_ever_or_for_anything(
    tmp_path: Path, failures: int, when: str, again: tuple[str, ...], starts: int
) -> None:
    """Another reason, one that had begun to measure, and one that fails every time: the error with what was said."""
    typed = command(tmp_path, failures, when)
    with Instrument(typed, again=again) as ask, pytest.raises(LabError, match="had a result") as caught:
        list(ask(["readback"]))
    assert "No such container: 1234" in caught.value.details[-1]
    assert (tmp_path / "count").read_text() == str(starts)
