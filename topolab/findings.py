"""Reasons to doubt a run. Each is typed, says what was seen, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from topolab.ledger import SPOTS, Ledger
from topolab.results import (
    Applied,
    Asked,
    ExpectedQueue,
    Finding,
    ListenerQueue,
    Observation,
    Prediction,
    ReadBack,
    SettingValue,
    Verdict,
)

# Openings this late (p99) come as one burst of more than a second's worth. Less than that changes the order of
# arrivals, not where they stand at rest: the census waits for every retry that still has room.
LATE_S = 1.0


def examine(
    asked: Asked, limits: Mapping[str, SettingValue], predicted: Prediction, observed: Observation
) -> tuple[Finding, ...]:
    """All findings of one capacity run; none means VALID. `limits` are the plan's."""
    return (
        *_balance(observed, asked.requests),
        *_queues(observed),
        *_backlogs(asked, predicted.queues, observed.listeners),
        *_limits(limits, observed.applied),
        *_differences(predicted, Ledger(observed.places)),
        *_rest(observed),
        *_others(observed),
        *_honesty(observed),
        *_followed(predicted, observed),
    )


def verdict(findings: tuple[Finding, ...]) -> Verdict:
    """VALID without findings, otherwise SUSPECT."""
    return "SUSPECT" if findings else "VALID"


def _balance(observed: Observation, requests: int) -> Iterator[Finding]:
    total = Ledger(observed.places).total
    if total != requests:
        yield Finding(
            "unbalanced",
            f"The places add up to {total}, not to {requests}. A request stands at two places or at none "
            "(a handler may run on for a client that has gone, or still call the gate). Run it again; if it stays, "
            "read the server's log.",
        )


def _queues(observed: Observation) -> Iterator[Finding]:
    for queue in observed.listeners:
        if queue.recv_q != queue.unaccepted:
            yield Finding(
                "queue_mismatch",
                f"The kernel counts {queue.recv_q} in the accept queue of {queue.service} ({queue.address}), the "
                f"census {queue.unaccepted}. Other clients may be talking to this server; stop them and run again.",
            )


def applied(
    asked: Asked, limits: Mapping[str, SettingValue], queues: Sequence[ExpectedQueue], seen: ReadBack
) -> tuple[Finding, ...]:
    """What the kernel made of the plan's limits and queues, where that is all that was looked at."""
    return (*_backlogs(asked, queues, seen.listeners), *_limits(limits, seen.applied))


def _backlogs(asked: Asked, queues: Sequence[ExpectedQueue], listeners: Sequence[ListenerQueue]) -> Iterator[Finding]:
    """The queues that the kernel really made, against the planned ones."""
    for expected in queues:
        made = [queue for queue in listeners if queue.service == expected.service]
        if not made:
            yield Finding(
                "listener_missing",
                f"The census found no listener of {expected.service}, so its accept queue was not looked at. "
                "Its address may be wrong in the server's `run`.",
            )
        for queue in made:
            if queue.send_q != expected.bound:
                yield Finding(
                    "backlog_not_applied",
                    f"{expected.service} ({queue.address}) listens with a queue of {queue.send_q}, the plan says "
                    f"{expected.bound}. The server's `run` or its model does not do what the setting says.",
                )
        somaxconn_was_asked_for = "somaxconn" in asked.limits or asked.limits_name != "default"
        if expected.bound < expected.backlog and not somaxconn_was_asked_for:
            yield Finding(
                "backlog_clipped",
                f"{expected.service} asks for a backlog of {expected.backlog}, and the kernel silently makes "
                f"{expected.bound} of it (net.core.somaxconn). Raise somaxconn, or ask for less.",
            )


