"""Real servers as local processes, driven by the command line."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.integration.lab import Lab, places
from topolab import packages
from topolab.runtimes.ports import free_port
from topolab.topology import Catalog


def topologies() -> list[Any]:
    """All of them; those whose server this machine lacks are skipped by name (with CI=true they fail)."""
    catalog = Catalog()
    found = []
    for name in catalog.names:
        missing = packages.missing([service.server for service in catalog.topology(name).services])
        why = f"not installed: {', '.join(server.server for server in missing)}; sudo make setup"
        found.append(
            pytest.param(name, marks=pytest.mark.skipif(bool(missing) and not os.environ.get("CI"), reason=why))
        )
    return found


def capacity(lab: Lab, *words: str) -> dict[str, object]:
    result = lab.run("capacity", *words, "--runtime", "process", "--json")
    assert result.code in (0, 1), result.err
    run: dict[str, object] = result.json
    assert run["verdict"] == "VALID", (run["findings"], run["measured"])
    assert result.code == 0
    return run


def left_behind() -> set[str]:
    """Where a program that is killed leaves something: shared memory, semaphores, the lab's folders for sockets."""
    files = [*Path("/dev/shm").iterdir(), *Path(tempfile.gettempdir()).glob("topolab-*")]
    kept_by_the_kernel = [
        f"{kind} {line.split()[1]}"
        for kind in ("sem", "shm", "msg")
        for line in Path("/proc/sysvipc", kind).read_text().splitlines()[1:]
    ]
    return {*map(str, files), *kept_by_the_kernel}


@pytest.mark.parametrize("name", topologies())
def test_the_measured_ledger_equals_the_predicted_one(lab: Lab, name: str) -> None:
    """For every topology at its own settings, 300 requests stand where the model says; none that it held is lost.

    And once it has ended, nothing of the server is left on this machine: its end may have been a SIGKILL.
    """
    before = left_behind()
    run = capacity(lab, name, "--requests", "300")
    assert left_behind() <= before
    after = run["after_release"]
    assert isinstance(after, dict)
    turned_away = sum(places(run).get(f"client {place}", 0) for place in ("error", "reset"))
    assert after["answered"] + after["left"] + turned_away == 300
    assert after["failed"] == 0
    assert [json.loads(path.read_text()) for path in lab.stored()] == [run]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["flask-forking", "--requests", "200", "--set", "processes=10"],
         {"app handler": 10, "app accept_queue": 129, "client unanswered": 61}),
        (["uwsgi-threads", "--requests", "200", "--set", "threads=3", "--set", "processes=2"],
         {"app handler": 6, "app accept_queue": 101, "client unanswered": 93}),
        (["gunicorn-sync", "--requests", "100", "--set", "workers=2", "--set", "backlog=16"],
         {"app handler": 2, "app accept_queue": 17, "client unanswered": 81}),
        (["gunicorn-gthread", "--requests", "150", "--set", "worker_connections=50", "--set", "backlog=64"],
         {"app handler": 10, "app waiting": 40, "app accept_queue": 65, "client unanswered": 35}),
        (["gunicorn-gevent", "--requests", "300", "--set", "worker_connections=100", "--set", "workers=1"],
         {"app handler": 100, "app accept_queue": 200}),
        pytest.param(["nginx-gunicorn-sync", "--requests", "150", "--set", "app.backlog=64"],
         {"app handler": 4, "app accept_queue": 65, "client error": 81}, marks=pytest.mark.nginx),
        pytest.param(["nginx-gunicorn-sync", "--requests", "150", "--set", "app.backlog=64", "--set", "listen=tcp"],
         {"app handler": 4, "app accept_queue": 65, "front connecting": 81}, marks=pytest.mark.nginx),
        pytest.param(["nginx-gunicorn-sync", "--requests", "200", "--set", "front.worker_connections=128"],
         {"app handler": 4, "app accept_queue": 59, "client reset": 137}, marks=pytest.mark.nginx),
    ],
)  # fmt: skip
def test_a_setting_moves_the_line(lab: Lab, words: list[str], expected: dict[str, int]) -> None:
    """With other settings the ledger is another one, whole, as predicted."""
    assert places(capacity(lab, *words)) == expected


