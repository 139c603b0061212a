"""The experiments, on a runtime that starts nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest

from topolab import store
from topolab.errors import LabError, NotRunnable
from topolab.experiments.capacity import capacity, command
from topolab.experiments.compare import compare
from topolab.ledger import PlaceCount
from topolab.plan import Plan, resolve
from topolab.results import CapacityRun, NotRun, Outcome, to_json
from topolab.runtimes.base import Event
from topolab.runtimes.fake import FakeRuntime, observation
from topolab.topology import Catalog

SYNC = observation(PlaceCount("app", "handler", 4), PlaceCount("app", "accept_queue", 16))
THREADED = observation(PlaceCount("app", "handler", 20))


def plan(catalog: Catalog, name: str, *sets: str) -> Plan:
    return resolve(catalog, name, sets=sets, requests=20)


@pytest.fixture
def state_here(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("topolab.paths.STATE", tmp_path)


@pytest.mark.usefixtures("state_here")
def test_a_capacity_run_tells_what_was_asked_predicted_and_measured(catalog: Catalog) -> None:
    """A run holds what was asked beside what was got, and its stack is gone afterwards."""
    runtime = FakeRuntime({"gunicorn-sync": SYNC})
    events: list[Event] = []
    run = capacity(runtime, plan(catalog, "gunicorn-sync", "backlog=100"), events.append)
    assert run.asked.settings == {"app.backlog": 100}
    assert run.predicted.bound_by == "workers"
    assert run.measured.ledger.at("app", "accept_queue").count == 16
    assert run.verdict == "VALID"
    assert run.command == "topolab capacity gunicorn-sync --runtime process --requests 20 --set app.backlog=100"
    assert run.plan["BACKLOG"] == "100"
    assert [event["phase"] for event in events] == ["starting", "opening", "stopping"]
    assert runtime.up_now == []


@pytest.mark.usefixtures("state_here")
def test_a_run_fits_its_published_schema(catalog: Catalog) -> None:
    """A run's JSON is valid under the schema that `topolab schema run` prints, and reads back as the same run."""
    run = capacity(FakeRuntime({"gunicorn-sync": SYNC}), plan(catalog, "gunicorn-sync"), lambda _: None)
    document = json.loads(json.dumps(to_json(run)))
    jsonschema.validate(document, store.schema())
    assert document["format"] == 1
    assert document["predicted"]["places"][0] == {"service": "app", "place": "handler", "count": 4}


@pytest.mark.usefixtures("state_here")
def test_a_failed_measurement_leaves_no_stack(catalog: Catalog) -> None:
    """When the instrument fails, the error comes through and the stack is taken down."""
    runtime = FakeRuntime({"gunicorn-sync": LabError("The instrument was killed by signal 9.")})
    with pytest.raises(LabError, match="killed by signal 9"):
        capacity(runtime, plan(catalog, "gunicorn-sync"), lambda _: None)
    assert runtime.up_now == []


@pytest.mark.usefixtures("state_here")
@pytest.mark.parametrize("loses", [True, False])
def test_a_server_that_dies_after_the_census_is_a_finding(catalog: Catalog, loses: bool) -> None:
    """What was lost with the server is its end's; where nothing was lost there is nothing to doubt."""
    lost = Outcome("handler", "closed" if loses else "silence", None, 4, 1.0, 1.0)
    runtime = FakeRuntime({"gunicorn-sync": replace(SYNC, held=(lost,))}, died={"gunicorn-sync": "killed by SIGKILL"})
    run = capacity(runtime, plan(catalog, "gunicorn-sync"), lambda _: None)
    assert [finding.code for finding in run.findings] == ["server_died"] * loses
    assert run.verdict == ("SUSPECT" if loses else "VALID")
    for finding in run.findings:
        assert finding.message.startswith(
            "gunicorn-sync died while it was measured: app: killed by SIGKILL. The places"
        )


@pytest.mark.usefixtures("state_here")
def test_a_comparison_goes_on_without_what_cannot_run(catalog: Catalog) -> None:
    """A topology that this machine can't run, and one that fails, are listed with the reason; the others run."""
    runtime = FakeRuntime(
        {"gunicorn-sync": LabError("did not start:", details=("boom",)), "flask-threaded": THREADED},
        not_here={"nginx-gunicorn-sync": NotRunnable("needs nginx.", remedy="apt-get install nginx")},
    )
    names = ["nginx-gunicorn-sync", "gunicorn-sync", "flask-threaded"]
    started: list[tuple[str, int, int]] = []
    absent, failed, run = compare(
        runtime, [plan(catalog, name) for name in names], say=lambda _: None,
        on_start=lambda *what: started.append(what), on_event=lambda _: None,
    )  # fmt: skip
    assert isinstance(absent, NotRun)
    assert (absent.topology, absent.reason, absent.remedy) == (
        "nginx-gunicorn-sync",
        "needs nginx.",
        "apt-get install nginx",
    )
    assert isinstance(failed, NotRun)
    assert (failed.reason, failed.failed) == ("did not start: boom", True)
    assert isinstance(run, CapacityRun)
    assert run.verdict == "VALID"
    assert started == [("nginx-gunicorn-sync", 1, 3), ("gunicorn-sync", 2, 3), ("flask-threaded", 3, 3)]


@pytest.mark.usefixtures("state_here")
def test_a_server_that_cannot_be_made_does_not_stop_the_others(catalog: Catalog) -> None:
    """A topology whose virtualenv or image can't be made is listed as failed with the reason; the others run."""
    runtime = FakeRuntime(
        {"flask-threaded": THREADED}, not_made={"uwsgi-threads": LabError("no compiler", details=("cc",))}
    )
    plans = [plan(catalog, name) for name in ("uwsgi-threads", "flask-threaded")]
    failed, run = compare(runtime, plans, say=lambda _: None, on_start=lambda *_: None, on_event=lambda _: None)
    assert isinstance(failed, NotRun)
    assert (failed.reason, failed.failed) == ("no compiler cc", True)
    assert isinstance(run, CapacityRun)


def test_the_command_of_a_run_can_be_typed_again(catalog: Catalog) -> None:
    """The command in a run resolves to the same plan."""
    asked = resolve(
        catalog, "flask-threaded", sets=["threaded=true", "nofile=300"], limits_name="article-macos", requests=7
    )
    words = command(asked, "process").split()
    assert words[:3] == ["topolab", "capacity", "flask-threaded"]
    sets = [words[index + 1] for index, word in enumerate(words) if word == "--set"]
    limits = words[words.index("--limits") + 1]
    assert resolve(catalog, words[2], sets=sets, limits_name=limits, requests=7).environment() == asked.environment()
