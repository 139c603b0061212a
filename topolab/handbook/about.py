"""What is known of a server beyond its numbers: topologies/servers/<server>/about.md, one outline for all."""

from __future__ import annotations

import os
import re
from pathlib import Path

from topolab.errors import LabError
from topolab.paths import shown
from topolab.server import Server
from topolab.yamlfile import nearest

OUTLINE = (
    "What it is, and what it is not",
    "How a request passes through it",
    "Its settings",
    "Its ledger",
    "How it fails",
    "How it dies",
    "Settings to start with",
    "Sources",
)

LINK = re.compile(r"(?<=\]\()(?!\w+:|#)[^)\s]+(?=\))")  # the target of `[text](target)`: a file


def read(server: Server, *, into: Path) -> dict[str, str]:
    """Its paragraphs by heading, with links as they have to be in a page of the folder `into`; empty without a file.

    Raises `LabError` where a heading is not of the outline.
    """
    path = server.folder / "about.md"
    if not path.exists():
        return {}
    found: dict[str, str] = {}
    _, *sections = re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for section in sections:
        heading, _, text = section.partition("\n")
        if heading not in OUTLINE:
            raise LabError(f'{shown(path)}: "{heading}" is no heading of the outline.{nearest(heading, OUTLINE)}')
        found[heading] = LINK.sub(lambda match: _from(into, path.parent, match[0]), text.strip())
    return found


def _from(into: Path, folder: Path, target: str) -> str:
    """The same target, seen from another folder."""
    return Path(os.path.relpath(folder / target, into)).as_posix()