def test_a_random_server_stays_within_its_bounds(lab: Lab) -> None:
    """gthread with exactly as many requests as threads: some wait while threads are idle, within the model's bounds."""
    run = capacity(lab, "gunicorn-gthread", "--requests", "40", "--set", "workers=4")
    measured = places(run)
    assert 10 <= measured["app handler"] <= 40
    assert measured["app handler"] + measured.get("app waiting", 0) == 40


def test_a_process_limit_is_applied_and_predicted(lab: Lab) -> None:
    """With 256 descriptors the threaded development server stops where the model says it does."""
    run = capacity(lab, "flask-threaded", "--requests", "300", "--limits", "article-macos")
    predicted = run["predicted"]
    assert isinstance(predicted, dict)
    assert predicted["bound_by"] == "nofile"


def test_up_status_logs_down(lab: Lab) -> None:
    """A stack comes up on its port, is listed, shows its log, is left alone by a second `up`, and goes down."""
    port = free_port()
    up = lab.run("up", "gunicorn-sync", "--runtime", "process", "--port", str(port), "--set", "workers=2")
    assert (up.code, up.out) == (0, f"gunicorn-sync is up at http://127.0.0.1:{port}/ (process)\n")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        assert json.load(answer)["served_by"]["server"].startswith("gunicorn/")

    [stack] = lab.run("status", "--json").json
    assert (stack["topology"], stack["port"], stack["running"]) == ("gunicorn-sync", port, True)
    assert stack["plan"]["WORKERS"] == "2"
    assert "app" in lab.run("status").out

    log = lab.run("logs", "gunicorn-sync")
    assert "Booting worker" in log.out

    again = lab.run("up", "gunicorn-sync", "--runtime", "process", "--port", str(port), "--set", "workers=2")
    assert (again.code, again.out) == (0, f"gunicorn-sync is already up at http://127.0.0.1:{port}/ (process)\n")
    other = lab.run("up", "gunicorn-sync", "--runtime", "process", "--port", str(port), "--set", "workers=3")
    assert other.code == 2
    assert "is already up on port" in other.err
    assert "with workers=2" in other.err

    assert lab.run("down", "gunicorn-sync").out == "gunicorn-sync is down\n"
    assert lab.processes() == []
    assert lab.run("status").out.startswith("Nothing is up.")


def test_compare_lists_prints_and_reports(lab: Lab) -> None:
    """A comparison prints its table, stores each run, and writes a page and a picture; `report` rebuilds them."""
    result = lab.run("compare", "flask-single", "gunicorn-sync", "--runtime", "process", "--requests", "150")
    assert result.code == 0, result.err
    assert "2 VALID" in result.out
    assert len(lab.stored()) == 2
    page = lab.home / "results" / "report.html"
    picture = lab.home / "results" / "report.svg"
    first = (page.read_text(), picture.read_text())
    assert "flask-single" in first[0]
    page.unlink()
    picture.unlink()
    again = lab.run("report", *map(str, lab.stored()))
    assert (again.code, again.out) == (0, result.out)
    assert (page.read_text(), picture.read_text()) == first


def test_without_nginx_the_comparison_says_what_to_type(lab: Lab, tmp_path: Path) -> None:
    """Where nginx is not installed, its topology is listed as not run, with what to install, and the rest runs."""
    topologies = tmp_path / "topologies"
    shutil.copytree(Catalog().root, topologies)
    server = topologies / "servers/nginx/server.yaml"
    server.write_text(server.read_text().replace("program: nginx", "program: nginx-that-is-not-here"))
    result = lab.run(
        "compare", "nginx-gunicorn-sync", "flask-single", "--runtime", "process", "--requests", "20",
        TOPOLAB_TOPOLOGIES=str(topologies),
    )  # fmt: skip
    assert result.code == 0, result.err
    assert "nginx-that-is-not-here, which is not installed" in " ".join(result.out.split())
    assert "apt-get install" in result.out
    assert "1 VALID" in result.out
