"""Crossing: with four handlers each, in which servers does a request wait for a busy worker beside a free one?

The table of gunicorn issue 3433: its threaded workers accept more than they have threads for, in every release.
"""

from __future__ import annotations

from topolab.plan import Plan, resolve
from topolab.topology import Catalog

CASES = (
    ("gunicorn-gthread", ("workers=2", "threads=2")),
    ("gunicorn-gthread", ("workers=2", "threads=2", "version=25")),
    ("gunicorn-sync", ("workers=4",)),
    ("gunicorn-sync", ("workers=4", "version=25")),
    ("uwsgi-processes", ("processes=2", "threads=2")),
    ("uwsgi-processes", ("processes=4", "threads=1")),
)


def plans(catalog: Catalog) -> list[Plan]:
    """What the identity experiment is to measure, one after the other."""
    return [resolve(catalog, name, sets=sets, requests=40) for name, sets in CASES]
