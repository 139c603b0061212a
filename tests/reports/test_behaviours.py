"""The pages of docs/behaviours are what their runs say."""

from __future__ import annotations

from pathlib import Path

import pytest

from topolab import paths, store
from topolab.behaviours import IdentityRun, SensitivityRun
from topolab.reports.behaviours import SHEETS, page
from topolab.results import NotRun, Run
from topolab.topology import Catalog

PAGES = sorted((paths.HOME / "docs/behaviours").glob("*.json"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_is_made_from_the_runs_beside_it(path: Path) -> None:
    """Each page is what `--output docs/behaviours` writes for the runs that are stored with it."""
    loaded = store.load([path])
    found: list[Run | NotRun] = [*loaded.others, *loaded.not_run]
    results = sorted(found, key=lambda result: result.topology)
    assert path.with_suffix(".md").read_text() == page(path.stem, results)


def test_every_experiment_has_its_page() -> None:
    """No experiment on behaviour goes without a page."""
    assert {path.stem for path in PAGES} == set(SHEETS)


def test_only_threads_of_gunicorn_make_requests_wait_beside_a_free_worker() -> None:
    """The page of crossings: gunicorn's threads in both releases, and neither sync workers nor uWSGI."""
    crossed: dict[str, list[int]] = {}
    for run in store.load([paths.HOME / "docs/behaviours/crossing.json"]).others:
        assert isinstance(run, IdentityRun)
        assert run.identity.crossing
        crossed.setdefault(run.topology, []).append(run.identity.crossing.misplaced)
    assert len(crossed["gunicorn-gthread"]) == 2
    assert min(crossed.pop("gunicorn-gthread")) > 30
    assert {name: max(numbers) for name, numbers in crossed.items()} == {"gunicorn-sync": 0, "uwsgi-processes": 0}


def test_isolation_was_shown_for_every_topology(catalog: Catalog) -> None:
    """All topologies are on the page of isolation, each VALID, with 200 requests answered."""
    loaded = store.load([paths.HOME / "docs/behaviours/isolation.json"])
    assert [run.topology for run in loaded.others] == list(catalog.names)
    assert {run.verdict for run in loaded.others} == {"VALID"}


def test_what_binds_is_what_moves(catalog: Catalog) -> None:
    """Every topology is on the page of sensitivity, VALID; the limit that binds moves its ledger when it is changed.

    hypercorn is bound by the machine's CPUs, and nothing binds two others within 3,000 requests.
    """
    runs = {
        run.topology: run for run in store.load([paths.HOME / "docs/behaviours/sensitivity.json"]).of(SensitivityRun)
    }
    assert sorted(runs) == list(catalog.names)
    assert {run.verdict for run in runs.values()} == {"VALID"}
    unnamed = {
        name: run.bound_by
        for name, run in runs.items()
        if (run.bound_by or "").partition("=")[0] not in {knob.name for knob in run.knobs if knob.moved}
    }
    assert unnamed == {"hypercorn": "cpus", "flask-threaded": None, "gevent-pywsgi": None}
