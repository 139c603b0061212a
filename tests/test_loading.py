"""What one types for the verbs on speed and size: what is wrong is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from topolab.cli import cli
from topolab.errors import LabError


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["throughput", "gunicorn-sync", "--work", "sleep"], '"sleep" is no work. There are greeting, io, cpu'),
        (["throughput", "gunicorn-sync", "--work", ""], '--work "": give one of them'),
        (["throughput", "gunicorn-sync", "--connections", "0"], "0 is not in the range 1<=x<=20000"),
        (["throughput", "gunicorn-sync", "--seconds", "0.1"], "0.1 is not in the range 0.2<=x<=600"),
        (["latency", "gunicorn-sync", "--rates", "fast"], '"fast" is no rate. Write requests per second (200)'),
        (["latency", "gunicorn-sync", "--work", "io,cpu"], '--work "io,cpu": this takes one of them at a time'),
        (["overload", "gunicorn-sync", "--steps", "0"], '"0x" is no rate'),
        (["overload", "gunicorn-sync", "--set", "threads=x"], '--set threads is "x"'),
        (["memory", "nosuch"], 'There is no topology "nosuch"'),
    ],
)
def test_bad_options_are_refused(words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One clear line that says what to write; no stack was begun, nothing calibrated, nothing stored."""
    monkeypatch.setattr("topolab.paths.STATE", tmp_path / "state")
    monkeypatch.setattr("topolab.paths.RESULTS", tmp_path / "results")
    with pytest.raises((LabError, click.ClickException)) as refused:
        cli.main([*words, "--runtime", "process"], standalone_mode=False)
    assert says in str(refused.value)
    assert list(tmp_path.iterdir()) == []
