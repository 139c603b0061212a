"""The pages of docs/behaviours are what their runs say."""

from __future__ import annotations

from pathlib import Path

import pytest

from topolab import paths, store
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


def test_isolation_was_shown_for_every_topology(catalog: Catalog) -> None:
    """All topologies are on the page of isolation, each VALID, with 200 requests answered."""
    loaded = store.load([paths.HOME / "docs/behaviours/isolation.json"])
    assert [run.topology for run in loaded.others] == list(catalog.names)
    assert {run.verdict for run in loaded.others} == {"VALID"}
