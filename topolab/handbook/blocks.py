"""Tables within pages that people write: between `<!-- made: NAME -->` and `<!-- /made -->`, filled by `make docs`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from topolab.errors import LabError
from topolab.facts import Facts
from topolab.paths import shown
from topolab.topology import Catalog
from topolab.yamlfile import nearest

Make = Callable[[Facts, Catalog], str]
BLOCK = re.compile(r"<!-- made: (\S+) -->\n.*?<!-- /made -->", re.DOTALL)


def filled(page: Path, makes: Mapping[str, Make], facts: Facts, catalog: Catalog) -> str:
    """The page with each of its blocks made anew. Raises `LabError` where nothing of such a name is made."""

    def made(match: re.Match[str]) -> str:
        name = match[1]
        if name not in makes:
            raise LabError(f'{shown(page)}: nothing is made that is called "{name}".{nearest(name, makes)}')
        return f"<!-- made: {name} -->\n{makes[name](facts, catalog).strip()}\n<!-- /made -->"

    return BLOCK.sub(made, page.read_text(encoding="utf-8"))


def marked(folder: Path) -> list[Path]:
    """The pages of a folder that have such blocks."""
    return [page for page in sorted(folder.glob("*.md")) if BLOCK.search(page.read_text(encoding="utf-8"))]
