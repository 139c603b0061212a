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

from topolab.comparison import Comparison
from topolab.reports.page import page

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
    left: text.getBoundingClientRect().left - svg.getBoundingClientRect().left,
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
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def file(comparison: Comparison, folder: Path) -> Path:
    """Ledgers only."""
    path = folder / "ledgers.html"
    path.write_text(page(comparison), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def full(everything: Comparison, folder: Path) -> Path:
    """All sections that there are."""
    path = folder / "everything.html"
    path.write_text(page(everything), encoding="utf-8")
    return path


def opened(browser: Browser, file: Path, size: Any, scale: float = 1, *, script: bool = True) -> tuple[Page, list[str]]:
    """The page at a size, and the addresses that it asked for."""
    asked: list[str] = []
    context = browser.new_context(viewport=size, device_scale_factor=scale, java_script_enabled=script)
    context.on("request", lambda request: asked.append(request.url))
    tab = context.new_page()
    tab.goto(file.as_uri(), wait_until="load")
    return tab, asked


def unfold(tab: Page) -> None:
    """Opens all details."""
    tab.evaluate("() => { for (const one of document.querySelectorAll('details')) one.open = true; }")


def test_it_asks_the_network_for_nothing(browser: Browser, full: Path) -> None:
    """Opening, unfolding, sorting, filtering and printing it requests one file: itself. Nothing to complain of."""
    complaints: list[str] = []
    tab, asked = opened(browser, full, DESKTOP)
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.reload(wait_until="load")
    for summary in tab.locator("summary").all()[:3]:
        summary.click()
    unfold(tab)
    tab.locator("th button").first.click()
    tab.locator("#only").fill("uwsgi")
    tab.pdf()
    assert set(asked) - {"data:,"} == {full.as_uri()}
    assert complaints == []


def test_nothing_but_its_own_script_runs(browser: Browser, folder: Path, full: Path) -> None:
    """Where markup got into a page in spite of all, its scripts and handlers would not run."""
    planted = "<script>document.title='obeyed'</script><img src=x onerror=\"document.title='obeyed'\">"
    path = folder / "planted.html"
    path.write_text(full.read_text().replace("<main>", f"<main>{planted}", 1))
    tab, _ = opened(browser, path, DESKTOP)
    assert tab.locator("main img").count() == 1
    assert "obeyed" not in tab.title()
    assert tab.locator("th button").count() > 50  # its own did


@pytest.mark.parametrize("which", ["file", "full"])
def test_a_phone_never_scrolls_sideways(browser: Browser, which: str, request: pytest.FixtureRequest) -> None:
    """At 360 pixels the body does not overflow, also with all details unfolded; the tables scroll by themselves."""
    tab, _ = opened(browser, request.getfixturevalue(which), PHONE)
    unfold(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert tab.evaluate("document.querySelector('.scroll').scrollWidth > document.querySelector('.scroll').clientWidth")
    measured = tab.locator(".ledgers thead th", has_text="Measured").bounding_box()
    assert measured is not None
    assert measured["x"] + measured["width"] <= PHONE["width"]  # both counts are seen before any scrolling


@pytest.mark.parametrize("width", [360, 480, 760, 761, 1200])
def test_the_labels_can_be_read(browser: Browser, full: Path, width: int) -> None:
    """At any width every label of every picture is drawn at 9 pixels or more and lies within it."""
    tab, _ = opened(browser, full, {"width": width, "height": 800})
    labels = tab.evaluate(LABELS)
    assert len(labels) > 400
    for label in labels:
        assert label["size"] >= 9, label
        assert label["right"] <= 0.5, label
        assert label["left"] >= -0.5, label


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_text_stands_out(browser: Browser, full: Path, size: Any) -> None:
    """All text has a contrast of 4.5 or more with what is behind it: unfolded, sorted and sought for as well."""
    tab, _ = opened(browser, full, size)
    unfold(tab)
    tab.locator("th button").first.click()
    tab.locator("#only").fill("u")
    contrasts = tab.evaluate(CONTRASTS)
    assert len(contrasts) > 2000
    assert [seen for seen in contrasts if seen[1] < 4.5] == []


GLANCE = """
() => [...document.querySelectorAll('section[aria-labelledby=glance] tbody tr')]
  .map(row => [...row.cells].map(cell => cell.firstChild?.data ?? ''))
"""


def test_a_table_is_sorted_by_keyboard(browser: Browser, full: Path) -> None:
    """Enter on a column's head sorts by its values, again the other way round; what has none stays last."""
    tab, _ = opened(browser, full, DESKTOP)
    table = tab.locator("section[aria-labelledby=glance] table")
    heads = table.locator("thead th")
    column = heads.all_inner_texts().index("Memory at rest")
    sizes = [row[column] for row in tab.evaluate(GLANCE)]
    known = sorted((size for size in sizes if size != "-"), key=lambda text: float(text.split()[0]))
    assert 5 < len(known) < len(sizes)
    heads.nth(column).get_by_role("button").focus()
    for key, direction, wanted in (("Enter", "ascending", known), ("Space", "descending", known[::-1])):
        tab.keyboard.press(key)
        assert heads.nth(column).get_attribute("aria-sort") == direction
        got = [row[column] for row in tab.evaluate(GLANCE)]
        assert got == wanted + ["-"] * (len(sizes) - len(known))
    tab.keyboard.press("Shift+Tab")
    tab.keyboard.press("Enter")
    assert table.locator("[aria-sort]").count() == 1
    assert heads.nth(column - 1).get_attribute("aria-sort") == "ascending"


def test_lines_of_one_topology_stay_together(browser: Browser, full: Path) -> None:
    """A ledger is sorted by its first place, and takes its other places along."""
    tab, _ = opened(browser, full, DESKTOP)
    tab.locator(".ledgers thead button", has_text="Measured").click()
    ledgers = tab.evaluate(
        "[...document.querySelectorAll('.ledgers tbody')].map(body => [...body.rows].map(row => row.innerText))"
    )
    measured = [int(lines[0].replace("≠ ", "").replace(",", "").split("\t")[3]) for lines in ledgers]
    assert measured == sorted(measured)
    assert len(set(measured)) > 3
    first = next(lines for lines in ledgers if lines[0].startswith("flask-single"))
    assert [line.split("\t")[0] for line in first[1:]] == ["accept queue", "unanswered"]


def test_the_filter_leaves_what_it_names(browser: Browser, full: Path, everything: Comparison) -> None:
    """Rows, charts, doubts and commands of other topologies are hidden; an empty filter shows all again."""
    tab, _ = opened(browser, full, DESKTOP)
    shown = "[...document.querySelectorAll('[data-topology]')].filter(e => e.getClientRects().length)"
    names = f"[...new Set({shown}.map(e => e.dataset.topology))].sort()"
    at_first, of = tab.evaluate(f"{shown}.length"), len(tab.evaluate(names)) - 1
    tab.locator("#only").fill("uwsgi-thr, nginx-gunicorn-sync")
    assert tab.evaluate(names) == ["", "nginx-gunicorn-sync", "uwsgi-threads"]
    assert tab.locator("#filter output").inner_text() == f"2 of {of}"
    assert tab.locator("section[aria-labelledby=latency] .card:visible").count() == 2
    assert tab.locator("section[aria-labelledby=claims] .card:visible").count() == len(everything.claims[0].checked)
    tab.locator("#only").fill("no such thing")
    assert tab.evaluate(names) == [""]
    tab.locator("#only").fill("")
    assert tab.evaluate(f"{shown}.length") == at_first
    assert tab.locator("#filter output").inner_text() == ""


def test_every_section_can_be_reached(browser: Browser, full: Path) -> None:
    """Each link of the list leads to a heading that then stands below the list; SUSPECT leads to its reasons."""
    tab, _ = opened(browser, full, DESKTOP)
    links = tab.locator("nav a")
    assert links.count() > 18
    for link in links.all():
        link.click()
        heading = tab.locator((link.get_attribute("href") or "").replace("#", "h2#")).bounding_box()
        bar = tab.locator(".bar").bounding_box()
        assert heading
        assert bar
        assert bar["y"] + bar["height"] <= heading["y"] + 1 < DESKTOP["height"]
    tab.locator("section[aria-labelledby=latency] .card .verdict a").first.click()
    reasons = tab.locator(".doubt:target")
    assert reasons.is_visible()
    assert "below_offered" in reasons.inner_text()


def test_a_command_is_taken_by_one_click(browser: Browser, full: Path, everything: Comparison) -> None:
    """What is selected is the command, on one line, as the run has it."""
    tab, _ = opened(browser, full, PHONE)
    unfold(tab)
    command = everything.others[0].command
    tab.locator("pre", has_text=command).first.click()
    assert tab.evaluate("getSelection().toString()").strip() == command


def test_it_is_whole_without_script(browser: Browser, full: Path) -> None:
    """Where scripts are switched off all is shown, and nothing is offered that would not work."""
    tab, _ = opened(browser, full, DESKTOP, script=False)
    assert tab.locator("th button").count() == 0
    assert not tab.locator("#filter").is_visible()
    assert tab.locator(".card").count() == tab.locator(".card:visible").count() > 50
    details = tab.locator("section[aria-labelledby=latency] details").first
    details.locator("summary").click()
    assert details.locator("table").is_visible()


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
    assert tab.locator(".wide svg").first.is_visible()
    assert not tab.locator(".narrow svg").first.is_visible()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 680
    paper = tab.pdf(format="A4")
    assert paper.startswith(b"%PDF-")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 6


def test_all_sections_print(browser: Browser, full: Path) -> None:
    """On paper there is neither list nor filter, and no table or chart is wider than the page."""
    tab, _ = opened(browser, full, {"width": 680, "height": 1000})
    tab.emulate_media(media="print")
    assert not tab.locator(".bar").is_visible()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 680
    wide = "[...document.querySelectorAll('table, svg')].filter(e => e.getBoundingClientRect().right > 681)"
    assert tab.evaluate(f"{wide}.map(e => e.closest('section').querySelector('h2').textContent)") == []
