"""Whatever comes back is a request served."""

from __future__ import annotations

import time

from topolab.experiments.artefacts.case import Case
from topolab.experiments.artefacts.harness import Harness, Shot
from topolab.loads import Offered, Work

CLIENTS, SECONDS = 64, 3.0


def client(harness: Harness, number: int) -> None:
    """Asks again and again, and looks at no status."""
    while True:
        with harness.connect() as connection:
            sent_ns = time.monotonic_ns()
            connection.sendall(harness.request("/sleep?seconds=0.01"))
            harness.answer(connection)
            harness.shots.append(Shot(sent_ns, sent_ns, time.monotonic_ns()))  # the flaw: 502 is an answer as well


CASE = Case(
    name="failures",
    title="Failures counted as requests",
    published="A table of a server's own project gives uWSGI 413 requests/s at 10 ms of I/O, from a command line that "
    "serves one request at a time: 100/s at most. Failures were counted as requests.",
    again="nginx in front of uWSGI with one process and one thread, a view that waits 10 ms, and 64 clients. Where "
    "uWSGI's queue is full, nginx says 502 at once, and the client asks again at once. Refusing is fast: the "
    "fewer requests a server takes, the more of these it makes.",
    instead="Count good answers only, and the others by kind; hold the rate against what the settings allow (slots "
    "over service time).",
    topology="nginx-uwsgi",
    sets=("app.processes=1", "app.threads=1", "app.backlog=4"),
    client=client,
    naive=Offered(Work("io", io_ms=10.0), "closed", SECONDS, connections=CLIENTS, keepalive=False, label="naive"),
    ours=Offered(
        Work("io", io_ms=10.0), "closed", 2.0, connections=CLIENTS, keepalive=False, warmup_s=0.5, label="ours"
    ),
    figure="requests/s",
    quantity="requests/s",
    says=lambda naive, ours, _held: (naive.achieved, ours.achieved),
    factor=4,
    caught_by=("above_ceiling",),
)  # fmt: skip
