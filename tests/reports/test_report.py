"""`topolab report` on what is stored in docs/."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.reports.synthetic import HOST, SERVERS, runs_of
from topolab import campaigns, paths, store
from topolab.cli import cli
from topolab.errors import LabError
from topolab.loads import Campaign
from topolab.results import NotRun

DOCS = paths.HOME / "docs"


def report(*words: object) -> Result:
    return CliRunner().invoke(cli, ["report", *map(str, words)], catch_exceptions=False, standalone_mode=False)


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ("behaviours/burst.json", "How long a burst waits"),
        ("claims.json", "What the articles found, checked again"),
        ("results", "Where 1,000 requests were"),
    ],
)
def test_whatever_is_stored_can_be_reported(stored: str, said: str, tmp_path: Path) -> None:
    """Behaviours, claims and a folder of ledgers each print their table and write a page."""
    result = report(DOCS / stored, "--output", tmp_path)
    assert result.return_value == ("SUSPECT" in {run.verdict for run in store.load([DOCS / stored]).measured})
    assert said in result.output
    assert (tmp_path / "report.html").exists()
    assert (tmp_path / "report.svg").exists() == (stored == "results")


def test_markdown_has_a_table_for_each_experiment(tmp_path: Path) -> None:
    """`--markdown` prints the ledger's table, then that of each other experiment."""
    printed = report(DOCS / "results", DOCS / "behaviours/identity.json", "--markdown", "--output", tmp_path).output
    assert printed.index("**Where 1,000 requests were.**") < printed.index("**Who serves a request.**")
    assert "| Topology | Served by |" in printed


def test_a_campaign_is_reported_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its figures with intervals and beside the baseline's, in the terminal and on the page; SUSPECT is exit code 1."""
    monkeypatch.setattr("topolab.paths.RESULTS", tmp_path)
    names = ("gunicorn-sync", "uwsgi-threads")
    campaign = Campaign(
        name="night", runtime="process", topologies=names, experiments=("latency", "memory"), repeats=3, seed=7,
        words=(), started="2026-11-21T09:00:00Z", baseline="uwsgi-threads", host=HOST,
    )  # fmt: skip
    folder = tmp_path / "campaigns" / "night"
    campaigns.write(folder / store.CAMPAIGN, campaign)
    for server in SERVERS:
        for repeat in (1, 2, 3) if server.topology in names else ():
            for run in runs_of(server, repeat=repeat, kinds=campaign.experiments):
                campaigns.write(folder / f"{run.experiment}-{run.topology}-{repeat}.json", run)
    result = report("night", "--output", tmp_path)
    assert result.return_value == 1
    assert "Campaign night: 3 repeats in random order (seed 7)" in result.output
    assert "memory: memory at rest" in result.output
    html = (tmp_path / "report.html").read_text()
    assert "Beside uwsgi-threads" in html
    assert "Campaign night: 3 repeats of latency, memory in random order (seed 7)" in html
    assert not (tmp_path / "report.svg").exists()


def test_runs_under_load_print_their_tables(tmp_path: Path) -> None:
    """A table of each experiment; of repeats also each figure's median, as a campaign's are."""
    (run,) = runs_of(SERVERS[0], kinds=("throughput",))
    result = report(store.save(run, tmp_path), "--output", tmp_path)
    assert "How many requests per second" in result.output
    assert "throughput: requests/s, io" not in result.output
    (again,) = runs_of(SERVERS[0], repeat=2, kinds=("throughput",))
    result = report(store.save(run, tmp_path), store.save(again, tmp_path), "--output", tmp_path)
    assert "throughput: requests/s, io" in result.output
    assert "Where the requests were" not in result.output


def test_only_repeats_of_one_thing_make_a_median(tmp_path: Path) -> None:
    """Runs of one topology in two runtimes, or with other settings, stay apart, each by what sets it apart."""
    (run,) = runs_of(SERVERS[0], kinds=("throughput",))
    (again,) = runs_of(SERVERS[0], repeat=2, kinds=("throughput",))
    runs = [
        run,
        replace(again, runtime="compose"),
        replace(run, asked=replace(run.asked, settings={"app.workers": 8}), started="2026-11-22T09:00:00.000Z"),
    ]
    stored = [store.save(each, tmp_path) for each in runs]
    assert "throughput: requests/s, io" not in report(*stored, "--output", tmp_path).output
    third = replace(again, runtime="compose", started="2026-11-23T09:00:00.000Z")
    printed = report(*stored, store.save(third, tmp_path), "--output", tmp_path).output
    rows = printed[printed.index("throughput: requests/s, io") :].splitlines()[1:4]
    names = [f"{run.topology} (compose)", f"{run.topology} (process)", f"{run.topology} (process) app.workers=8"]
    assert [row.strip().partition("  ")[0] for row in rows] == names
    table = printed[printed.index("How many requests per second") :]
    assert [table.count(f" {name}  ") for name in names] == [2, 1, 1]


def test_runs_that_were_offered_something_else_are_no_repeats(tmp_path: Path) -> None:
    """Ten milliseconds of waiting and two hundred make no median, in the terminal or on the page."""
    (run,) = runs_of(SERVERS[0], kinds=("throughput",))
    (again,) = runs_of(SERVERS[0], repeat=2, kinds=("throughput",))
    other = replace(again, command=f"{again.command} --work io:200")
    stored = [store.save(each, tmp_path) for each in (replace(run, command=again.command), other)]
    printed = report(*stored, "--output", tmp_path).output
    assert "throughput: requests/s, io" not in printed
    page = (tmp_path / "report.html").read_text()
    assert "--work io:200" in page
    assert "repeats_disagree" not in page


def test_campaigns_are_reported_one_at_a_time(tmp_path: Path) -> None:
    """Their runs are no repeats of one another, nor is a single run of a campaign's: one line says what to type."""
    campaign = Campaign(
        name="one", runtime="process", topologies=(), experiments=("throughput",), repeats=1, seed=1, words=(),
        started="2026-11-21T09:00:00Z", host=HOST,
    )  # fmt: skip
    (run,) = runs_of(SERVERS[0], kinds=("throughput",))
    for name in ("one", "two"):
        campaigns.write(tmp_path / name / store.CAMPAIGN, replace(campaign, name=name))
        campaigns.write(tmp_path / name / "throughput.json", run)
    single = store.save(run, tmp_path)
    for others in ((tmp_path / "two",), (single,)):
        with pytest.raises(LabError, match=r"is no part of the campaign .*/one.* `topolab diff ONE OTHER`"):
            report(tmp_path / "one", *others, "--output", tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_where_nothing_was_run_nothing_is_written(tmp_path: Path) -> None:
    """The page and the document of an earlier report stay what they are; the gaps are printed."""
    gap = NotRun("capacity", "uwsgi", "process", reason="No compiler.", remedy="apt-get install gcc")
    campaigns.write(tmp_path / "gap.json", gap)
    kept = {"report.html": "a page", "report.svg": "a picture", "read.md": "a text"}
    for name, text in kept.items():
        (tmp_path / name).write_text(text)
    result = report(tmp_path / "gap.json", "--output", tmp_path, "--into", tmp_path / "read.md")
    assert result.return_value == 2
    assert "No compiler." in result.output
    assert {name: (tmp_path / name).read_text() for name in kept} == kept
