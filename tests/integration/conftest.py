"""A lab per test, and the promise that nothing of it is left running."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.lab import Lab, until


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """The command line with a home of its own; afterwards all stacks are down and no process is left."""
    lab = Lab(tmp_path)
    yield lab
    lab.run("down")
    until(lambda: not lab.processes(), "every process of the lab has ended")
