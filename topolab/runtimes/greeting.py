"""A few quiet requests to a stack: is it healthy, and who serves it."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable, Mapping

from topolab.plan import Plan
from topolab.runtimes import venvs

TIMEOUT_S = 5.0
INTERVAL_S = 0.02


def until_healthy(port: int, *, deadline_s: float, gone: Callable[[], bool]) -> None:
    """Returns when /healthz answers 200. `TimeoutError` when the deadline passes, or `gone()` first."""
    deadline = time.monotonic() + deadline_s
    while time.monotonic() < deadline and not gone():
        if _get(port, "/healthz")[0] == 200:
            return
        time.sleep(INTERVAL_S)
    raise TimeoutError


def who_serves(port: int, plan: Plan) -> dict[str, str]:
    """Versions: Python and the front as they answer, the rest from the server's lock."""
    status, headers, body = _get(port, "/")
    python = {"python": json.loads(body)["python"]} if status == 200 else {}
    return versions({**python, "server": headers.get("server", "")}, plan)


def versions(greeting: Mapping[str, str], plan: Plan) -> dict[str, str]:
    """The same from what was answered: "python", and the header "server"."""
    versions = {"python": greeting["python"]} if "python" in greeting else {}
    if plan.front:
        said = dict(re.findall(r"([\w.-]+)/([\w.-]+)", greeting.get("server", "")))  # Apache names its modules as well
        said.pop("Python", None)
        if not said and not plan.front.server.inside:
            said = {plan.front.server.server: "unknown"}
        versions |= said
    return {**versions, **venvs.versions(plan)}


def _get(port: int, path: str) -> tuple[int, dict[str, str], bytes]:
    """Status 0 where nothing answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        return response.status, {key.lower(): value for key, value in response.getheaders()}, response.read()
    except (OSError, http.client.HTTPException):
        return 0, {}, b""
    finally:
        connection.close()
