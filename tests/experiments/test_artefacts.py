"""What the naive harnesses share is no artefact: their records make a lap like any other."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from topolab.doubts import judge
from topolab.errors import LabError
from topolab.experiments.artefacts import ARTEFACTS, planned
from topolab.experiments.artefacts.harness import NS, Harness, Shot
from topolab.loads import Offered, Work
from topolab.topology import Catalog

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextlib.contextmanager
def server(*answers: bytes) -> Iterator[int]:
    """Gives each connection the same answer, in these parts, and keeps it open; without any, hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as kept:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.recv(4096)
                    for part in answers:
                        connection.sendall(part)
                    if answers:
                        kept.enter_context(connection)
                    else:
                        connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def once(harness: Harness, number: int) -> None:
    with harness.connect() as connection:
        sent_ns = time.monotonic_ns()
        connection.sendall(harness.request("/"))
        assert harness.answer(connection) == 200
        harness.shots.append(Shot(sent_ns, sent_ns, time.monotonic_ns()))


def test_a_harness_counts_what_its_clients_count() -> None:
    """An answer is whole when its length has come, whatever becomes of the connection; the lap holds each request."""
    with server(ANSWER[:30], ANSWER[30:]) as port:
        harness = Harness(port, clients=3, seconds=5.0)
        harness.run(once)
    lap = harness.lap(Offered(Work(), "closed", 5.0, connections=3))
    assert (lap.requests, lap.good, lap.instrument.connections_opened) == (3, 3, 3)
    assert lap.achieved == 0.6
    assert "littles_law" in {finding.code for finding in judge(lap).findings}


def test_a_harness_ends_when_its_time_is_over() -> None:
    """Clients that still wait for something are not waited for, and what they had not counted is not counted."""

    def waits(harness: Harness, number: int) -> None:
        with harness.connect() as connection:
            connection.settimeout(harness.left_s())
            connection.recv(1)

    with server(ANSWER) as port:
        harness = Harness(port, clients=2, seconds=0.2)
        harness.run(waits)
    assert harness.shots == []
    assert harness.lap(Offered(Work(), "closed", 0.2, connections=2)).requests == 0


def test_a_server_that_is_gone_is_an_error() -> None:
    """Where nobody listens any more, the harness says so: it has measured nothing."""
    with server(ANSWER) as port:
        pass
    with pytest.raises(LabError, match=r"2 of 2 clients of the naive harness gave up: .*refused"):
        Harness(port, clients=2, seconds=5.0).run(once)


def test_a_harness_tells_when_its_requests_were_due() -> None:
    """Lateness is from due to sent, latency from due to answered."""
    harness = Harness(0, clients=1, seconds=1.0, began_ns=5 * NS)
    harness.shots = [Shot(5 * NS, 5 * NS + 10_000_000, 5 * NS + 15_000_000)]
    lap = harness.lap(Offered(Work(), "open", 1.0, rate=1))
    assert lap.instrument.lateness_max_s == 0.01
    assert lap.answered
    assert lap.answered.max_s == 0.015


def test_every_artefact_is_told_in_full(catalog: Catalog) -> None:
    """Each has a server that there is, a factor that is more than noise, and a finding that names it."""
    assert [case.name for case in ARTEFACTS] == ["keepalive", "pacing", "outside", "failures"]
    for case in ARTEFACTS:
        assert planned(catalog, case).topology.name == case.topology
        assert case.factor >= 1.5
        assert case.caught_by
        assert all(text.endswith(".") for text in (case.published, case.again, case.instead))
