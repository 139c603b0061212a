"""The page in a real browser: Debian's chromium, driven by playwright. `apt-get install chromium`."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageStat
from playwright.sync_api import Browser, Page, sync_playwright

from topolab.reports.page import page
from topolab.results import Comparison

pytestmark = pytest.mark.browser

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1200, "height": 900}

# for every element with text of its own: its contrast with the nearest background that is not see-through (WCAG 2)
CONTRASTS = """
() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const background = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const seen = [];
  for (const element of document.querySelectorAll('body *')) {
    const text = [...element.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join('').trim();
    if (!text || !element.getClientRects().length || /^(title|desc)$/.test(element.tagName)) continue;
    const style = getComputedStyle(element);
    const ink = element.tagName === 'text' ? style.fill : style.color;
    const [a, b] = [light(parts(ink)), light(background(element))].sort((x, y) => y - x);
    seen.push([text.slice(0, 40), (a + 0.05) / (b + 0.05)]);
  }
  return seen;
}
"""

# the drawn size of every label in the picture that is displayed, in CSS pixels
LABELS = """
() => [...document.querySelectorAll('figure svg')].filter(svg => svg.getClientRects().length).flatMap(svg => {
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  return [...svg.querySelectorAll('text')].map(text => ({
    text: text.textContent,
    size: parseFloat(getComputedStyle(text).fontSize) * scale,
    right: text.getBoundingClientRect().right - svg.getBoundingClientRect().right,
  }));
})
"""

SEGMENTS = """
() => [...document.querySelectorAll('figure svg')].filter(svg => svg.getClientRects().length).flatMap(svg =>
  [...svg.querySelectorAll('[data-place]')].map(place => {
    const box = place.getBoundingClientRect();
    return [box.x, box.y, box.width, box.height, place.dataset.place];
  }))
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def file(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(comparison), encoding="utf-8")
    return path


def opened(browser: Browser, file: Path, size: Any, scale: float = 1) -> tuple[Page, list[str]]:
    """The page at a size, and the addresses that it asked for."""
    asked: list[str] = []
    context = browser.new_context(viewport=size, device_scale_factor=scale)
    context.on("request", lambda request: asked.append(request.url))
    tab = context.new_page()
    tab.goto(file.as_uri(), wait_until="load")
    return tab, asked


def test_it_asks_the_network_for_nothing(browser: Browser, file: Path) -> None:
    """Opening, unfolding and printing the page requests one file: itself. The browser has nothing to complain of."""
    complaints: list[str] = []
    tab, asked = opened(browser, file, DESKTOP)
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.reload(wait_until="load")
    for summary in tab.locator("summary").all():
        summary.click()
    tab.pdf()
    assert set(asked) - {"data:,"} == {file.as_uri()}
    assert complaints == []


def test_a_phone_never_scrolls_sideways(browser: Browser, file: Path) -> None:
    """At 360 pixels the body does not overflow, also with all details unfolded; the tables scroll by themselves."""
    tab, _ = opened(browser, file, PHONE)
    for summary in tab.locator("summary").all():
        summary.click()
    assert tab.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert tab.evaluate("document.querySelector('.scroll').scrollWidth > document.querySelector('.scroll').clientWidth")
    measured = tab.locator(".ledgers thead th", has_text="Measured").bounding_box()
    assert measured is not None
    assert measured["x"] + measured["width"] <= PHONE["width"]  # both counts are seen before any scrolling


@pytest.mark.parametrize("width", [360, 480, 760, 761, 1200])
def test_the_labels_can_be_read(browser: Browser, file: Path, width: int) -> None:
    """At any width every label of the picture is drawn at 9 pixels or more and ends within it."""
    tab, _ = opened(browser, file, {"width": width, "height": 800})
    labels = tab.evaluate(LABELS)
    assert labels
    for label in labels:
        assert label["size"] >= 9, label
        assert label["right"] <= 0.5, label


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_text_stands_out(browser: Browser, file: Path, size: Any) -> None:
    """All text has a contrast of 4.5 or more with what is behind it."""
    tab, _ = opened(browser, file, size)
    contrasts = tab.evaluate(CONTRASTS)
    assert len(contrasts) > 100
    assert [seen for seen in contrasts if seen[1] < 4.5] == []


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_neighbours_differ_in_greyscale(browser: Browser, file: Path, size: Any) -> None:
    """In a greyscale picture of the page, any two neighbouring places of a bar differ by a tenth of the range."""
    tab, _ = opened(browser, file, size, scale=3)
    grey = Image.open(io.BytesIO(tab.screenshot(full_page=True))).convert("L")

    def mean(x: float, y: float, width: float, height: float) -> float:
        inside = grey.crop((3 * x + 3, 3 * y + 6, 3 * (x + width) - 3, 3 * (y + height) - 6))
        return float(ImageStat.Stat(inside).mean[0])

    segments = tab.evaluate(SEGMENTS)
    compared = 0
    for (x, y, width, height, name), (*after, next_name) in itertools.pairwise(segments):
        assert width >= 3, name
        if y == after[1] and x < after[0]:
            assert abs(mean(x, y, width, height) - mean(*after)) >= 25, (name, next_name)
            compared += 1
    assert compared >= 20


def test_it_prints(browser: Browser, file: Path) -> None:
    """On paper the wide picture is used, nothing is cut off at the right, and some pages come out."""
    tab, _ = opened(browser, file, {"width": 680, "height": 1000})  # A4 between its margins
    tab.emulate_media(media="print")
    assert tab.locator(".wide svg").is_visible()
    assert not tab.locator(".narrow svg").is_visible()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 680
    paper = tab.pdf(format="A4")
    assert paper.startswith(b"%PDF-")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 6
