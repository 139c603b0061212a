"""Bursts: which backlogs a topology is asked with."""

from __future__ import annotations

import pytest

from topolab.behaviours import Burst
from topolab.experiments import burst
from topolab.experiments.burst import with_backlogs
from topolab.plan import resolve
from topolab.runtimes.fake import FakeRuntime
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


@pytest.mark.parametrize(
    ("failures", "told"),
    [({"error 502": 2, "reset": 1}, ["3 of 400 at backlog 2048 failed (2 error 502, 1 reset)"]), ({}, [])],
)
def test_what_failed_requests_got_is_told(catalog: Catalog, failures: dict[str, int], told: list[str]) -> None:
    """Where more of them fail than the model has it; where none do nothing is found."""
    failed = sum(failures.values())
    seen = Burst(400, 400 - failed, failed, 0, 0.9, 0, 0.1, 0.2, 0.3, failures)
    plan = resolve(catalog, "gunicorn-sync", requests=400)
    run = burst.run(FakeRuntime({"gunicorn-sync": lambda _: seen}), [plan], lambda _: None)
    assert [finding.message.partition(", and")[0] for finding in run.findings] == told
    assert run.bursts[0].burst.failures == failures
