"""The page, read as HTML."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from topolab.comparison import Comparison
from topolab.loads import Campaign
from topolab.reports.page import page
from topolab.results import Finding, Host

EMPTY = {"meta", "link", "br", "input"}
NASTY = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> {{ 7*7 }} </style> \x00\x1b[2J\u202e"
VOCABULARIES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


class Reader(HTMLParser):
    """Checks that tags nest, and keeps what was seen: tags with attributes, the text of each <pre>, the script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.commands: list[str] = []
        self.script = ""
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
        if "script" in self.open:
            self.script += data
            return
        self.text += data
        if "pre" in self.open:
            self.commands[-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def html(comparison: Comparison) -> str:
    return page(comparison)


@pytest.fixture(scope="module")
def full(everything: Comparison) -> str:
    return page(everything)


def test_it_has_all_that_a_reader_needs(html: str, comparison: Comparison) -> None:
    """What it is, what it is not, every topology, doubt and remedy, the machine and the versions."""
    text = " ".join(Reader(html).text.split())
    for said in (
        "Where 1,000 requests were",
        "It does not rank frameworks, and it says nothing about speed.",
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


def test_every_experiment_has_its_section(full: str) -> None:
    """Load, behaviours, claims and changes each have one, and the page begins with all at a glance."""
    text = " ".join(Reader(full).text.split())
    headings = (
        "At a glance", "Where 1,000 requests were", "What changed", "Requests per second, against the ceiling",
        "CPU seconds for 1,000 requests", "Latency against the rate", "How latencies are distributed",
        "Offered more than the ceiling", "Memory at rest, full, and with idle connections", "Who serves a request",
        "What stays a request's own", "What runs for clients that have gone", "How long a burst waits",
        "What moves the ledger", "What the articles found, checked again", "Reasons to doubt",
        "The instrument under load",
    )  # fmt: skip
    text = text[text.index("VALID") :]
    places = [text.index(f" {heading} ") for heading in headings]
    assert places == sorted(places)
    assert "says nothing about speed" not in text


def test_every_command_can_be_copied(html: str, comparison: Comparison) -> None:
    """Each run's command, and what to type for what was not run, stand in the page exactly."""
    commands = [gap.remedy for gap in comparison.not_run] + [run.command for run in comparison.runs]
    assert Reader(html).commands == commands


def test_every_experiment_can_be_done_again(full: str, everything: Comparison) -> None:
    """The commands of all runs and claims are in the page."""
    wanted = {run.command for run in everything.measured}
    wanted |= {command for run in everything.claims for one in run.checked for command in one.commands}
    assert wanted <= set(Reader(full).commands)


@pytest.mark.parametrize("which", ["html", "full"])
def test_it_needs_nothing_else(which: str, request: pytest.FixtureRequest) -> None:
    """No address but the names of XML's vocabularies, no file beside it; a policy forbids loading any."""
    text: str = request.getfixturevalue(which)
    assert set(re.findall(r"https?://[^\"]+", text)) <= VOCABULARIES
    assert "default-src 'none'" in text
    assert "@import" not in text
    assert all(reference.startswith("#") for reference in re.findall(r"url\(([^)]+)\)", text))
    reader = Reader(text)
    assert not {"iframe", "img", "object"} & {tag for tag, _ in reader.tags}
    for _, attributes in reader.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for key in ("src", "href", "xlink:href"):
            assert (attributes.get(key) or "#").startswith(("#", "data:,"))


def test_only_its_own_script_may_run(full: str) -> None:
    """The policy names one script by its hash, and that is the one in the page."""
    reader = Reader(full)
    assert len(reader.all("script")) == 1
    digest = base64.b64encode(hashlib.sha256(reader.script.encode()).digest()).decode()
    policy = next(meta["content"] or "" for meta in reader.all("meta") if "http-equiv" in meta)
    assert f"script-src 'sha256-{digest}';" in policy
    assert "unsafe-inline" not in policy.replace("style-src 'unsafe-inline'", "")


@pytest.mark.parametrize("which", ["html", "full"])
def test_its_structure_can_be_heard(which: str, request: pytest.FixtureRequest) -> None:
    """One h1, headings without gaps, table headers with a scope, ids that are unique and all that is referred to."""
    tags = Reader(request.getfixturevalue(which)).tags
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all(attributes.get("scope") for tag, attributes in tags if tag == "th")
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in tags:
        assert set((attributes.get("aria-labelledby") or "").split()) <= set(ids)
        if tag == "a":
            assert (attributes["href"] or "").removeprefix("#") in ids


def test_every_doubted_number_leads_to_its_reasons(full: str, everything: Comparison) -> None:
    """SUSPECT is a word and a link to a place where each finding of the run is told."""
    reader = Reader(full)
    said = re.findall(r'<span class="verdict bad">(.*?)</span>', full.split('id="findings"')[0])
    assert len(said) > 30
    assert all(re.fullmatch(r'<a href="#doubt-\d+">.*SUSPECT</a>', one) for one in said if "SUSPECT" in one)
    text = " ".join(reader.text.split())
    doubted = [run for run in everything.measured if run.verdict == "SUSPECT"]
    assert len(doubted) > 10
    for run in doubted:
        for finding in run.findings:
            assert finding.message.split(": ", 1)[-1] in text
    assert "begun for nobody at 2 times the ceiling: 2 repeats lie between" in text  # doubted together


def spoiled(value: Any) -> Any:
    """The same with hostile text for every free one: not for verdicts, codes, kinds and histograms."""
    kept = {"verdict", "fate", "experiment", "code", "loop", "arrivals", "hdr", "service", "place", "route", "what",
            "seen", "expected", "unit", "signal"}  # fmt: skip
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        if "io_ms" in fields:
            return value
        return replace(value, **{name: one if name in kept else spoiled(one) for name, one in fields.items()})
    if isinstance(value, tuple):
        return tuple(spoiled(one) for one in value)
    if isinstance(value, dict):
        return {spoiled(key): spoiled(one) for key, one in value.items()}
    return NASTY if isinstance(value, str) else value


def test_hostile_text_stays_text(everything: Comparison) -> None:
    """Whatever a server printed, a file says, or a topology is called, is shown and never obeyed, in any section."""
    first: dict[str, Any] = {}
    for run in everything.measured:
        first.setdefault(run.experiment, run)
    finding = (Finding("unbalanced", NASTY),)
    ledger, *others = (replace(spoiled(run), findings=finding) for run in first.values())
    campaign = Campaign(NASTY, NASTY, (NASTY,), (NASTY,), 3, 1, (NASTY,), NASTY)
    html = page(
        Comparison(
            (ledger,), spoiled(everything.not_run), tuple(others), spoiled(everything.claims),
            spoiled(everything.changes), campaign,
        )
    )  # fmt: skip
    reader = Reader(html)
    assert len(reader.all("script")) == 1
    assert "alert" not in reader.script
    assert not {"img"} & {tag for tag, _ in reader.tags}
    assert reader.text.count("<script>alert(1)</script>") > 50
    assert "{{ 7*7 }}" in reader.text
    assert not {"\x00", "\x1b", "\u202e"} & set(html)
    assert html.count("</style>") == 1


def test_the_same_comparison_gives_the_same_page(full: str, everything: Comparison) -> None:
    """The page is a function of the runs: no date, no host of the reader."""
    assert page(everything) == full


@pytest.mark.parametrize("kept", [0, 1])
def test_little_is_enough(comparison: Comparison, kept: int) -> None:
    """A page of one run, or of none but one that failed, is still whole."""
    gaps = () if kept else (replace(comparison.not_run[0], failed=True),)
    html = page(Comparison(comparison.runs[:kept], gaps))
    assert ("behind one way of serving it" in html) == bool(kept)
    Reader(html)


def test_each_experiment_alone_makes_a_page(everything: Comparison) -> None:
    """A page of one run of any experiment, of claims, or of changes alone is whole, and called after its subject."""
    alone = [Comparison((), others=(run,)) for run in {run.experiment: run for run in everything.others}.values()]
    alone += [Comparison((), claims=everything.claims), Comparison((), changes=everything.changes)]
    titles = set()
    for one in alone:
        html = page(one)
        Reader(html)
        titles |= set(re.findall("<title>(.*) · Topolab</title>", html))
        assert "0 ways" not in html
    assert {"How long a burst waits", "What changed", "Latency against the rate"} <= titles
    assert len(titles) == len(alone) > 10


def test_a_large_campaign_stays_small(everything: Comparison) -> None:
    """Twenty-eight topologies with four experiments each are a page of less than 3 MB."""
    loads = [run for run in everything.others if hasattr(run, "repeat")]
    topologies = len({run.topology for run in loads})
    many = [
        replace(run, topology=f"{run.topology}-{number}")
        for number in range(28 // topologies + 1)
        for run in loads
    ]  # fmt: skip
    html = page(Comparison((), others=tuple(many)))
    assert len({run.topology for run in many}) >= 28
    assert len(html.encode()) < 3_000_000


def test_several_machines_are_told_apart(comparison: Comparison) -> None:
    """Runs of two hosts are each named with theirs."""
    other = Host("Debian", "6.1", "Another CPU", 4, 2**34, 4096, 20000, name="web2")
    runs = (comparison.runs[0], replace(comparison.runs[0], host=other))
    text = " ".join(Reader(page(Comparison(runs))).text.split())
    assert "flask-threaded on this machine" in text
    assert "flask-threaded on web2" in text
    assert "Another CPU, 4 cores" in text


def test_repeats_that_came_out_the_same_are_one_ledger(comparison: Comparison) -> None:
    """Three equal ledgers of a topology are one line that says so; another one stands apart."""
    run, other = comparison.runs[3], comparison.runs[3]
    other = replace(other, measured=replace(other.measured, places=other.measured.places[:2]))
    html = page(Comparison((run, replace(run, started="2026-11-20T09:00:00Z"), other, run)))
    text = " ".join(Reader(html).text.split())
    assert text.count("3 times the same") == 1
    assert len(re.findall(r'<tbody data-topology="uwsgi-threads">', html)) == 2
    assert "4 runs" in text
