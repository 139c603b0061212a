"""A client that waits for the server to close the connection, and a server that keeps it."""

from __future__ import annotations

import time

from topolab.experiments.artefacts.case import Case
from topolab.experiments.artefacts.harness import Harness, Shot
from topolab.loads import Offered, Work

CLIENTS, SECONDS = 30, 10.0


def client(harness: Harness, number: int) -> None:
    """Asks, reads the answer, and asks again on a new connection: once the server has closed this one."""
    while True:
        with harness.connect() as connection:
            sent_ns = time.monotonic_ns()
            connection.sendall(harness.request("/"))
            if harness.answer(connection) == 200:
                harness.shots.append(Shot(sent_ns, sent_ns, time.monotonic_ns()))
            connection.settimeout(harness.left_s())
            while connection.recv(65_536):  # the flaw: HTTP/1.1 keeps a connection unless somebody says otherwise
                pass


CASE = Case(
    name="keepalive",
    title="3 requests per second, at 5 ms each",
    published="A comparison of WSGI servers on a vendor's blog gives one of them 3.3 requests/s with 100 connections: "
    "exactly 100 requests in 30.03 s, at 9 ms and with an idle CPU. Each connection had one response, and "
    "then its client waited.",
    again="30 clients ask in HTTP/1.1, read the whole answer, and ask again once the server has closed the "
    "connection. This server keeps connections, as HTTP/1.1 says. So each client asks once, and the rate is "
    "the number of clients over the length of the test, whatever the server can do: run it twice as long, and "
    "the server is half as fast.",
    instead="Say what becomes of the connection (`Connection: close`, or keep it and use it), and compare the "
    "responses with the connections that they took. Rate times latency has to be the number of clients.",
    topology="waitress",
    sets=(),
    client=client,
    naive=Offered(Work(), "closed", SECONDS, connections=CLIENTS, label="naive"),
    ours=Offered(Work(), "closed", 2.0, connections=CLIENTS, warmup_s=0.3, label="ours"),
    figure="requests/s",
    quantity="requests/s",
    says=lambda naive, ours, _held: (naive.achieved, ours.achieved),
    factor=20,
    caught_by=("littles_law",),
)  # fmt: skip
