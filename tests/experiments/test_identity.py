"""Who serves a request: what the instrument is told to ask."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest

from topolab.behaviours import Identity, Served
from topolab.errors import NotRunnable
from topolab.experiments.identity import run
from topolab.plan import resolve
from topolab.runtimes.fake import FakeRuntime
from topolab.topology import Catalog

SERVED = Served(requests=30, answered=30, processes=1, native_threads=1, units=1, at_once=1, per_process=(30,))


@pytest.mark.parametrize(("requests", "deadline"), [(40, "20"), (500, "100")])
def test_as_many_come_at_once_as_were_asked_for(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, requests: int, deadline: str
) -> None:
    """The run says so, and the last of them is waited for as long as one thread needs for all, and again."""
    monkeypatch.setattr("topolab.paths.STATE", tmp_path)
    told: list[str] = []

    def script(arguments: Sequence[str]) -> Identity:
        told.extend(arguments)
        return Identity(SERVED, SERVED)

    plan = resolve(catalog, "flask-single", requests=requests)
    done = run(FakeRuntime({"flask-single": script}), plan, lambda _: None)
    assert done.asked.requests == requests
    asked = dict(itertools.pairwise(told))
    assert (asked["--concurrent"], asked["--deadline-s"]) == (str(requests), deadline)


def test_few_tell_nothing(catalog: Catalog) -> None:
    """Fewer than 40 are refused, with what to write."""
    with pytest.raises(NotRunnable) as refusal:
        run(FakeRuntime({}), resolve(catalog, "flask-single", requests=5), lambda _: None)
    assert refusal.value.remedy == "--requests 40, or more."
