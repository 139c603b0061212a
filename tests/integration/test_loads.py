"""Real servers under load, with short laps: ceilings hold, connections are kept or not, doubts find what is there."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.integration.lab import Lab, ended, instrument_of, until
from topolab import host, pins, samples
from topolab.experiments.calibration import BOOT
from topolab.loads import Calibration
from topolab.packages import find

# What a busy machine may add to any lap; it says nothing of what is tested here.
CALIBRATION = Calibration(60_000, 0.017, 12_000, 0.08, 20_000)
NOISE = frozenset({"instrument_late", "drift", "too_few_samples"})
TRIES = 3


def measured(lab: Lab, verb: str, *words: str, runtime: str = "process") -> dict[str, Any]:
    """The one run of an experiment, with the codes of its findings. It finds a calibration that is fresh."""
    here = {"host": asdict(host.fingerprint()), "boot": BOOT.read_text().strip()}
    calibrated = {**here, "at": time.time(), "calibration": asdict(CALIBRATION)}
    (lab.home / "state").mkdir(exist_ok=True)
    (lab.home / "state" / "calibration.json").write_text(json.dumps(calibrated))
    done = lab.run(verb, *words, "--runtime", runtime, "--json")
    assert done.code in (0, 1), (done.err, done.out)
    (run,) = done.json
    codes = {finding["code"] for finding in run["findings"]}
    assert (run["verdict"] == "SUSPECT") == bool(codes)
    assert done.code == (1 if codes else 0)
    run["codes"] = codes
    found: dict[str, Any] = run
    return found


def undoubted(
    lab: Lab, verb: str, *words: str, runtime: str = "process", but: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """A run in which nothing is found but noise and `but`.

    A shared machine is half as fast for a second at times, which looks like anything; a fault of the lab stays.
    """
    for _ in range(TRIES):
        run = measured(lab, verb, *words, runtime=runtime)
        if run["codes"] <= NOISE | but:
            return run
    if "machine_busy" in run["codes"]:
        return run
    pytest.fail(f"{TRIES} times: {run['findings']}")


def test_slots_draw_the_line_and_every_request_is_kept(lab: Lab) -> None:
    """Three workers at 20 ms come to their ceiling; server and instrument had CPUs of their own; samples lie beside."""
    run = undoubted(lab, "throughput", "gunicorn-sync", "--set", "workers=3", "--work", "io:20", "--seconds", "1")
    (plateau,) = run["plateaus"]
    lap, ceiling = plateau["lap"], plateau["ceiling"]
    assert (ceiling["bound_by"], ceiling["slots"]) == ("workers", 3)
    assert 0.8 * ceiling["rate"] < lap["achieved"] < 1.1 * ceiling["rate"] < 1.1 * 150
    assert lap["offered"]["keepalive"] is False  # a sync worker closes
    if shared := pins.of_this_machine():
        assert run["pins"] == {"server": [*shared.server], "instrument": [*shared.instrument]}
        assert lap["machine"]["server_cpus"] == len(shared.server)
    stored, beside = sorted((lab.home / "results").iterdir())[-2:]
    assert json.loads(stored.read_text())["plateaus"] == run["plateaus"]
    laps = samples.read(beside)
    labels = [offered.label for offered, _seen in laps]
    costs = "io 20 ms, CPU time"
    assert labels == ["io 20 ms, kept?", costs, "io 20 ms, one client", costs, "io 20 ms"]
    assert len(laps[-1][1].due_ns) == lap["requests"]


@pytest.mark.parametrize(
    ("topology", "keeps"),
    [
        ("gunicorn-gthread", True),
        ("flask-single", False),  # one request at a time
        ("flask-forking", False),  # a process each
        ("gunicorn-sync --set reuse_port=true", False),
    ],
)
def test_servers_of_every_kind_are_measured(lab: Lab, topology: str, keeps: bool) -> None:
    """Connections are used again where the server keeps them; all answer, and none more than its ceiling."""
    words = (*topology.split(), "--work", "greeting", "--seconds", "0.6")
    run = undoubted(lab, "throughput", *words, but=frozenset({"not_saturated"}))  # of so short a lap
    (plateau,) = run["plateaus"]
    assert plateau["lap"]["offered"]["keepalive"] is keeps
    assert {fated["fate"] for fated in plateau["lap"]["fates"]} == {"answered"}


def test_a_server_that_closes_connections_is_found_out(lab: Lab) -> None:
    """Asked to keep connections, a sync worker closes them all the same."""
    run = measured(
        lab, "throughput", "gunicorn-sync", "--work", "greeting", "--seconds", "0.6", "--keepalive", "on"
    )  # fmt: skip
    assert "keepalive_not_honoured" in run["codes"]


def test_clients_outside_the_accept_queue_are_found_out(lab: Lab) -> None:
    """Forty clients, and a server that takes one and lets five wait: most stand outside, and Little's law says so."""
    run = measured(
        lab, "throughput", "uwsgi-threads", "--set", "threads=1", "--set", "backlog=5", "--work", "io:20",
        "--connections", "40", "--seconds", "1",
    )  # fmt: skip
    assert {"clients_outside", "littles_law"} <= run["codes"], run["findings"]


