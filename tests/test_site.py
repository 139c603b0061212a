"""The built site: every page is in it, every link leads somewhere, and it needs no network."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import sync_playwright

from tests.conftest import CHROMIUM
from topolab import paths

DOCS = paths.HOME / "docs"
LOADED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src"}  # what a browser fetches


class Page(HTMLParser):
    """The anchors, the links and what else a page makes a browser fetch."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in LOADED and LOADED[tag] in values:
            self.loaded.append(values[LOADED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make site` builds it; a warning fails."""
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "sphinx", "-E", "-W", "--keep-going", "-q", str(DOCS), str(folder)]
    built = subprocess.run(words, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html") if not path.is_relative_to(site / "_downloads")}


def names() -> Iterator[str]:
    """Every page of docs/, by its path without the end."""
    for path in sorted(DOCS.rglob("*.md")):
        yield path.relative_to(DOCS).with_suffix("").as_posix()


def test_every_page_is_in_the_site_and_in_its_search(site: Path) -> None:
    """Each docs/**/*.md is a page, and the index that the browser searches in knows its words."""
    index = json.loads((site / "searchindex.js").read_text().removeprefix("Search.setIndex(").removesuffix(")"))
    assert set(index["docnames"]) == set(names())
    for name in names():
        assert (site / f"{name}.html").exists()
    words: dict[str, set[str]] = defaultdict(set)
    for term, found in [*index["terms"].items(), *index["titleterms"].items()]:
        for number in found if isinstance(found, list) else [found]:
            words[index["docnames"][number]].add(term)
    assert all(len(words[name]) > 20 for name in names())
    assert "limits" in {name for name in names() if "somaxconn" in words[name]}


def test_every_page_can_be_reached_from_the_front_page(site: Path, pages: dict[Path, Page]) -> None:
    """The margin of the front page names all pages."""
    linked = {urlsplit(link).path for link in pages[site / "index.html"].links}
    assert {f"{name}.html" for name in names() if name != "index"} <= linked


def test_every_link_and_anchor_of_the_site_leads_somewhere(pages: dict[Path, Page]) -> None:
    """Each link within the site names a file that is there and, after a #, an anchor in it."""
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), (path.name, link)
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].anchors, (path.name, link)


def test_nothing_of_the_site_comes_from_the_network(site: Path, pages: dict[Path, Page]) -> None:
    """No page fetches a script, a style, a picture or a font from elsewhere."""
    for path, page in pages.items():
        for address in page.loaded:
            assert not urlsplit(address).netloc, (path.name, address)
            assert (path.parent / unquote(urlsplit(address).path)).exists(), (path.name, address)
    for style in site.rglob("*.css"):
        assert "url(http" not in style.read_text().replace('"', "").replace("'", "")
        assert "@import" not in style.read_text()


@pytest.mark.browser
def test_the_search_finds_pages_without_a_network(site: Path) -> None:
    """A browser that is offline finds what is on the servers' pages."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        context = browser.new_context(offline=True)
        page = context.new_page()
        page.goto(f"{(site / 'search.html').as_uri()}?q=channel_request_lookahead")
        page.wait_for_selector("#search-results li a")
        found = page.locator("#search-results li a").all_inner_texts()
        browser.close()
    assert "waitress" in found
