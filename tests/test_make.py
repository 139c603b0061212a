"""The Makefile's recipes: one command each, with the options that were typed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from topolab import paths


@pytest.mark.parametrize(
    ("target", "typed", "words"),
    [
        ("compare", ["EXPERIMENTS=latency", "REPEATS=5", "WORK=io:20"],
         "--runtime auto --experiments latency --repeats 5 --work io:20 --"),
        ("compare", ["TOPOLOGY=a b", "EXPERIMENTS=memory", "REQUESTS=50", "BASELINE=a"],
         "--runtime auto --requests 50 --experiments memory --baseline a -- a b"),
        ("compare", ["RESUME=1"], "--runtime auto --resume  --"),
        ("compare", ["RESUME=1", "NAME=night"], "--runtime auto --resume night --"),
        ("compare", ["RESUME=night", "SET=threads=2 backlog=8"],
         "--runtime auto --resume night --set threads=2 --set backlog=8 --"),
        ("compare", ["NAME=night"], "--runtime auto --name night --"),
        ("compare", ["SEED=3", "BASELINE=a"], "--runtime auto --baseline a --seed 3 --"),
        ("compare", ["TOPOLOGY=a"], "--runtime auto --requests 1000 --limits default --route gate -- a"),
        ("compare", ["HOLD=3"], "--runtime auto --requests 1000 --limits default --route gate --hold 3 --"),
        ("compare", ["RATES=5", "STEPS=1", "LAP=2", "CONNECTIONS=9", "KEEPALIVE=off"],
         "--runtime auto --requests 1000 --limits default --route gate --rates 5 --steps 1 --seconds 2 --connections 9 "
         "--keepalive off --"),
        ("pick", ["IN_FLIGHT=5"], "--in-flight 5 --limits default"),
        ("pick", ["IN_FLIGHT=5", "QUEUE=0"], "--in-flight 5 --queue 0 --limits default"),
        ("pick", ["QUEUE="], "--limits default"),
        ("sensitivity", ["TOPOLOGY=a"], "--runtime auto --limits default -- a"),
        ("isolation", ["TOPOLOGY=a", "REQUESTS=300", "ROUTE=async"],
         "--runtime auto --limits default --requests 300 --route async -- a"),
        ("endings", ["REQUESTS=20"], "--runtime process --limits default --requests 20 --"),
        ("proof", [], "--output docs --"),
        ("proof", ["TOPOLOGY=a"], "-- a"),
        ("claims", [], "--output docs --"),
        ("claims", ["NAME=crash await"], "-- crash await"),
    ],
)  # fmt: skip
def test_make_passes_on_what_was_typed(target: str, typed: list[str], words: str) -> None:
    """Nothing that was typed is left out; pages of docs/ are written over only by what measured all of them."""
    make = ["make", "--no-print-directory", target, "TOPOLAB=echo", *typed]
    outside = {"PATH": os.environ["PATH"]}  # these tests may run below another make, which exports its own defaults
    made = subprocess.run(make, cwd=paths.HOME, env=outside, capture_output=True, text=True, check=True)
    assert made.stdout.splitlines()[-1] == f"{target} {words}"


@pytest.mark.parametrize(
    ("variable", "record", "kept"),
    [
        ("", ".topolab/stacks/waitress.77/stack.json", True),
        ("elsewhere", "elsewhere/stacks/waitress.77/stack.json", True),
        ("", ".topolab/stacks/waitress.77.lock", False),
    ],
)
def test_make_clean_removes_nothing_beneath_a_stack_that_is_up(
    tmp_path: Path, variable: str, record: str, kept: bool
) -> None:
    """All stacks are taken down, whatever one is named; where one stays, another lab's, one line says which."""
    shutil.copy(paths.HOME / "Makefile", tmp_path)
    for name in ("requirements.txt", "pyproject.toml", ".venv/.complete", record, "bin/docker"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "bin/docker").write_text("#!/bin/sh\n")  # in place of this machine's: its images stay
    (tmp_path / "bin/docker").chmod(0o755)
    outside = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "TOPOLAB_STATE": variable}
    made = subprocess.run(
        ["make", "--no-print-directory", "clean", "TOPOLAB=echo", "TOPOLOGY=other", "HOSTS=all.yml"],
        cwd=tmp_path, env=outside, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.stdout == "down\n"
    assert (tmp_path / ".venv").exists() == (tmp_path / record).exists() == kept
    assert made.returncode == (2 if kept else 0)
    if kept:
        assert made.stderr.splitlines()[0].startswith(f"{record}: this stack is still up, for a measurement perhaps.")
