"""What the naive harnesses share: clients in threads, requests on plain sockets, and their records as a lap.

Their flaws are in the modules of the artefacts; everything here is done as one should.
"""

from __future__ import annotations

import base64
import socket
import struct
import threading
import time
import zlib
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from topolab.errors import LabError
from topolab.loads import Lap, LoadReport, MachineUse, Offered, RawLap
from topolab.samples import FATES, lap_of

HOST = "127.0.0.1"
NS = 1_000_000_000
ANSWERED = next(number for number, fate in FATES.items() if fate == "answered")


@dataclass(frozen=True, slots=True)
class Shot:
    """One request that a harness counts: CLOCK_MONOTONIC in ns. `due_ns` is where its latency begins."""

    due_ns: int
    sent_ns: int
    ended_ns: int


@dataclass(slots=True)
class Harness:
    """So many clients for so long. `shots` are the requests that it would report, `opened` the connections it took."""

    port: int
    clients: int
    seconds: float
    began_ns: int = 0
    shots: list[Shot] = field(default_factory=list)
    opened: int = 0

    def run(self, client: Callable[[Harness, int], None]) -> None:
        """Each client in a thread of its own, until the time is over. What is under way then is not counted.

        `LabError` where connections are lost in a way that no client expects: of a server that died, say.
        """

        problems: list[OSError] = []

        def guarded(number: int) -> None:
            try:
                client(self, number)
            except TimeoutError:  # the time is over
                pass
            except OSError as error:
                problems.append(error)

        threads = [threading.Thread(target=guarded, args=(number,), daemon=True) for number in range(self.clients)]
        self.began_ns = time.monotonic_ns()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if problems:
            raise LabError(f"{len(problems)} of {self.clients} clients of the naive harness gave up: {problems[0]}.")

    def left_s(self) -> float:
        """Seconds that are left. `TimeoutError` when none are."""
        left = self.seconds - (time.monotonic_ns() - self.began_ns) / NS
        if left <= 0:
            raise TimeoutError
        return left

    def connect(self) -> socket.socket:
        """A new connection; no call on it lasts longer than the harness."""
        connection = socket.create_connection((HOST, self.port), timeout=self.left_s())
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # takes no port along
        self.opened += 1
        return connection

    def request(self, path: str) -> bytes:
        """HTTP/1.1, so that a server may keep the connection."""
        return f"GET {path} HTTP/1.1\r\nHost: {HOST}:{self.port}\r\n\r\n".encode()

    def answer(self, connection: socket.socket) -> int:
        """Reads one whole answer; its status, 0 where the connection ended without one."""
        whole = b""
        while True:
            connection.settimeout(self.left_s())
            more = connection.recv(65_536)
            whole += more
            head, ends, body = whole.partition(b"\r\n\r\n")
            if ends and len(body) >= _length(head):
                return int(head.split(b" ", 2)[1])
            if not more:
                return 0

    def lap(self, offered: Offered) -> Lap:
        """What it has counted, as a lap that can be judged like any other."""
        shots = sorted((shot for shot in self.shots if shot.ended_ns), key=lambda shot: shot.due_ns)
        columns = [array("q", (getattr(shot, name) - self.began_ns for shot in shots)) for name in Shot.__slots__]
        fates, statuses = array("B", [ANSWERED] * len(shots)), array("H", [200] * len(shots))
        late = sorted(max(0, shot.sent_ns - shot.due_ns) / NS for shot in shots) or [0.0]
        samples = b"".join(column.tobytes() for column in (*columns, fates, statuses))
        report = LoadReport(
            lateness_p50_s=late[len(late) // 2], lateness_p99_s=late[int(len(late) * 0.99)], lateness_max_s=late[-1],
            cpu_s=0.0, gate_cpu_s=0.0, cpu_share=0.0, connections_opened=self.opened,
            connections_held=float(self.clients), responses=len(shots),
        )  # fmt: skip
        machine = MachineUse(self.seconds, server_cpu_s=None, server_cpus=0, others_cpu_s=0.0, steal_s=0.0)
        packed = base64.b64encode(zlib.compress(samples)).decode()
        return lap_of(RawLap(offered, len(shots), packed, 0, report, machine))


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
