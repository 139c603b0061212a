"""What real servers do with a request: who serves it, what stays its own, what runs for nobody, how a burst waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.integration.lab import Lab, ended, instrument_of, places, until
from topolab.behaviours import Isolation
from topolab.experiments.isolation import OWN, examine


def measured(lab: Lab, verb: str, *words: str, code: int = 0, runtime: str = "process") -> list[dict[str, Any]]:
    """The runs of one experiment, in local processes or containers."""
    done = lab.run(verb, *words, "--runtime", runtime, "--json")
    assert done.code == code, (done.err, done.out)
    runs: list[dict[str, Any]] = done.json
    return runs


@pytest.mark.parametrize(
    ("topology", "unit"),
    [
        ("flask-threaded", "thread per request"),
        ("flask-forking", "process per request"),
        ("flask-single", "one thread"),
        ("gunicorn-gevent", "greenlet per request"),
        ("waitress", "thread pool"),
    ],
)
def test_who_serves_a_request_is_what_the_server_says(lab: Lab, topology: str, unit: str) -> None:
    """Threads, pools, forks and greenlets are told apart by what their views see, and are as described."""
    (run,) = measured(lab, "identity", topology)
    assert run["verdict"] == "VALID", run["findings"]
    assert run["seen"] == run["expected"] == unit


def test_requests_wait_behind_a_busy_worker_while_another_is_free(lab: Lab) -> None:
    """gunicorn's threaded workers accept more than they have threads for, in both releases; uWSGI's and sync don't."""
    two = ("gunicorn-gthread", "--set", "workers=2", "--set", "threads=2")
    gthread = measured(lab, "identity", *two)[0]
    older = measured(lab, "identity", *two, "--set", "version=25")[0]
    uwsgi = measured(lab, "identity", "uwsgi-processes", "--set", "processes=2", "--set", "threads=2")[0]
    sync = measured(lab, "identity", "gunicorn-sync")[0]
    assert [run["versions"]["gunicorn"].split(".")[0] for run in (gthread, older)] == ["27", "25"]
    for run in (gthread, older):
        assert run["identity"]["crossing"]["misplaced"] > 0
    for run in (uwsgi, sync):
        crossing = run["identity"]["crossing"]
        assert crossing["misplaced"] <= crossing["requests"] * 0.01, crossing  # a busy machine may hold one up


@pytest.mark.parametrize(
    "topology", ["flask-threaded", "gunicorn-gthread", "gunicorn-gevent", "uwsgi-gevent", "granian"]
)
def test_what_is_a_requests_own_stays_its_own(lab: Lab, topology: str) -> None:
    """200 at once: what Flask and Werkzeug promise holds in every one of them; a module global does not."""
    (run,) = measured(lab, "isolation", topology)
    assert run["verdict"] == "VALID", run["findings"]
    assert run["isolation"]["answered"] == 200
    kept = {place["place"]: place["kept"] for place in run["isolation"]["kept"]}
    assert all(kept[place] == 200 for place in OWN)
    assert kept["module_global"] < 200
    # The same check, pointed at what is shared, fails: it can fail.
    seen = TypeAdapter(Isolation).validate_python(run["isolation"])
    assert [finding.code for finding in examine(seen, (*OWN, "module_global"))] == ["not_isolated"]


def test_processes_count_for_themselves(lab: Lab) -> None:
    """Each process has module globals of its own."""
    assert measured(lab, "isolation", "gunicorn-sync")[0]["isolation"]["counters"] == 4


def test_requests_run_after_their_clients_have_gone(lab: Lab) -> None:
    """Running views are not cancelled, queued ones are started; only what the kernel never let in does not run."""
    runs = {run["topology"]: run for run in measured(lab, "deadwork", "uwsgi-threads", "waitress")}
    uwsgi = {left["place"]: left for left in runs["uwsgi-threads"]["dead_work"]["left"]}
    assert {place: (left["left"], left["ran"]) for place, left in uwsgi.items()} == {
        "handler": (10, 10),
        "accept_queue": (101, 101),
        "unanswered": (89, 0),
    }
    waiting = next(left for left in runs["waitress"]["dead_work"]["left"] if left["place"] == "waiting")
    assert waiting["ran"] == waiting["left"] == 94


def test_a_short_backlog_costs_a_second(lab: Lab) -> None:
    """400 instant requests at an idle server: with a backlog of 16 many wait a second, with 1,024 none."""
    (run,) = measured(lab, "burst", "gunicorn-sync")
    slow = {at["backlog"]: at["burst"]["slow"] for at in run["bursts"]}
    assert slow[16] > 100
    assert slow[1024] == slow[2048] == 0


def test_a_server_that_can_not_take_part_is_named_and_the_others_go_on(lab: Lab) -> None:
    """A misspelt setting ends the command; what goes wrong with one topology does not stop the others."""
    wrong = lab.run("identity", "gunicorn-sync", "--runtime", "process", "--set", "workerz=2")
    assert wrong.code == 2
    assert "workers" in wrong.err
    done = lab.run("isolation", "gunicorn-sync", "tornado-wsgi", "--runtime", "process", "--route", "async", "--json")
    assert [run["topology"] for run in done.json] == ["gunicorn-sync", "tornado-wsgi"]
    assert done.json[0]["verdict"] == "VALID"


