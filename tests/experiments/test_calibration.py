"""What the instrument can do is measured once in an hour, and anew on another machine or after a boot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from topolab.experiments import calibration
from topolab.experiments.capacity import OnEvent
from topolab.loads import Calibration

FAST, SLOW = Calibration(40_000, 0.025, 8_000, 0.12, 10_000), Calibration(4_000, 0.25, 800, 1.2, 1_000)


class Measuring:
    """Gives one calibration after the other, and counts."""

    def __init__(self, *found: Calibration) -> None:
        self.found, self.times = list(found), 0

    def __call__(self, on_event: OnEvent) -> Calibration:
        self.times += 1
        return self.found.pop(0)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("topolab.paths.STATE", tmp_path)
    return tmp_path / "calibration.json"


def test_a_calibration_is_kept_for_an_hour() -> None:
    """Then it is measured again; the person is told when it is."""
    measuring, said = Measuring(FAST, SLOW), list[str]()
    found = [
        calibration.recent(said.append, measure=measuring, clock=lambda at=at: at)  # type: ignore[misc]
        for at in (1000.0, 4599.0, 4600.0, 4700.0)
    ]
    assert found == [FAST, FAST, SLOW, SLOW]
    assert said == ["calibrating the instrument against a server that does nothing"] * 2


@pytest.mark.parametrize("change", ["boot", "host"])
def test_another_machine_or_boot_is_measured_anew(state: Path, change: str) -> None:
    """A clock that went back, too, tells nothing of how old it is."""
    measuring = Measuring(FAST, SLOW, FAST)
    calibration.recent(lambda _: None, measure=measuring, clock=lambda: 1000.0)
    state.write_text(json.dumps({**json.loads(state.read_text()), change: "another"}))
    assert calibration.recent(lambda _: None, measure=measuring, clock=lambda: 1000.0) == SLOW
    assert calibration.recent(lambda _: None, measure=measuring, clock=lambda: 900.0) == FAST


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"at": "now", "calibration": {}}', "null"])
def test_a_damaged_one_is_measured_anew(state: Path, text: str) -> None:
    """It is no reason to stop."""
    state.write_text(text)
    assert calibration.recent(lambda _: None, measure=Measuring(FAST)) == FAST
