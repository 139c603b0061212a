"""Where the lab's files are. `TOPOLAB_HOME` points to another checkout or copy of them."""

import os
from pathlib import Path

HOME = Path(os.environ.get("TOPOLAB_HOME") or Path(__file__).resolve().parent.parent)

TOPOLOGIES = Path(os.environ.get("TOPOLAB_TOPOLOGIES") or HOME / "topologies")
COMPOSE = HOME / "compose"
STATE = Path(os.environ.get("TOPOLAB_STATE") or HOME / ".topolab")  # records of the stacks that are up
VENVS = HOME / ".topolab" / "venvs"
RESULTS = Path(os.environ.get("TOPOLAB_RESULTS") or HOME / "results")


def shown(path: Path) -> str:
    """A path as a person would type it: relative to the lab's home where it is inside."""
    return str(path.relative_to(HOME)) if path.is_relative_to(HOME) else str(path)