def _limits(limits: Mapping[str, SettingValue], applied: Applied | None) -> Iterator[Finding]:
    """The limits that the server's processes really have, against the plan's."""
    if applied is None:
        return
    got: dict[str, SettingValue | None] = {
        name: getattr(applied, name) for name in ("somaxconn", "tcp_max_syn_backlog", "tcp_abort_on_overflow")
    }
    got["ip_local_port_range"] = applied.ip_local_port_range
    if applied.processes_read:
        got["nofile"] = applied.nofile_min
        got["nproc"] = applied.nproc_min
    if applied.cgroups_read:
        got["pids"] = applied.pids_max
    for name, value in got.items():
        if name in limits and value is not None and value != limits[name]:
            yield Finding(
                "limit_not_applied",
                f"{name} is {value} in the running server, the plan says {limits[name]}. Something between the lab and "
                "the kernel cuts it: a hard limit, the engine, or a service manager.",
            )


def _differences(predicted: Prediction, measured: Ledger) -> Iterator[Finding]:
    for spot in SPOTS:
        expected, count = predicted.ledger.at(*spot), measured.at(*spot).count
        if not expected.allows(count):
            bounds = (
                f"{expected.at_least} to {expected.at_most}"
                if expected.at_least is not None
                else f"exactly {expected.count}"
            )
            yield Finding(
                "prediction_differs",
                f"{spot[0]} {spot[1]}: {count} measured, {bounds} predicted. If it stays when run again, "
                "the server's model (topologies/servers/) is wrong for these settings.",
            )


def _rest(observed: Observation) -> Iterator[Finding]:
    instrument = observed.instrument
    if not instrument.at_rest:
        yield Finding(
            "not_at_rest",
            f"Requests were still moving {instrument.seconds_to_rest:.1f} s after the first was sent, when the census "
            "was taken. Run it on a quieter machine, or with fewer requests.",
        )
    if instrument.calls_under_way:
        yield Finding(
            "calls_under_way",
            f"{instrument.calls_under_way} views were on their way to the gate when the census was taken, so they "
            "stand at no place. The gate's own accept queue may be short: raise somaxconn, or ask for fewer requests.",
        )
    yield from missing(instrument.processes_seen, instrument.processes_asked)


def missing(seen: int, asked: int) -> Iterator[Finding]:
    """Serving processes that never answered."""
    if seen < asked:
        yield Finding(
            "processes_missing",
            f"Only {seen} of {asked} serving processes answered before the run. Look at `topolab logs`: a worker may "
            "be failing to start.",
        )


def _others(observed: Observation) -> Iterator[Finding]:
    """Who else uses this server."""
    instrument = observed.instrument
    if instrument.strangers:
        yield Finding(
            "strangers",
            f"{instrument.strangers} views called the gate for requests that are not of this run: someone else asks "
            "for /hold, and takes places that are counted here. Stop them and run again.",
        )
    if instrument.occupied:
        yield Finding(
            "server_occupied",
            f"The server still had {instrument.occupied} connections when the first request was sent: of other "
            "clients, or of a health check that it never answered. Stop whoever talks to this server and run again.",
        )


def _honesty(observed: Observation) -> Iterator[Finding]:
    instrument = observed.instrument
    if instrument.lateness_p99_s > LATE_S:
        yield Finding(
            "instrument_late",
            f"The instrument opened connections up to {instrument.lateness_p99_s * 1000:.0f} ms late (p99), so the "
            "arrivals came in bursts. Free the machine's cores and run again.",
        )
    if instrument.descriptors_short:
        yield Finding(
            "instrument_descriptors",
            f"The instrument lacked descriptors for {instrument.descriptors_short} connections (its limit is "
            f"{instrument.descriptor_limit} per process). Raise `ulimit -Hn`, or ask for fewer requests.",
        )


def _followed(predicted: Prediction, observed: Observation) -> Iterator[Finding]:
    after = observed.after_release
    if after.failed and not predicted.may_fail:
        yield Finding(
            "requests_failed",
            f"{after.failed} requests stood on the server's side at the census and got no good answer after the "
            "release. The server's log says why: `topolab logs`.",
        )