def test_latency_counts_from_when_a_request_was_due(lab: Lab, tmp_path: Path) -> None:
    """Below the ceiling each takes as long as its work; above it a queue grows. Reports read that."""
    run = measured(
        lab,
        "latency",
        "uwsgi-threads",
        "--set",
        "threads=2",
        "--work",
        "io:20",
        "--rates",
        "40,150",
        "--seconds",
        "1.5",
    )
    below, above = run["points"]
    answered = next(latency for latency in below["latencies"] if latency["fate"] == "answered")
    assert 0.02 <= answered["p50_s"] < 0.03
    assert below["achieved"] == pytest.approx(40, rel=0.05)
    assert above["achieved"] < 110
    assert "below_offered" in {finding["code"] for finding in above["findings"]}
    assert run["knee"] == 40

    report = tmp_path / "report"
    done = lab.run("report", *map(str, lab.stored()), "--output", str(report))
    assert done.code == 1, done.err
    assert "How long requests take at a given rate" in done.out
    assert "40.0/s" in done.out
    assert (report / "report.html").exists()
    assert "| uwsgi-threads" in lab.run("report", *map(str, lab.stored()), "--markdown").out


def test_overload_shows_dead_work_and_recovery(lab: Lab) -> None:
    """A long queue at twice the ceiling: clients give up, their requests run all the same; then it is well again."""
    run = measured(lab, "overload", "gunicorn-sync", "--set", "workers=2", "--steps", "0.5,2", "--seconds", "0.8")
    calm, flood = run["steps"]
    assert calm["dead"] == 0
    assert flood["dead"] > 40
    assert flood["lap"]["achieved"] < 0.5 * run["ceiling"]["rate"]
    assert {fated["fate"] for fated in flood["lap"]["fates"]} <= {"answered", "timeout"}
    assert run["recovery_s"] is None or run["recovery_s"] > 0.3


def test_memory_of_processes_threads_and_connections(lab: Lab) -> None:
    """A fork costs megabytes, a connection of an event loop kilobytes; a server that keeps none says so."""
    forking = measured(lab, "memory", "flask-forking", "--requests", "20", "--idle", "20")
    assert forking["memory"]["served"] == 20
    assert forking["memory"]["full"]["processes"] == forking["memory"]["at_rest"]["processes"] + 20
    assert 1 << 20 < forking["per_request_bytes"] < 30 << 20
    assert forking["per_connection_bytes"] is None
    tornado = measured(lab, "memory", "tornado-wsgi", "--requests", "5", "--idle", "100")
    assert tornado["memory"]["idle_connections"] == 100
    assert tornado["per_connection_bytes"] < 200 << 10


@pytest.mark.engine
def test_containers_are_pinned_and_measured_as_well(lab: Lab) -> None:
    """The same plateau in a pod; cpusets are read back; the instrument may look at the servers' memory."""
    run = undoubted(lab, "throughput", "uwsgi-threads", "--work", "io:20", "--seconds", "1", runtime="compose")
    (plateau,) = run["plateaus"]
    assert 0.8 * plateau["ceiling"]["rate"] < plateau["lap"]["achieved"] < 1.1 * plateau["ceiling"]["rate"]
    if run["pins"]:
        assert plateau["lap"]["machine"]["server_cpus"] == len(run["pins"]["server"])
    memory = measured(lab, "memory", "uwsgi-threads", "--idle", "20", runtime="compose")
    assert memory["memory"]["served"] == 10
    assert memory["per_worker_bytes"] > 5 << 20


@pytest.mark.nginx
def test_a_file_that_the_front_sends_needs_no_slot_of_the_app(lab: Lab) -> None:
    """nginx sends it past the app."""
    assert find("nginx")
    run = measured(lab, "throughput", "nginx-gunicorn-sync", "--work", "front-static:1024", "--seconds", "0.6")
    assert run["plateaus"][0]["ceiling"]["slots"] > 1000


def test_an_interruption_leaves_nothing_and_loses_no_finished_run(lab: Lab) -> None:
    """Ctrl-C during the second topology: the first is stored, with its samples, and no process is left."""
    process = lab.start(
        "latency", "uwsgi-threads", "waitress", "--rates", "50", "--seconds", "1", "--runtime", "process"
    )
    until(lab.stored, "the first run is stored")
    until(lambda: instrument_of(process), "the second is measured")
    os.killpg(process.pid, signal.SIGINT)
    done = ended(process)
    assert done.code == 2
    assert "Finished runs are stored" in done.err
    assert done.err.count("calibrating the instrument") == 1
    until(lambda: not lab.processes(), "no process is left")
    (stored,) = lab.stored()
    assert stored.with_suffix(".samples.npz").exists()
    assert json.loads(stored.read_text())["calibration"]["keepalive_rate"] > 1000
