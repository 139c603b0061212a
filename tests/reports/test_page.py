"""The page, read as HTML."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from topolab.reports.page import page
from topolab.results import Comparison, Finding

EMPTY = {"meta", "link", "br"}


class Reader(HTMLParser):
    """Checks that tags nest, and keeps what was seen: tags with attributes, and the text of each <pre>."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.commands: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)
        if tag == "pre":
            self.commands.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "pre" in self.open:
            self.commands[-1] += data


@pytest.fixture(scope="module")
def html(comparison: Comparison) -> str:
    return page(comparison)


def test_it_has_all_that_a_reader_needs(html: str, comparison: Comparison) -> None:
    """What it is, what it is not, every topology, doubt and remedy, the machine and the versions."""
    text = " ".join(Reader(html).text.split())
    for said in (
        "Where 1,000 requests were",
        "It does not rank frameworks",
        "What each place means",
        "997 of 1,000 requests were placed.",
        "nginx is not installed on this machine.",
        "Each worker accepts for itself",
        "600-1,000",
        "Intel Xeon Processor @ 2.90GHz, 2 cores",
        "gunicorn 27.0.1",
        "1,998 / 2,000",
        "0.4 / 2.1 ms",
        "FRONT_WORKER_CONNECTIONS",
    ):
        assert said in text
    for run in comparison.runs:
        assert run.topology in text


def test_every_command_can_be_copied(html: str, comparison: Comparison) -> None:
    """Each run's command, and what to type for what was not run, stand in the page exactly."""
    commands = [gap.remedy for gap in comparison.not_run] + [run.command for run in comparison.runs]
    assert Reader(html).commands == commands


def test_it_needs_nothing_else(html: str) -> None:
    """No address but the names of XML's vocabularies, no script, no file beside it; a policy forbids loading any."""
    assert set(re.findall(r"https?://[^\"]+", html)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "default-src 'none'" in html
    assert "@import" not in html
    assert all(reference.startswith("#") for reference in re.findall(r"url\(([^)]+)\)", html))
    reader = Reader(html)
    assert not {"script", "iframe", "img", "object"} & {tag for tag, _ in reader.tags}
    for _, attributes in reader.tags:
        for key in ("src", "href", "xlink:href"):
            assert (attributes.get(key) or "#").startswith(("#", "data:,"))


def test_its_structure_can_be_heard(html: str) -> None:
    """One h1, headings without gaps, table headers with a scope, ids that are unique and all that is referred to."""
    tags = Reader(html).tags
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all(attributes.get("scope") for tag, attributes in tags if tag == "th")
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in tags:
        assert set((attributes.get("aria-labelledby") or "").split()) <= set(ids)


def test_hostile_text_stays_text(comparison: Comparison) -> None:
    """Whatever a server printed, or a topology is called, is shown and never obeyed."""
    nasty = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> {{ 7*7 }} \x00\x1b[2J\u202e"
    run = replace(
        comparison.runs[9],
        topology=nasty,
        command=nasty,
        findings=(Finding("unbalanced", nasty),),
        plan={nasty: nasty},
        versions={nasty: nasty},
        predicted=replace(comparison.runs[9].predicted, bound_by=nasty, because=nasty),
        host=replace(comparison.runs[9].host, cpu=nasty, os=nasty),
        started=nasty,
    )
    gap = replace(comparison.not_run[0], topology=nasty, reason=nasty, remedy=nasty)
    html = page(Comparison((run,), (gap,)))
    reader = Reader(html)
    assert not {"script", "img"} & {tag for tag, _ in reader.tags}
    assert "<script>alert(1)</script>" in reader.text
    assert "{{ 7*7 }}" in reader.text
    assert not {"\x00", "\x1b", "\u202e"} & set(html)


def test_the_same_comparison_gives_the_same_page(html: str, comparison: Comparison) -> None:
    """The page is a function of the runs: no date, no host of the reader."""
    assert page(comparison) == html


@pytest.mark.parametrize("kept", [0, 1])
def test_little_is_enough(comparison: Comparison, kept: int) -> None:
    """A page of one run, or of none but one that failed, is still whole."""
    gaps = () if kept else (replace(comparison.not_run[0], failed=True),)
    html = page(Comparison(comparison.runs[:kept], gaps))
    assert ("behind one way of serving it" in html) == bool(kept)
    Reader(html)
