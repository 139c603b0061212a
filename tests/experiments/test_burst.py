"""Bursts: which backlogs a topology is asked with."""

from __future__ import annotations

import pytest

from topolab.experiments.burst import with_backlogs
from topolab.plan import resolve
from topolab.topology import Catalog


@pytest.mark.parametrize(
    ("name", "sets", "backlogs"),
    [
        ("gunicorn-sync", [], [16, 128, 1024]),
        ("waitress", [], [16, 128]),  # 1,024 is its own
        ("granian", [], [128]),  # it takes no fewer, and 1,024 is its own
        ("gunicorn-asgi", [], []),  # it asks for 100, whatever is set
        ("flask-threaded", [], []),  # it has no such setting
        ("nginx-gunicorn-sync", ["front.backlog=16"], [128, 1024]),  # of the server that clients come to
    ],
)
def test_other_backlogs_are_those_that_make_another_queue(
    catalog: Catalog, name: str, sets: list[str], backlogs: list[int]
) -> None:
    """What a server does not take, or does not ask the kernel for, is left out, and so is what it has already."""
    plan = resolve(catalog, name, sets=sets)
    service = "front" if plan.front else "app"
    assert [other.settings[service]["backlog"] for other in with_backlogs(plan, (16, 128, 1024))] == backlogs
