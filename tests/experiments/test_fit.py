"""Fit and sensitivity, by the model alone; the measured proof is in tests/integration/test_behaviours.py."""

from __future__ import annotations

import pytest

from topolab.experiments.fit import Impossible, Target, alternatives, holds, solve
from topolab.experiments.sensitivity import doublings
from topolab.plan import Plan, resolve
from topolab.topology import Catalog


def wanted(catalog: Catalog, name: str, target: Target, *sets: str) -> Plan:
    return resolve(catalog, name, sets=sets, requests=target.requests)


@pytest.mark.parametrize(
    ("name", "target", "settings"),
    [
        ("gunicorn-sync", Target(20, 500), {"app.workers": 20}),
        ("gunicorn-gthread", Target(50, 1000), {"app.threads": 50}),
        ("gunicorn-gevent", Target(5000, 500), {"app.worker_connections": 2500}),
        ("uwsgi-threads", Target(100, 1000), {"app.threads": 100, "app.backlog": 999}),
        ("uwsgi-processes", Target(64, 100), {"app.threads": 16}),
        ("waitress", Target(50, 2000), {"app.threads": 50, "app.backlog": 1951}),
        ("flask-forking", Target(200, 100), {"app.processes": 200}),
        ("uvicorn-a2wsgi", Target(40, 500), {"app.a2wsgi_workers": 40}),
        ("tornado-wsgi", Target(5, 10), {"app.executor_threads": 5}),
        ("apache-mod-wsgi", Target(60, 100), {"app.threads": 60}),
        ("nginx-uwsgi", Target(40, 3000), {"app.threads": 20, "app.backlog": 2999, "front.worker_connections": 6082}),
    ],
)
def test_the_fewest_numbers_are_raised_as_little_as_it_takes(
    catalog: Catalog, name: str, target: Target, settings: dict[str, int]
) -> None:
    """The solution holds, and with one less of any of its numbers it does not."""
    plan = solve(wanted(catalog, name, target), target)
    assert plan.asked.settings == settings
    assert holds(plan, target)
    for full, value in settings.items():
        less = [f"{key}={number - (key == full)}" for key, number in settings.items()]
        assert not holds(wanted(catalog, name, target, *less), target), f"{full}={value - 1} would do"


def test_descriptors_are_raised_where_they_bind(catalog: Catalog) -> None:
    """A limit is solved for like a setting, and then asked for by name."""
    target = Target(2000, 0)
    plan = solve(wanted(catalog, "flask-threaded", target, "nofile=1024"), target)
    assert int(plan.asked.limits["nofile"]) > 2 * 2000
    assert "nofile" in plan.demanded


@pytest.mark.parametrize(
    ("name", "target", "why"),
    [
        ("flask-single", Target(2, 10), "at most 1 in handlers, by threaded=false"),
        ("hypercorn", Target(500, 10), "by cpus, which is no setting"),
        ("flask-forking", Target(200, 300), "left outside before 300 wait, and no backlog changes that"),
        ("gunicorn-sync", Target(10, 70_000), "backlog can be 65535 at most"),
    ],
)
def test_what_is_impossible_says_why(catalog: Catalog, name: str, target: Target, why: str) -> None:
    """The line that stands is named."""
    with pytest.raises(Impossible, match=why):
        solve(wanted(catalog, name, target), target)


def test_others_that_could_are_named(catalog: Catalog) -> None:
    """An alternative is a topology whose own solution holds."""
    target = Target(2, 10)
    found = alternatives(catalog, target, but="flask-single")
    assert len(found) == 3
    for name in found:
        assert holds(solve(wanted(catalog, name, target), target), target)


def test_every_number_is_doubled_once(catalog: Catalog) -> None:
    """Each number of servers and limits has its turn, alone; a front's by the name that the model gives its lines."""
    plan = resolve(catalog, "nginx-gunicorn-sync")
    turns = {name: (value, other) for name, value, other in doublings(plan)}
    assert {"workers", "backlog", "front.worker_connections", "nofile", "somaxconn"} <= set(turns)
    value, other = turns["workers"]
    assert other.settings["app"]["workers"] == 2 * value
    assert other.asked.settings == {"app.workers": 2 * value}
