"""Verdicts on claims: each follows from figures, and can come out either way; what fails is not checked."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from topolab import paths, store
from topolab.claims import ClaimsRun, Figure, Held
from topolab.errors import LabError, NotRunnable
from topolab.experiments import asking
from topolab.experiments.bench import Bench
from topolab.experiments.claims import CLAIMS, Claim, check, check_all
from topolab.experiments.claims.speed import RACES, interval
from topolab.ledger import PlaceCount
from topolab.reports.claims import markdown, terminal
from topolab.results import Host, Observation, to_json
from topolab.runtimes.fake import FakeRuntime, observation
from topolab.topology import Catalog

NAMED = {claim.name: claim for claim in CLAIMS}
TRUE, FALSE, CONDITION, UNCHECKED = "still true", "no longer true", "true with a condition", "not checked"

# Figures of each claim as they are when it holds, and what of them is otherwise for each other verdict.
SCRIPTED: dict[str, tuple[dict[str, Figure], list[tuple[Held, dict[str, Figure]]]]] = {
    "descriptors": (
        {"nofile": 256, "asleep": 251, "calling": 251},
        [("true with a condition", {"calling": 126}), ("no longer true", {"asleep": 252})],
    ),
    "thread-per-request": (
        {"requests": 70, "threads": 70, "processes": 1, "unit": "thread per request"},
        [("no longer true", {"threads": 10, "unit": "thread pool"}), ("not checked", {"unit": "unknown"})],
    ),
    "threaded-false": (
        {"requests": 200, "handler": 1, "queued": 129, "unanswered": 70, "failed": 0},
        [("no longer true", {"handler": 2})],
    ),
    "processes": (
        {"handler_100": 100, "queued_100": 129, "handler_10": 10, "queued_10": 128, "listeners": 1},
        [
            ("no longer true", {"handler_100": 99}),
            ("no longer true", {"listeners": 100}),
            ("true with a condition", {"queued_10": 65}),
        ],
    ),
    "fork-per-request": (
        {"requests": 30, "processes": 30, "requests_at_once": 40, "processes_at_once": 40},
        [("no longer true", {"processes": 1}), ("not checked", {"requests": 0})],
    ),
    "uwsgi": (
        {
            "handler": 10, "queued": 290, "unanswered": 0, "router_handler": 10, "router_queued": 290,
            "router_unanswered": 0, "served": 70, "threads": 10,
        },
        [
            ("true with a condition", {"queued": 101, "unanswered": 189}),
            ("no longer true", {"handler": 11}),
            ("no longer true", {"threads": 70}),
        ],
    ),
    "async-pool": (
        {
            "flask_requests": 10, "flask_pools": 10, "flask_threads_of_a_pool": 1, "flask_last_thread": "a-9_0",
            "uwsgi_requests": 10, "uwsgi_pools": 10, "uwsgi_threads_of_a_pool": 1, "uwsgi_last_thread": "a-9_0",
        },
        [
            ("true with a condition", {"uwsgi_pools": 1}),
            ("no longer true", {"uwsgi_pools": 1, "flask_pools": 1}),
            ("true with a condition", {"flask_threads_of_a_pool": 3}),
        ],
    ),
    "async-process-limit": (
        {"nproc": 100, "plain": 98, "requests": 300, "handler": 48, "failed": 252, "logged": 252},
        [
            ("no longer true", {"handler": 300, "failed": 0, "logged": 0}),
            ("true with a condition", {"logged": 0}),
        ],
    ),
    "async-descriptor-limit": (
        {"nofile": 256, "plain": 126, "requests": 300, "handler": 50, "failed": 250, "logged": 250},
        [
            ("no longer true", {"handler": 300, "failed": 0, "logged": 0}),
            ("no longer true", {"failed": 0, "logged": 0, "queued": 250}),
        ],
    ),
    "async-uwsgi": ({"plain": 10, "async": 10}, [("no longer true", {"async": 300})]),
    "await": (
        {
            "requests": 30, "threads": 10, "plain_s": 0.6, "plain_at_once": 10, "plain_answered": 30, "block_s": 0.6,
            "block_at_once": 9, "block_answered": 30, "await_s": 0.6, "await_at_once": 10, "await_answered": 30,
        },
        [("no longer true", {"await_at_once": 30}), ("not checked", {"await_answered": 29})],
    ),
    "dead-work": (
        {"flask-single_left": 99, "flask-single_ran": 99, "uwsgi-threads_left": 90, "uwsgi-threads_ran": 90},
        [
            ("no longer true", {"flask-single_ran": 0, "uwsgi-threads_ran": 0}),
            ("true with a condition", {"uwsgi-threads_ran": 0}),
            ("not checked", {"flask-single_left": 0, "uwsgi-threads_left": 0}),
        ],
    ),
    "full-queue": (
        {
            "flask-single_unanswered": 70, "flask-single_refused": 0, "uwsgi-threads_unanswered": 189,
            "uwsgi-threads_refused": 0, "gunicorn-sync_unanswered": 39, "gunicorn-sync_refused": 0,
            "silent": 70, "silent_s": 2.1,
        },
        [
            ("true with a condition", {"uwsgi-threads_refused": 5}),
            (
                "no longer true",
                {"flask-single_refused": 1, "uwsgi-threads_refused": 1, "gunicorn-sync_refused": 1},
            ),
            ("not checked", {"gunicorn-sync_unanswered": 0}),
            ("no longer true", {"silent": 0}),
        ],
    ),
    "gunicorn-sync": (
        {"requests": 100, "handler": 4, "queued": 96, "unanswered": 0, "failed": 0},
        [("no longer true", {"handler": 5})],
    ),
    "crash": (
        {
            "requests": 24, "lost": 11, "answered": 13, "answered_by_the_crashed": 0, "crashed_lives": 0,
            "others_live": 1, "rounds": 1,
        },
        [
            ("no longer true", {"crashed_lives": 1}),
            ("no longer true", {"answered_by_the_crashed": 1}),
            ("no longer true", {"others_live": 0}),
            ("not checked", {"lost": 0, "answered": 24}),
        ],
    ),
    "threads-help-io": (
        {"io_gain_of_4_threads": 3.9, "cpu_gain_of_4_threads": 1.0, "cpu_gain_of_2_processes": 1.9},
        [
            ("no longer true", {"io_gain_of_4_threads": 1.0}),
            ("no longer true", {"cpu_gain_of_4_threads": 3.5}),
            ("true with a condition", {"cpu_gain_of_4_threads": 1.4}),
            ("not checked", {"cpu_gain_of_2_processes": 1.0}),
        ],
    ),
    "uwsgi-faster": (
        {
            f"{race}_{name}_{what}": value
            for race in RACES
            for name, values in (("uwsgi", (1100, 1080, 1120, 0.98)), ("gunicorn", (1000, 980, 1020, 0.97)))
            for what, value in zip(("per_s", "low", "high", "busy"), values, strict=True)
        },
        [
            ("true with a condition", {"processes_empty_uwsgi_low": 1000}),
            ("not checked", {"threads_empty_uwsgi_busy": 0.7}),
            ("true with a condition", {"processes_empty_uwsgi_per_s": 3000}),
            ("no longer true", {f"{race}_uwsgi_low": 1000 for race in RACES}),
            ("no longer true", {f"{race}_uwsgi_{what}": 900 for race in RACES for what in ("low", "high", "per_s")}),
        ],
    ),
}  # fmt: skip


@pytest.fixture
def state_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "STATE", tmp_path / "state")


def bench(
    catalog: Catalog, script: dict[str, Observation | LabError], not_here: dict[str, LabError] | None = None
) -> Bench:
    runtime = FakeRuntime(script, not_here or {})
    return Bench({"process": runtime, "compose": runtime}, catalog, lambda _event: None)


def test_every_claim_is_scripted() -> None:
    """No claim's verdict goes untested, and each can come out false."""
    assert SCRIPTED.keys() == NAMED.keys()
    for name, (_figures, others) in SCRIPTED.items():
        assert "no longer true" in {verdict for verdict, _ in others}, name


