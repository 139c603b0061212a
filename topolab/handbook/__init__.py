"""The pages that are made (`make docs`): one for each server, the tables in others, and the roles' READMEs."""

from __future__ import annotations

from pathlib import Path

from topolab import paths, rolebook
from topolab.facts import Facts
from topolab.handbook import blocks, guide, limiting, pictures, server, underload, waiting
from topolab.topology import Catalog

DOCS = paths.HOME / "docs"
MADE = {**waiting.MADE, **guide.MADE, **underload.MADE, **limiting.MADE}  # the tables that a page can ask for, by name


def pages(catalog: Catalog, facts: Facts | None = None) -> dict[Path, str]:
    """Every page that is made, by its place."""
    known = facts or Facts.stored()
    servers = catalog.servers()
    roles = sorted(path.parent.parent for path in (paths.HOME / "ansible/roles").glob("*/meta/argument_specs.yml"))
    drawn = {DOCS / f"pictures/{name}.svg": draw(known, catalog) for name, draw in pictures.MADE.items()}
    return {
        **{path: text for path, text in drawn.items() if text is not None},
        DOCS / "servers.md": server.index(catalog),
        **{page: blocks.filled(page, MADE, known, catalog) for page in blocks.marked(DOCS)},
        **{DOCS / f"servers/{one.server}.md": server.page(one, catalog, known) for one in servers},
        **{role / "README.md": rolebook.readme(role) for role in roles},
    }
