"""Fixtures that every test may use; and what this machine can't run is skipped by name (with CI=true it fails)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from topolab import packages
from topolab.runtimes import engine
from topolab.topology import Catalog

CHROMIUM = "/usr/bin/chromium"

_NEEDS: dict[str, Callable[[], str | None]] = {
    "engine": engine.problem,
    "nginx": lambda: None if packages.find("nginx") else "nginx is not installed: sudo make setup",
    "browser": lambda: None if Path(CHROMIUM).exists() else "no chromium: sudo apt-get install chromium",
}


# What measures real servers on whatever machine this is: a shared one stands still for a second now and then. A fault
# fails a second time; what does not is shown as a rerun.
_MEASURING = ("instrument", "integration", "hosts")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marks = {mark: need() for mark, need in _NEEDS.items() if any(item.get_closest_marker(mark) for item in items)}
    for item in items:
        if item.path.parent.name in _MEASURING:
            item.add_marker(pytest.mark.flaky(reruns=1))
        for mark, problem in marks.items():
            if problem and item.get_closest_marker(mark) and not os.environ.get("CI"):
                item.add_marker(pytest.mark.skip(reason=problem))


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """The lab's own topologies."""
    return Catalog()


@pytest.fixture
def own_topologies(tmp_path: Path, catalog: Catalog) -> Path:
    """A copy of topologies/ that a test may spoil."""
    copy = tmp_path / "topologies"
    shutil.copytree(catalog.root, copy)
    return copy