@pytest.mark.parametrize("name", NAMED)
def test_a_claim_holds_on_figures_like_the_articles(name: str) -> None:
    """On the articles' own figures each claim is still true, and the reason quotes figures."""
    verdict, reason = NAMED[name].judge(SCRIPTED[name][0])
    assert verdict == TRUE
    assert any(letter.isdigit() for letter in reason)


@pytest.mark.parametrize(
    ("name", "verdict", "changed"),
    [(name, verdict, changed) for name, (_, others) in SCRIPTED.items() for verdict, changed in others],
)
def test_other_figures_give_another_verdict(name: str, verdict: str, changed: dict[str, Figure]) -> None:
    """A verdict follows from the figures alone."""
    assert NAMED[name].judge({**SCRIPTED[name][0], **changed})[0] == verdict


def test_intervals_that_overlap_are_no_difference() -> None:
    """Where neither server's interval is above the other's, the reason says that there is no difference."""
    figures = SCRIPTED["uwsgi-faster"][0] | {f"{race}_uwsgi_low": 990 for race in RACES}
    assert NAMED["uwsgi-faster"].judge(figures)[1].count("no difference") == 4
    assert "no difference" not in NAMED["uwsgi-faster"].judge(SCRIPTED["uwsgi-faster"][0])[1]
    assert interval([9, 1, 8, 2, 5]) == (2, 8)


