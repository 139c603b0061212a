"""Claims of the articles, checked on real servers."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import psutil

from tests.integration.lab import Lab, ended, until


def test_claims_are_checked_on_real_servers(lab: Lab) -> None:
    """Two claims by name: verdicts, the figures behind them, what to type to count again; stored, and as a page."""
    done = lab.run("claims", "await", "gunicorn-sync", "--output", str(lab.home / "docs"), "--json")
    assert done.code == 0, (done.err, done.out)
    sync, awaits = done.json["checked"]
    assert (sync["verdict"], sync["figures"]["handler"]) == ("still true", 4)
    assert sync["versions"]["gunicorn"]
    assert awaits["verdict"] == "still true", awaits
    assert awaits["figures"]["await_at_once"] == awaits["figures"]["block_at_once"] == 10
    (stored,) = lab.stored()
    assert json.loads(stored.read_text()) == done.json == json.loads((lab.home / "docs/claims.json").read_text())
    assert sync["reason"] in (lab.home / "docs/claims.md").read_text()
    again = lab.run(*sync["commands"][0].split()[1:], "--json")
    assert again.json["measured"]["places"][0] == {"service": "app", "place": "handler", "count": 4}


def test_a_crash_takes_one_process_along(lab: Lab) -> None:
    """A process that crashes loses the requests of all its threads; those of the other process are answered."""
    done = lab.run("claims", "crash", "--json")
    assert done.code == 0, (done.err, done.out)
    figures = done.json["checked"][0]["figures"]
    assert figures["lost"] + figures["answered"] == figures["requests"]
    assert min(figures["lost"], figures["answered"]) > 0


def test_a_server_that_does_not_start_is_not_checked(lab: Lab, own_topologies: Path) -> None:
    """Its claim is not checked and says why, the next one is; exit code 2."""
    (own_topologies / "servers/werkzeug/run").write_text("#!/bin/sh\necho not today >&2\nexit 3\n")
    done = lab.run("claims", "threaded-false", "gunicorn-sync", "--json", TOPOLAB_TOPOLOGIES=str(own_topologies))
    assert done.code == 2, done.err
    dead, fine = done.json["checked"]
    assert dead["verdict"] == "not checked"
    assert "exited with status 3" in dead["reason"]
    assert "not today" in dead["reason"]
    assert fine["verdict"] == "still true"


def test_a_server_that_dies_is_no_verdict(lab: Lab) -> None:
    """A server that is killed while its clients leave runs none of their requests, and that says nothing of it."""
    running = lab.start("claims", "dead-work", "await", "--json")

    def serving() -> list[psutil.Process]:
        return [process for process in lab.processes() if "werkzeug" in " ".join(process.cmdline())]

    until(serving, "its server is up")
    until(lambda: len(serving()[0].net_connections()) > 1, "it has requests")
    for process in serving():
        process.kill()
    done = ended(running)
    assert done.code == 2
    dead, fine = done.json["checked"]
    assert (dead["verdict"], fine["verdict"]) == ("not checked", "still true")
    assert "flask-single died while it was measured" in dead["reason"], dead


def test_an_interruption_leaves_nothing_and_keeps_what_was_checked(lab: Lab) -> None:
    """Ctrl-C in the middle of the second claim: the first is stored, no process is left (the fixture looks)."""
    running = lab.start("claims", "thread-per-request", "dead-work")
    assert running.stderr
    until(lambda: "[2/2] dead-work: started" in running.stderr.readline(), "the second claim begins")  # type: ignore[union-attr]
    until(lambda: len(lab.processes()) > 1, "its server is up")
    running.send_signal(signal.SIGINT)
    done = ended(running)
    assert done.code == 2
    (stored,) = lab.stored()
    (first,) = json.loads(stored.read_text())["checked"]
    assert (first["name"], first["verdict"]) == ("thread-per-request", "still true")


def test_a_name_that_is_no_claim(lab: Lab) -> None:
    """A misspelt name is refused before anything starts, with the nearest one."""
    done = lab.run("claims", "crashes")
    assert done.code == 2
    assert 'There is no claim "crashes". Did you mean "crash"?' in done.err
