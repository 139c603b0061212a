"""Famous artefacts on real servers: each shows, by far, and is caught by its own numbers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.lab import Lab
from tests.integration.test_loads import TRIES


def made(lab: Lab, name: str) -> dict[str, Any]:
    """A run without doubts, but of the machine: one that is shared has its own, and they are not there every time."""
    for _ in range(TRIES):
        done = lab.run("artefact", name, "--seconds", "2", "--json")
        assert done.code in (0, 1), (done.err, done.out)
        (run,) = done.json
        doubts = {finding["code"] for finding in run["findings"]}
        if not doubts:
            return dict(run)
    if "machine_busy" in doubts:
        return dict(run)
    pytest.fail(f"{TRIES} times: {run['findings']}")


def codes(lap: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in lap["findings"]}


def test_clients_that_wait_for_the_server_to_hang_up(lab: Lab) -> None:
    """Each asks once, whatever the server can do; rate times latency is not the number of clients."""
    run = made(lab, "keepalive")
    assert run["naive"]["requests"] == run["naive"]["instrument"]["connections_opened"] == 30
    assert run["so_it_is"] > 20 * run["naive_says"]
    assert "littles_law" in codes(run["naive"])


def test_connections_that_are_opened_ahead_of_time(lab: Lab) -> None:
    """Part of the harness's period stands in every latency of a server that closes connections; reconnects show it."""
    run = made(lab, "pacing")
    assert run["naive_says"] > 5 * run["so_it_is"]
    assert "keepalive_not_honoured" in codes(run["naive"])


def test_clients_outside_of_the_latency(lab: Lab) -> None:
    """Of 40 clients 19 are where the server comes to them; the naive harness's rate and latency say the same."""
    run = made(lab, "outside")
    assert (run["naive_says"], run["so_it_is"]) == (40, 19)
    assert run["naive"]["in_flight"] < 30
    assert codes(run["naive"]) >= {"littles_law", "clients_outside"}


@pytest.mark.nginx
def test_failures_that_count_as_requests(lab: Lab) -> None:
    """Refusing is many times as fast as serving: the rate is far above what one thread can do in 10 ms each."""
    run = made(lab, "failures")
    assert run["naive_says"] > 4 * run["so_it_is"]
    assert run["so_it_is"] <= 100
    assert "above_ceiling" in codes(run["naive"])
    assert "errors" in codes(run["ours"])


def test_a_misspelt_artefact_is_answered_with_the_nearest(lab: Lab) -> None:
    """A name that there is not gets one line, and nothing is started."""
    done = lab.run("artefact", "failure")
    assert (done.code, done.err) == (
        2, 'topolab: There is no artefact "failure". Did you mean "failures"?\n',
    )  # fmt: skip