@pytest.mark.parametrize(
    ("topology", "in_flight", "queue"),
    [
        ("uwsgi-threads", 20, 300),
        ("uwsgi-processes", 40, 100),
        ("gunicorn-sync", 8, 300),
        ("gunicorn-gthread", 50, 200),
        ("gunicorn-gevent", 400, 0),
        ("waitress", 12, 400),
        ("flask-forking", 120, 60),
        ("flask-threaded", 300, 0),
        ("granian", 100, 50),
        ("nginx-uwsgi", 16, 200),
    ],
)
def test_what_was_solved_for_is_measured(lab: Lab, topology: str, in_flight: int, queue: int) -> None:
    """The settings that `fit` finds hold so many in handlers and let so many wait, nobody left outside."""
    words = ("--in-flight", str(in_flight), "--queue", str(queue), "--runtime", "process", "--json")
    done = lab.run("fit", topology, *words)
    assert done.code == 0, (done.err, done.out)
    counts = places(done.json)
    assert counts["app handler"] >= in_flight
    assert sum(counts.values()) == in_flight + queue
    assert not any(place.startswith("client") for place in counts)


@pytest.mark.parametrize(
    ("topology", "in_flight", "queue", "why"),
    [
        ("flask-single", 2, 0, "at most 1 in handlers, by threaded=false"),
        ("hypercorn", 500, 0, "by cpus, which is no setting"),
        ("flask-forking", 100, 300, "left outside before 300 wait"),
    ],
)
def test_the_impossible_is_refused_with_others_that_could(
    lab: Lab, topology: str, in_flight: int, queue: int, why: str
) -> None:
    """One line: what stands in the way, and which topologies could."""
    words = ("--in-flight", str(in_flight), "--queue", str(queue))
    done = lab.run("fit", topology, *words, "--runtime", "process")
    assert done.code == 2
    assert why in done.err
    assert "These could: flask-" in done.err


def test_a_front_that_turns_a_burst_away_does_what_it_is_said_to(lab: Lab) -> None:
    """nginx gets no connection to a uWSGI whose queue is full, and says so: no more errors than the model has."""
    (run,) = measured(lab, "burst", "nginx-uwsgi")
    assert run["verdict"] == "VALID", run["findings"]
    assert any(at["burst"]["failed"] for at in run["bursts"])


@pytest.mark.engine
@pytest.mark.parametrize(
    ("verb", "topology", "holds"),
    [
        ("identity", "flask-forking", lambda run: run["seen"] == "process per request"),
        ("isolation", "gunicorn-gevent", lambda run: run["isolation"]["answered"] == 200),
        ("deadwork", "uwsgi-threads", lambda run: [left["ran"] for left in run["dead_work"]["left"]] == [10, 101, 0]),
        ("burst", "flask-threaded", lambda run: run["bursts"][0]["backlog"] == 128),
    ],
)
def test_behaviour_in_containers(lab: Lab, verb: str, topology: str, holds: Callable[[dict[str, Any]], bool]) -> None:
    """Each experiment on behaviour sees in a container what it sees in processes."""
    (run,) = measured(lab, verb, topology, runtime="compose")
    assert (run["runtime"], run["verdict"]) == ("compose", "VALID"), run["findings"]
    assert holds(run)


@pytest.mark.engine
def test_the_binding_limit_is_the_one_that_moves(lab: Lab) -> None:
    """Changing what binds moves the ledger; what does not bind leaves it, as the model says of each; limits too."""
    (run,) = measured(lab, "sensitivity", "waitress", runtime="compose")
    assert run["verdict"] == "VALID", run["findings"]
    assert all(knob["tried"] for knob in run["knobs"])
    moved = {knob["name"]: knob["moved"] for knob in run["knobs"]}
    assert run["bound_by"] == "threads"
    assert {name for name, did in moved.items() if did} == {"threads", "connection_limit"}
    assert {"backlog", "nofile", "somaxconn", "tcp_max_syn_backlog"} <= set(moved)


def test_a_server_that_dies_is_named_and_the_next_one_is_measured(lab: Lab) -> None:
    """A server that is killed while its clients leave is listed as failed, by name; the next topology is measured."""
    running = lab.start("deadwork", "flask-threaded", "gunicorn-sync", "--runtime", "process", "--json")
    until(lambda: instrument_of(running), "the instrument runs")
    next(each for each in lab.processes() if "serve.py" in " ".join(each.cmdline())).kill()
    done = ended(running)
    assert done.code == 2
    dead, lives = done.json
    assert "flask-threaded died while it was measured: app: app was killed by SIGKILL" in dead["reason"]
    assert (lives["topology"], lives["verdict"]) == ("gunicorn-sync", "VALID")
