"""Stacks of containers, with a `docker` that a test plays."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from topolab.errors import LabError
from topolab.runtimes import compose, lifecycle, state
from topolab.runtimes.choice import RUNTIMES

Play = Callable[[str], Path]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Puts a shell script in the place of `docker`; it gives the file of the words that it was called with."""
    monkeypatch.setattr("topolab.paths.STATE", tmp_path / "state")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")

    def put(script: str) -> Path:
        docker, called = tmp_path / "bin/docker", tmp_path / "called"
        docker.parent.mkdir(exist_ok=True)
        docker.write_text(f'#!/bin/sh\necho "$*" >> {called}\n{script}\n')
        docker.chmod(0o755)
        return called

    return put


def recorded(name: str, plan: str = "APP_IMAGE=x\n") -> Path:
    """A stack of containers on the disk."""
    stack = state.directory(name)
    stack.mkdir(parents=True)
    (stack / "plan.env").write_text(plan)
    record = {"name": name, "topology": name, "runtime": "compose", "port": 1, "plan": {}, "started": "",
              "temporary": False}  # fmt: skip
    (stack / "stack.json").write_text(json.dumps(record))
    return stack


def test_a_stack_is_taken_down_also_where_its_files_are_damaged(play: Play) -> None:
    """With --force nothing of them is needed but the stack's name."""
    called = play("")
    stack = recorded("waitress", "APP_IMAGE=x\n\x00garbage\n")
    (stack / "stack.json").write_text("{")
    lifecycle.force_down(RUNTIMES, "waitress")
    assert not stack.exists()
    words = called.read_text()
    assert "-waitress " in words
    assert " down --volumes --remove-orphans " in words
    assert "--env-file" not in words


REFUSES_ONCE = """
if ! test -e "$0.asked"; then
    touch "$0.asked"
    echo "Error response from daemon: No such container: 1234" >&2
    exit 1
fi
"""


def test_what_the_engine_refuses_is_asked_for_once_more(play: Play) -> None:
    """A container that is just going away is no server that has died, and no reason to leave the others running."""
    recorded("waitress")
    called = play(REFUSES_ONCE + """echo '{"Service": "app", "State": "running"}'""")
    [stack], [] = lifecycle.status(RUNTIMES)
    assert stack.services == {"app": "running"}
    assert len(called.read_text().splitlines()) == 2
    called = play("echo 'Error response from daemon: it is on fire' >&2; exit 1")
    with pytest.raises(LabError, match=r"could not be stopped: .*it is on fire"):
        lifecycle.down(RUNTIMES, "waitress")
    assert len(called.read_text().splitlines()) == 4


def test_an_engine_that_hangs_holds_nobody_up(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while `down` and `status` say that it does not answer and what to look at; the record stays."""
    monkeypatch.setattr(compose, "ANSWER_S", 0.3)
    play("sleep 600")
    stack = recorded("waitress")
    says = r"^waitress: the container engine did not answer `docker compose {}` within 0 s\. Is it well "
    began = time.monotonic()
    for take_down in (lifecycle.down, lifecycle.force_down):
        with pytest.raises(LabError, match=says.format("down")):
            take_down(RUNTIMES, "waitress")
    _, [problem] = lifecycle.status(RUNTIMES)
    assert re.match(says.format("ps"), str(problem))
    assert time.monotonic() - began < 10
    assert (stack / "stack.json").exists()


@pytest.mark.parametrize("follow", [False, True])
def test_output_that_cannot_be_had_is_an_error(play: Play, capfd: pytest.CaptureFixture[str], follow: bool) -> None:
    """What docker has said is printed, and then that it failed."""
    recorded("waitress")
    play("echo 'app-1  | hello'")
    assert RUNTIMES["compose"].logs("waitress", follow=follow) == 0
    assert capfd.readouterr().out == "app-1  | hello\n"
    play("echo 'app-1  | hello'; echo 'no such engine' >&2; exit 1")
    with pytest.raises(LabError, match=r"^waitress: its output can't be had.*\. Is the engine up\? \(`docker info`\)"):
        RUNTIMES["compose"].logs("waitress", follow=follow)
    assert capfd.readouterr().out == "app-1  | hello\n"
