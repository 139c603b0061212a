"""Connections that are opened before their requests are due, and a worker that takes one and waits for it."""

from __future__ import annotations

import time

from topolab.experiments.artefacts.case import Case
from topolab.experiments.artefacts.harness import NS, Harness, Shot
from topolab.loads import Lap, Offered, Work

CLIENTS, RATE, SECONDS = 20, 200.0, 4.0
STRIDE = 7  # prime to the number of clients: their turns come in another order than that of their connections


def client(harness: Harness, number: int) -> None:
    """A schedule of its own, one request each period. A connection that was closed is opened again at once."""
    period_ns = int(harness.clients / RATE * NS)
    due_ns = harness.began_ns + period_ns + number * STRIDE % harness.clients * period_ns // harness.clients
    connection = harness.connect()
    while True:
        early_s = (due_ns - time.monotonic_ns()) / NS
        time.sleep(max(0.0, min(early_s, harness.left_s())))  # the flaw: the connection is open meanwhile, and idle
        connection.settimeout(harness.left_s())
        sent_ns = time.monotonic_ns()
        connection.sendall(harness.request("/"))
        if harness.answer(connection) == 200:
            harness.shots.append(Shot(due_ns, sent_ns, time.monotonic_ns()))
        connection.close()
        connection = harness.connect()
        due_ns += period_ns


def median(lap: Lap) -> float:
    return lap.answered.p50_s if lap.answered else 0.0


CASE = Case(
    name="pacing",
    title="The harness's own period, seen as latency",
    published="A comparison at a fixed rate, made with wrk2, gives every Flask app behind gunicorn's sync workers a "
    "p99 of 96 to 101 ms, on CPython and PyPy alike. That is the period of one connection at that rate: each "
    "connection has a schedule of its own (that this is the cause is our reading of the published figures and "
    "of wrk2's source).",
    again="20 connections share 200 requests/s, so each has one request in 100 ms. The server closes every "
    "connection, and the harness opens it again at once, before its next request is due, as wrk2 does. A sync "
    "worker takes the connection that has waited longest and reads: its request is not due yet, and all "
    "others wait behind it. With twice as many connections at the same rate the period is twice as long, and "
    "so are these latencies.",
    instead="Open a connection when its request is due, not before; look how many connections the responses took. The "
    "idle connections are a real weakness of sync workers, which is why a front that holds them belongs "
    "before such a server.",
    topology="gunicorn-sync",
    sets=("workers=1",),
    client=client,
    naive=Offered(Work(), "open", SECONDS, connections=CLIENTS, rate=RATE, label="naive"),
    ours=Offered(Work(), "open", 3.0, rate=RATE, keepalive=False, warmup_s=0.5, label="ours"),
    figure="median latency at 200/s",
    quantity="seconds",
    says=lambda naive, ours, _held: (median(naive), median(ours)),
    factor=5,
    caught_by=("keepalive_not_honoured",),
)  # fmt: skip
