"""Virtualenvs that can't be made."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from topolab.plan import resolve
from topolab.runtimes import venvs
from topolab.runtimes.process import ProcessRuntime
from topolab.topology import Catalog


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/some/file"),
         "Not a directory (/some/file). Let this user write into"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device. Free some space."),
    ],
)  # fmt: skip
def test_a_folder_that_cannot_be_written_is_named(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: OSError, says: str
) -> None:
    """What the system refuses is told of the virtualenv, with the way out, and nothing half-made is left."""

    def install(lock: venvs.Lock, *_: object) -> None:
        lock.venv.mkdir()
        raise spoil

    monkeypatch.setattr("topolab.paths.VENVS", tmp_path)
    monkeypatch.setattr(venvs, "_install", install)
    [error] = ProcessRuntime().prepare([resolve(catalog, "waitress")], lambda _: None).values()
    assert str(error).startswith(f"{tmp_path}/waitress-")
    assert f": this virtualenv can't be made: {says}" in str(error)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_what_nobody_foresaw_is_not_swallowed(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in the making of a virtualenv shows as one; the server would get the blame later."""

    def install(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("topolab.paths.VENVS", tmp_path)
    monkeypatch.setattr(venvs, "_install", install)
    with pytest.raises(ZeroDivisionError):
        ProcessRuntime().prepare([resolve(catalog, "waitress")], lambda _: None)
