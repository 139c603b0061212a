"""Where the lab's files are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["HOME", "STATE", "RESULTS", "TOPOLOGIES"])
def test_a_folder_is_the_same_however_it_is_typed(tmp_path: Path, name: str) -> None:
    """Relative to where one stands, with dots or through a symlink: it is one absolute path."""
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    program = f"from topolab import paths; print(paths.{name})"
    for typed in ("there", "../there/../there", f"{tmp_path}/there", "link"):
        where = tmp_path / "there" if typed.startswith("..") else tmp_path
        found = subprocess.run(
            [sys.executable, "-c", program], cwd=where, env={**os.environ, f"TOPOLAB_{name}": typed},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert found.stdout == f"{tmp_path}/there\n", typed
