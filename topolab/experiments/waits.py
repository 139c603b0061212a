"""Waits: what clients get that find no handler, one case for each way in which they are turned away or left waiting."""

from __future__ import annotations

from dataclasses import dataclass

from topolab.plan import Plan, resolve
from topolab.topology import Catalog


@dataclass(frozen=True, slots=True)
class Case:
    """So many requests, held for so long, at these settings; time-outs are short, so that one needn't wait for them."""

    topology: str
    requests: int
    hold_s: float
    sets: tuple[str, ...] = ()


CASES = (
    Case("flask-single", 200, 12.0),
    Case("gunicorn-sync", 60, 12.0, ("timeout=5",)),
    Case("gunicorn-gthread", 60, 5.0),
    Case("waitress", 200, 5.0),
    Case("uvicorn-a2wsgi", 100, 2.0, ("limit_concurrency=50",)),
    Case("uwsgi-http", 200, 13.0, ("http_timeout=10",)),
    Case("nginx-gunicorn-sync", 200, 2.0, ("app.backlog=64",)),
    Case(
        "nginx-gunicorn-sync", 200, 13.0,
        ("listen=tcp", "app.backlog=64", "proxy_connect_timeout=5", "proxy_read_timeout=10"),
    ),
    Case("nginx-gunicorn-sync", 200, 2.0, ("front.worker_connections=128",)),
    Case("apache-mod-wsgi", 300, 20.0),
)  # fmt: skip


def plans(catalog: Catalog) -> list[Plan]:
    """The cases as plans."""
    return [
        resolve(catalog, case.topology, sets=case.sets, requests=case.requests, hold_s=case.hold_s) for case in CASES
    ]
