"""A few quiet requests from beside a stack, for what needs neither a gate nor a census."""

from __future__ import annotations

import concurrent.futures
import http.client
import itertools
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from topolab.errors import LabError

HOST = "127.0.0.1"
PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; status 0 where the connection ended without one. `seconds` from opening to the end."""

    status: int
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:
        """What it says. Raises `LabError` where it is none."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise LabError(f"The app answered {self.status} with something that is no JSON.") from error


def ask(port: int, path: str, *, patience_s: float = PATIENCE_S) -> Reply:
    """One request on a connection of its own. Raises `LabError` when nothing comes."""
    began = time.monotonic()
    connection = http.client.HTTPConnection(HOST, port, timeout=patience_s)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        return Reply(response.status, response.read(), time.monotonic() - began)
    except TimeoutError as error:
        raise LabError(f"{path} had no answer within {patience_s:g} s.") from error
    except (OSError, http.client.HTTPException):
        return Reply(0, b"", time.monotonic() - began)
    finally:
        connection.close()


def good(port: int, path: str) -> Any:
    """What the app answers. Raises `LabError` when that is no 200."""
    reply = ask(port, path)
    if reply.status != 200:
        raise LabError(f"{path} was answered with status {reply.status or 'none, the connection was closed'}.")
    return reply.json


def together(port: int, paths: Sequence[str], *, patience_s: float = PATIENCE_S) -> list[Reply]:
    """All at once, the replies in the order of the paths."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(paths)) as pool:
        return list(pool.map(lambda path: ask(port, path, patience_s=patience_s), paths))


def elapsed(port: int, path: str, number: int) -> float:
    """Seconds from the first opening to the last good answer. Raises `LabError` when one is not good."""
    began = time.monotonic()
    bad = [reply.status for reply in together(port, [path] * number) if reply.status != 200]
    if bad:
        raise LabError(f"{len(bad)} of {number} requests for {path} got no good answer.")
    return time.monotonic() - began


def most_at_once(spans: Iterable[tuple[int, int]]) -> int:
    """Of spans of time, the most that overlap."""
    changes = sorted(change for began, ended in spans for change in ((began, 1), (ended, -1)))
    return max(itertools.accumulate((change for _moment, change in changes), initial=0))


def processes(port: int, number: int, *, deadline_s: float = PATIENCE_S) -> set[int]:
    """The pids of that many serving processes. Raises `LabError` when fewer answer."""
    seen: set[int] = set()
    deadline = time.monotonic() + deadline_s
    while len(seen) < number:
        if time.monotonic() > deadline:
            raise LabError(f"{len(seen)} of {number} processes answered within {deadline_s:g} s.")
        for reply in together(port, ["/healthz"] * 4):
            if reply.status == 200:
                seen.add(int(reply.json["pid"]))
    return seen
