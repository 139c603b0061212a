"""Where the lab's files are. `TOPOLAB_HOME` points to another checkout or copy of them."""

import os
from pathlib import Path


def _place(variable: str, usual: Path) -> Path:
    """The folder that a variable names, seen from where one stands.

    Absolute, because others stand elsewhere (Compose in compose/); without `..` and symlinks, because processes are
    found again by the name of their stack's folder, from wherever and however that is typed.
    """
    return Path(os.path.realpath(os.environ.get(variable) or usual))


HOME = _place("TOPOLAB_HOME", Path(__file__).resolve().parent.parent)

TOPOLOGIES = _place("TOPOLAB_TOPOLOGIES", HOME / "topologies")
COMPOSE = HOME / "compose"
STATE = _place("TOPOLAB_STATE", HOME / ".topolab")  # records of the stacks that are up
VENVS = HOME / ".topolab" / "venvs"
RESULTS = _place("TOPOLAB_RESULTS", HOME / "results")


def shown(path: Path) -> str:
    """A path as a person would type it: relative to the lab's home where it is inside."""
    return str(path.relative_to(HOME)) if path.is_relative_to(HOME) else str(path)
