"""The pages of docs/: one outline for all servers, links that lead somewhere, tables that are what the results say."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests import loaded
from topolab import paths, store
from topolab.comparison import Comparison
from topolab.errors import LabError
from topolab.experiments import waits
from topolab.facts import Facts, keep
from topolab.handbook import about, blocks, pictures, server, underload, waiting
from topolab.loads import Campaign
from topolab.medians import medians
from topolab.results import to_json
from topolab.topology import Catalog

DOCS = paths.HOME / "docs"
PAGES = sorted(
    [
        *(paths.HOME / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *DOCS.rglob("*.md"),
        *(paths.HOME / "topologies/servers").glob("*/about.md"),
    ]
)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
MOST_LETTERS = re.compile(r"[^\w\- ]")


@pytest.fixture(scope="module")
def facts() -> Facts:
    return Facts.stored()


def anchors(page: Path) -> set[str]:
    """The anchors that viewers of Markdown make of a page's headings: the second of two that are alike ends in -1."""
    found: list[str] = []
    for heading in re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("\\", "").strip().lower()
        anchor = MOST_LETTERS.sub("", text).replace(" ", "-")
        before = sum(re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", other) is not None for other in found)
        found.append(f"{anchor}-{before}" if before else anchor)
    return set(found)


def links(page: Path) -> Iterator[str]:
    """Where the page's links lead, but for other hosts."""
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" not in target:
            yield target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(paths.HOME)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """Each relative link names a file that is there, and after a # a heading in it."""
    for target in links(page):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def test_every_server_has_its_page_in_the_same_outline(catalog: Catalog) -> None:
    """Each server's page has all headings of the outline, in their order; no page is left of a server that has gone."""
    names = {one.server for one in catalog.servers()}
    assert {path.stem for path in (DOCS / "servers").glob("*.md")} == names
    for name in names:
        text = (DOCS / f"servers/{name}.md").read_text()
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == list(about.OUTLINE), name


def test_a_page_weaves_what_is_known_with_what_is_measured(catalog: Catalog, facts: Facts) -> None:
    """The paragraphs of about.md, the settings of server.yaml, predictions and stored runs stand in one page."""
    page = server.page(catalog.server("waitress", where="test"), catalog, facts)
    assert "drops its request instead of running it" in page  # about.md
    assert "| `connection_limit` | 100 |" in page  # server.yaml
    assert "|  | 1,000 | 4 handler · 94 waiting · 902 accept queue | threads |" in page  # the model
    assert "| waitress |  | 1000 | process |" in page  # docs/proof.json
    assert "| waitress | SIGTERM | 4 closed | 8 closed |" in page  # docs/behaviours/endings.json


def test_a_front_shows_its_topologies_and_an_app_server_those_without_one(catalog: Catalog, facts: Facts) -> None:
    """nginx's page has the ledgers behind nginx; gunicorn's has its own, and names the others."""
    nginx = server.page(catalog.server("nginx", where="test"), catalog, facts)
    gunicorn = server.page(catalog.server("gunicorn", where="test"), catalog, facts)
    assert "| nginx-uwsgi | 10 |" in nginx
    assert "| nginx-gunicorn-sync | 10 |" not in gunicorn
    assert "Behind a front: nginx-balanced, nginx-gunicorn-gevent," in gunicorn


def test_a_server_needs_no_text_to_have_a_page(own_topologies: Path, facts: Facts) -> None:
    """Without an about.md the page has what is made of the model, and nothing else."""
    (own_topologies / "servers/waitress/about.md").unlink()
    catalog = Catalog(own_topologies)
    page = server.page(catalog.server("waitress", where="test"), catalog, facts)
    assert "## Its ledger" in page
    assert "## What it is, and what it is not" not in page


def test_a_heading_that_is_not_of_the_outline_is_named(own_topologies: Path) -> None:
    """A misspelt heading would silently be missing from the page: it is an error that says what was meant."""
    path = own_topologies / "servers/waitress/about.md"
    path.write_text(path.read_text().replace("## How it dies", "## How it die"))
    with pytest.raises(LabError) as error:
        about.read(Catalog(own_topologies).server("waitress", where="test"), into=DOCS / "servers")
    assert str(error.value).endswith(
        'waitress/about.md: "How it die" is no heading of the outline. Did you mean "How it dies"?'
    )


def test_links_lead_to_the_same_place_from_the_page(catalog: Catalog) -> None:
    """A link of about.md is relative to its folder; in the page it is relative to docs/servers."""
    said = about.read(catalog.server("mod_wsgi", where="test"), into=DOCS / "servers")
    assert "[Apache](apache.md)" in said["How a request passes through it"]


def test_a_page_is_filled_between_its_marks_and_nowhere_else(tmp_path: Path, catalog: Catalog, facts: Facts) -> None:
    """What stands between two marks is made anew, what people wrote around them stays."""
    page = tmp_path / "page.md"
    page.write_text("before\n\n<!-- made: two -->\nold\n<!-- /made -->\n\nafter\n")
    text = blocks.filled(page, {"two": lambda _facts, _catalog: "new\n"}, facts, catalog)
    assert text == "before\n\n<!-- made: two -->\nnew\n<!-- /made -->\n\nafter\n"
    with pytest.raises(LabError, match='nothing is made that is called "two"'):
        blocks.filled(page, {}, facts, catalog)


def test_what_clients_get_is_told_from_the_stored_cases(catalog: Catalog, facts: Facts) -> None:
    """Each case of `make waits` is a row of where-requests-wait.md, VALID, with every way of being turned away."""
    assert {run.verdict for run in facts.waits.runs} == {"VALID"}
    assert [run.topology for run in facts.waits.runs] == [plan.name for plan in waits.plans(catalog)]
    told = waiting.waits(facts, catalog)
    for way in ("status 502 at once", "status 503 at once", "status 504 after", "status 503 after", "closed after",
                "reset at once", "outside: nothing", "in the accept queue: nothing"):  # fmt: skip
        assert way in told


# The guide, from a campaign


@pytest.fixture
def campaign(facts: Facts) -> Facts:
    """Two topologies, two repeats each: one better in all, and one of whose runs is SUSPECT."""
    runs = []
    for repeat, drift in ((1, ()), (2, (loaded.DRIFT,))):
        runs += [
            loaded.throughput("uwsgi-threads", 3000.0 + repeat, repeat),
            loaded.throughput("gunicorn-sync", 1000.0 + repeat, repeat, findings=drift),
            loaded.latency("uwsgi-threads", 0.02, repeat),
            loaded.overload("uwsgi-threads", 350.0, 1.5, repeat),
            loaded.overload("gunicorn-sync", 90.0, None, repeat),
            loaded.memory("uwsgi-threads", 30_000_000, repeat),
        ]
    return replace(facts, campaign=Comparison((), others=tuple(runs)))


def test_without_a_campaign_the_guide_says_what_is_missing(catalog: Catalog, facts: Facts) -> None:
    """No empty tables, and no picture of nothing."""
    nothing = replace(facts, campaign=Comparison(()))
    for name in ("measured", "costs", "memory", "latencies", "overloads", "doubts"):
        assert "Not measured yet" in underload.MADE[name](nothing, catalog)
    assert pictures.measured(nothing, catalog) is None


def test_the_guide_tells_medians_with_their_intervals(catalog: Catalog, campaign: Facts) -> None:
    """Each topology is a row; what was not measured is a dash, and each figure that is in doubt is marked."""
    told = underload.costs(campaign, catalog)
    assert re.search(r"\| gunicorn-sync \| 1,002/s \(.* to .*/s\) \(\?\) \| - \| - \| [^?]* \(\?\) \|", told)
    assert re.search(r"\| uwsgi-threads \| 3,002/s \([^?]*\) \| - \| - \| [^?]* \|\n", told)
    assert "(?) marks what is SUSPECT." in told
    assert "| drift | gunicorn-sync (throughput) | The second half differs" in underload.doubts(campaign, catalog)
    assert "Measured 2 times in random order (medians) in the process runtime on Some CPU, 2 cores" in told


def test_a_servers_page_has_what_the_campaign_saw_of_it(catalog: Catalog, campaign: Facts) -> None:
    """The tables of the guide with this server's topologies alone; none where the campaign has none of them."""
    uwsgi = server.page(catalog.server("uwsgi", where="test"), catalog, campaign)
    assert "What it takes of memory, measured" in uwsgi
    assert "| uwsgi-threads | 2 | 100% | 300 ms | nothing else |" in uwsgi
    assert "gunicorn-sync" not in uwsgi
    assert "of memory, measured" not in server.page(catalog.server("cheroot", where="test"), catalog, campaign)


def test_latencies_are_told_by_shares_of_the_ceiling(catalog: Catalog, campaign: Facts) -> None:
    """Medians over repeats whose rates differ a little."""
    assert "| uwsgi-threads | 400/s | 20.0 ms | 20.0 ms | 200/s or more |\n" in underload.latencies(campaign, catalog)


def test_the_guide_tells_what_overload_does(catalog: Catalog, campaign: Facts) -> None:
    """Good answers as a share of the best step, and how long the way back was."""
    told = underload.overloads(campaign, catalog)
    assert "| uwsgi-threads | 2 | 100% | 300 ms | nothing else | 12 | 1.5 s |" in told
    assert "| gunicorn-sync | 2 | 100% | 300 ms | nothing else | 12 | not in 10 s |" in told


def test_the_pictures_hold_every_topology_and_figure(catalog: Catalog, campaign: Facts) -> None:
    """Each is one well-formed SVG with a title, a description in words, and nothing from elsewhere."""
    for draw in pictures.MADE.values():
        text = draw(campaign, catalog)
        assert text
        root = ElementTree.fromstring(text)
        told = next(element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}desc"))
        assert "uwsgi-threads: " in told
        assert "href" not in text
    drawn = pictures.measured(campaign, catalog)
    assert drawn
    assert ">3,002</text>" in drawn
    assert "not measured" in drawn


def test_a_campaign_is_kept_short_and_reads_back(tmp_path: Path, campaign: Facts) -> None:
    """Every run without its histograms, in one file that reads as the same figures; of an unfinished one nothing."""
    folder = tmp_path / "campaigns" / "reference"
    cells = tuple(f"{run.experiment}/{run.topology}/{run.repeat}" for run in campaign.campaign.others)  # type: ignore[attr-defined]
    whole = Campaign(
        "reference", "process", ("uwsgi-threads",), ("memory",), 2, 1, (), "2026-11-21T09:00:00.000Z", cells=cells
    )
    store.write_text(folder / store.CAMPAIGN, json.dumps(to_json(whole)))
    for number, run in enumerate(campaign.campaign.others):
        store.write_text(folder / f"{number}.json", json.dumps(to_json(run)).replace('"hdr": ""', '"hdr": "HISTFAAA"'))
    kept = keep(folder, tmp_path)
    assert "HISTFAAA" not in (kept / "runs.json").read_text()
    again = store.load([kept])
    figures = {(one.topology, one.figure): one.values for one in medians(campaign.campaign.others)}
    for one in medians(again.others):
        assert one.values == pytest.approx(figures.pop((one.topology, one.figure)), rel=1e-5)
    assert not figures
    store.write_text(folder / store.CAMPAIGN, json.dumps(to_json(replace(whole, cells=(*cells, "memory/waitress/1")))))
    with pytest.raises(LabError, match="memory on waitress was not measured"):
        keep(folder, tmp_path)


def test_what_is_no_campaign_is_not_kept(tmp_path: Path) -> None:
    """A folder of single runs."""
    store.write_text(tmp_path / "run.json", json.dumps(to_json(loaded.memory("waitress", 1000))))
    with pytest.raises(LabError, match="is no campaign"):
        keep(tmp_path, tmp_path)
