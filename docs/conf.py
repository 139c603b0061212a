"""The site: the pages of docs/ with an index and a search, by Sphinx. `make site` builds it, without the network.

The pages are plain Markdown that reads as well in any viewer of the repository; what only a site needs is here.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent.resolve()

project = "Topolab"
html_title = "Topolab"
language = "en"
extensions = ["myst_parser"]
exclude_patterns = ["requirements.*"]
myst_heading_anchors = 4  # a link to `#a-heading` leads there, as in other viewers
nitpicky = True
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
html_use_index = False

# What stands in the margin, in this order: captions, and pages by name. `*` is all that there are.
CHAPTERS = (
    ("Choose", ("picking-a-server", "servers", "servers/*")),
    ("Understand", ("where-requests-wait", "limits", "contexts", "claims", "behaviours/*")),
    ("Trust", ("method", "artefacts", "artefacts/*", "proof")),
    ("Use", ("your-own-app", "hosts")),
)

LINK = re.compile(r"(?<=\]\()[^)\s:#]+(?=\))")  # the target of `[text](target)`: a file, without an anchor


def contents() -> str:
    """The chapters as Sphinx takes them."""
    lines = []
    for caption, names in CHAPTERS:
        pages = [path.relative_to(HERE).as_posix() for name in names for path in sorted(HERE.glob(f"{name}.md"))]
        lines += ["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""]
    return "\n".join(lines)


def for_the_site(_app: Sphinx, name: str, source: list[str]) -> None:
    """Files of the repository that are no pages are offered as they are; the front page gets the contents."""
    folder = (HERE / name).parent

    def target(match: re.Match[str]) -> str:
        inside = (folder / match[0]).resolve().is_relative_to(HERE)
        return match[0] if inside else f"path:{match[0]}"

    source[0] = LINK.sub(target, source[0])
    if name == "index":
        source[0] += contents()


def setup(app: Sphinx) -> None:
    app.connect("source-read", for_the_site)
