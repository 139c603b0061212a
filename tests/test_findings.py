"""Each reason to doubt a run is provoked, and read in full."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from topolab.findings import examine, verdict
from topolab.ledger import PlaceCount
from topolab.results import (
    AfterRelease,
    Applied,
    Asked,
    ExpectedQueue,
    ListenerQueue,
    Observation,
    Prediction,
    SettingValue,
)
from topolab.runtimes.fake import observation

PLACES = (PlaceCount("app", "handler", 10), PlaceCount("app", "accept_queue", 90))
QUEUE = ListenerQueue("app", "127.0.0.1:8000", recv_q=90, send_q=100, unaccepted=90)
PREDICTED = Prediction(PLACES, bound_by="threads", queues=(ExpectedQueue("app", backlog=100, bound=100),))
ASKED = Asked(requests=100, settings={}, limits={})
LIMITS: dict[str, SettingValue] = {"nofile": 1024, "somaxconn": 4096}
APPLIED = Applied(
    processes_read=1, nofile_min=1024, nofile_max=1024, nproc_min=None, nproc_max=None, cgroups_read=0, pids_max=None,
    somaxconn=4096, tcp_max_syn_backlog=2048, tcp_abort_on_overflow=0, ip_local_port_range="32768 60999",
)  # fmt: skip


def seen(*places: PlaceCount, **instrument: Any) -> Observation:
    observed = observation(*(places or PLACES), listeners=(QUEUE,))
    observed = replace(observed, applied=APPLIED)
    return replace(observed, instrument=replace(observed.instrument, **instrument))


def test_a_run_without_findings_is_valid() -> None:
    """Balanced, as predicted, at rest and on time: no finding, VALID."""
    findings = examine(ASKED, LIMITS, PREDICTED, seen())
    assert findings == ()
    assert verdict(findings) == "VALID"


@pytest.mark.parametrize(
    ("observed", "codes", "text"),
    [
        (seen(PLACES[0], PLACES[1], PlaceCount("client", "reset", 1)), ["unbalanced", "prediction_differs"],
         "The places add up to 101, not to 100. A request stands at two places or at none (a handler may run on "
         "for a client that has gone, or still call the gate). Run it again; if it stays, read the server's log."),
        (replace(seen(), listeners=(replace(QUEUE, unaccepted=89),)), ["queue_mismatch"],
         "The kernel counts 90 in the accept queue of app (127.0.0.1:8000), the census 89. Other clients may be "
         "talking to this server; stop them and run again."),
        (replace(seen(), listeners=()), ["listener_missing"],
         "The census found no listener of app, so its accept queue was not looked at. Its address may be wrong in the "
         "server's `run`."),
        (replace(seen(), listeners=(replace(QUEUE, send_q=2048),)), ["backlog_not_applied"],
         "app (127.0.0.1:8000) listens with a queue of 2048, the plan says 100. The server's `run` or its model does "
         "not do what the setting says."),
        (replace(seen(), applied=replace(APPLIED, nofile_min=512)), ["limit_not_applied"],
         "nofile is 512 in the running server, the plan says 1024. Something between the lab and the kernel cuts it: a "
         "hard limit, the engine, or a service manager."),
        (seen(PlaceCount("app", "handler", 11), PlaceCount("app", "accept_queue", 89)),
         ["prediction_differs", "prediction_differs"],
         "app handler: 11 measured, exactly 10 predicted. If it stays when run again, the server's model "
         "(topologies/servers/) is wrong for these settings."),
        (seen(at_rest=False, seconds_to_rest=60.0), ["not_at_rest"],
         "Requests were still moving 60.0 s after the first was sent, when the census was taken. Run it on a quieter "
         "machine, or with fewer requests."),
        (seen(PLACES[0], PlaceCount("app", "accept_queue", 88), calls_under_way=2),
         ["unbalanced", "prediction_differs", "calls_under_way"],
         "The places add up to 98, not to 100. A request stands at two places or at none (a handler may run on "
         "for a client that has gone, or still call the gate). Run it again; if it stays, read the server's log."),
        (seen(calls_under_way=2), ["calls_under_way"],
         "2 views were on their way to the gate when the census was taken, so they stand at no place. The gate's own "
         "accept queue may be short: raise somaxconn, or ask for fewer requests."),
        (seen(processes_asked=4, processes_seen=3), ["processes_missing"],
         "Only 3 of 4 serving processes answered before the run. Look at `topolab logs`: a worker may be failing to "
         "start."),
        (seen(strangers=3), ["strangers"],
         "3 views called the gate for requests that are not of this run: someone else asks for /hold, and takes places "
         "that are counted here. Stop them and run again."),
        (seen(occupied=2), ["server_occupied"],
         "The server still had 2 connections when the first request was sent: of other clients, or of a health check "
         "that it never answered. Stop whoever talks to this server and run again."),
        (seen(lateness_p99_s=1.2), ["instrument_late"],
         "The instrument opened connections up to 1200 ms late (p99), so the arrivals came in bursts. Free the "
         "machine's cores and run again."),
        (seen(descriptors_short=7), ["instrument_descriptors"],
         "The instrument lacked descriptors for 7 connections (its limit is 20000 per process). Raise `ulimit -Hn`, "
         "or ask for fewer requests."),
        (replace(seen(), after_release=AfterRelease(99, 1, 0, 0.1)), ["requests_failed"],
         "1 requests stood on the server's side at the census and got no good answer after the release. The "
         "server's log says why: `topolab logs`."),
    ],
)  # fmt: skip
def test_each_doubt_has_its_finding(observed: Observation, codes: list[str], text: str) -> None:
    """What is wrong with a run is found, and its finding says what was seen and what to do."""
    findings = examine(ASKED, LIMITS, PREDICTED, observed)
    assert [finding.code for finding in findings] == codes
    assert findings[0].message == text
    assert verdict(findings) == "SUSPECT"


def test_a_silent_clip_is_found_and_one_that_was_asked_for_is_not() -> None:
    """A backlog that the machine's own somaxconn cuts is a finding; where somaxconn was asked for it is no surprise."""
    clipped = replace(PREDICTED, queues=(ExpectedQueue("app", backlog=2048, bound=100),))
    [finding] = examine(ASKED, LIMITS, clipped, seen())
    assert (finding.code, finding.message) == (
        "backlog_clipped",
        "app asks for a backlog of 2048, and the kernel silently makes 100 of it (net.core.somaxconn). Raise "
        "somaxconn, or ask for less.",
    )
    assert examine(replace(ASKED, limits={"somaxconn": 100}), LIMITS, clipped, seen()) == ()


def test_bounds_of_a_random_server_are_kept_and_broken() -> None:
    """A count inside the predicted bounds is no finding; one outside is, with the bounds."""
    random = Prediction(
        (PlaceCount("app", "handler", 40, 10, 40), PlaceCount("app", "waiting", 0, 0, 30)), bound_by="threads"
    )
    inside = seen(PlaceCount("app", "handler", 17), PlaceCount("app", "waiting", 23))
    assert examine(replace(ASKED, requests=40), {}, random, inside) == ()
    outside = seen(PlaceCount("app", "handler", 9), PlaceCount("app", "waiting", 31))
    assert [
        finding.message.split(". ")[0] for finding in examine(replace(ASKED, requests=40), {}, random, outside)
    ] == [
        "app handler: 9 measured, 10 to 40 predicted",
        "app waiting: 31 measured, 0 to 30 predicted",
    ]