@pytest.mark.usefixtures("state_here")
def test_figures_come_from_the_census(catalog: Catalog) -> None:
    """A claim about places is judged on what was counted, and says what to type to count again."""
    stood = observation(PlaceCount("app", "handler", 4), PlaceCount("app", "accept_queue", 96))
    checked = check(NAMED["gunicorn-sync"], bench(catalog, {"gunicorn-sync": stood}))
    assert (checked.verdict, checked.figures["handler"]) == (TRUE, 4)
    assert checked.commands == ("topolab capacity gunicorn-sync --runtime process --requests 100 --set app.workers=4",)
    stood = observation(PlaceCount("app", "handler", 5), PlaceCount("app", "accept_queue", 95))
    assert check(NAMED["gunicorn-sync"], bench(catalog, {"gunicorn-sync": stood})).verdict == FALSE


@pytest.mark.usefixtures("state_here")
def test_counts_in_doubt_are_no_verdict(catalog: Catalog) -> None:
    """A run whose places do not add up is tried again, and then not taken for true or false."""
    stood = observation(PlaceCount("app", "handler", 4), PlaceCount("app", "accept_queue", 90))
    checked = check(NAMED["gunicorn-sync"], bench(catalog, {"gunicorn-sync": stood}))
    assert checked.verdict == UNCHECKED
    assert "measured twice" in checked.reason


@pytest.mark.usefixtures("state_here")
def test_a_server_that_dies_stops_only_its_own_claim(catalog: Catalog) -> None:
    """The claim is not checked, with the server's end as the reason; the others go on; no stack is left."""
    good = observation(PlaceCount("app", "handler", 4), PlaceCount("app", "accept_queue", 96))
    here = bench(
        catalog, {"gunicorn-sync": good, "flask-forking": LabError("flask-forking did not start:", details=("boom",))}
    )
    started: list[str] = []
    claims: list[Claim] = [NAMED["processes"], NAMED["gunicorn-sync"]]
    dead, fine = check_all(claims, here, lambda claim, _number: started.append(claim.name))
    assert (dead.verdict, dead.reason) == (UNCHECKED, "flask-forking did not start: boom")
    assert fine.verdict == TRUE
    assert started == ["processes", "gunicorn-sync"]
    runtime = here.runtimes["process"]
    assert isinstance(runtime, FakeRuntime)
    assert runtime.up_now == []


@pytest.mark.usefixtures("state_here")
def test_what_this_machine_lacks_is_not_checked(catalog: Catalog) -> None:
    """Without a container engine, say, the claim about the process limit says so."""
    here = bench(catalog, {}, not_here={"flask-threaded": NotRunnable("no engine answers.", remedy="make engine")})
    checked = check(NAMED["async-process-limit"], here)
    assert (checked.verdict, checked.reason) == (UNCHECKED, "no engine answers.")
    here.not_made = {("compose", "flask-threaded"): LabError("the image could not be built")}
    assert check(NAMED["async-process-limit"], here).reason == "the image could not be built"


@pytest.mark.usefixtures("state_here")
def test_claims_are_stored_and_shown(catalog: Catalog, tmp_path: Path) -> None:
    """A run of claims fits the published schema, can be read again, and is a table and a page."""
    stood = observation(PlaceCount("app", "handler", 4), PlaceCount("app", "accept_queue", 96))
    here = bench(catalog, {"gunicorn-sync": stood, "flask-single": LabError("it died | twice")})
    checked = tuple(check(NAMED[name], here) for name in ("gunicorn-sync", "threaded-false"))
    run = ClaimsRun(
        checked=checked, host=Host("Debian", "6.1", "a CPU", 2, 2**30, 4096, 1024), command="topolab claims",
        started="2026-11-20T08:30:10.000Z", seconds=3.0,
    )  # fmt: skip
    path = store.save(run, tmp_path)
    jsonschema.validate(json.loads(path.read_text()), store.schema())
    assert json.loads(path.read_text()) == json.loads(json.dumps(to_json(run)))
    store.load([path])
    page = markdown(run)
    assert "| [gunicorn-sync](#gunicorn-sync) |" in page
    assert "1 still true, 1 not checked" in page
    assert "it died \\| twice" in page
    console = Console(width=120)
    with console.capture() as capture:
        console.print(terminal(run))
    assert "Of 100 requests 4 were in a view and 96 queued." in " ".join(capture.get().split())


def test_a_server_that_never_answers_is_said_so() -> None:
    """A request that hangs is given up with one clear line; a connection that is closed is an answer without status."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(LabError, match=r"/healthz had no answer within 0\.1 s"):
            asking.together(port, ["/healthz", "/healthz"], patience_s=0.1)
    assert asking.ask(port, "/healthz").status == 0
    with pytest.raises(LabError, match="0 of 1 processes answered"):
        asking.processes(port, 1, deadline_s=0.1)
