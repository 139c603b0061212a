"""More clients than the accept queue takes, and a latency that begins when they are in."""

from __future__ import annotations

import time

from topolab.experiments.artefacts.case import Case
from topolab.experiments.artefacts.harness import Harness, Shot
from topolab.ledger import Ledger
from topolab.loads import Offered, Work

CLIENTS, SECONDS = 40, 4.0


def client(harness: Harness, number: int) -> None:
    """A connection for each request, again and again."""
    while True:
        with harness.connect() as connection:
            sent_ns = time.monotonic_ns()  # the flaw: who is not let in has not begun to wait
            connection.sendall(harness.request("/sleep?seconds=0.01"))
            if harness.answer(connection) == 200:
                harness.shots.append(Shot(sent_ns, sent_ns, time.monotonic_ns()))


def inside(held: Ledger) -> int:
    """Who stands where the server will come to it."""
    return sum(held.at("app", place).count for place in ("handler", "waiting", "accept_queue"))


CASE = Case(
    name="outside",
    title="Half of the clients are not in the latency",
    published="A suite that measures Flask with 4,096 connections publishes rates and latencies whose products are "
    "2,159 to 2,223 requests under way. gunicorn's accept queue holds 2,048 + 1, and there were 64 workers: "
    "2,113. Some 46 % of the clients stood outside, the CPU was half idle, and nothing said so (our reading "
    "of the published figures).",
    again="The same, smaller: two sync workers and a backlog of 16 take 2 + 17 requests, and 40 clients ask for 10 "
    "ms of waiting each. The kernel drops the handshakes of the others, which try again a second later and "
    "find the queue full again. The latency begins when a request is sent, so it speaks of those who are in.",
    instead="Multiply rate and latency: what is missing from the number of clients stands where the latency does not "
    "see it. No closed loop does better, ours included (its lap has the same doubts): count where the "
    "requests stand (`topolab capacity`), or offer a rate and count from when each was due.",
    topology="gunicorn-sync",
    sets=("workers=2", "backlog=16"),
    client=client,
    naive=Offered(Work("io", io_ms=10.0), "closed", SECONDS, connections=CLIENTS, keepalive=False, label="naive"),
    ours=Offered(
        Work("io", io_ms=10.0), "closed", 3.0, connections=CLIENTS, keepalive=False, warmup_s=1.0, label="ours"
    ),
    figure="clients that its latency speaks of",
    quantity="clients",
    says=lambda naive, _ours, held: (naive.offered.connections, inside(held)),
    factor=1.5,
    caught_by=("littles_law", "clients_outside"),
    held=CLIENTS,
)  # fmt: skip
