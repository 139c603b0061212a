"""Campaigns of real servers: interrupted, gone on with, compared and exported."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

from tests.integration.lab import Lab, Result, ended, instrument_of, until

ASKED = (
    "compare", "gunicorn-sync", "waitress", "--experiments", "capacity", "--repeats", "2", "--requests", "50",
    "--baseline", "waitress", "--seed", "3", "--name", "night", "--runtime", "process",
)  # fmt: skip


def cells(folder: Path) -> dict[Path, bytes]:
    """The finished cells as they are on the disk."""
    return {path: path.read_bytes() for path in folder.glob("capacity-*.json")}


def interrupted(command: subprocess.Popen[str], folder: Path, number: signal.Signals) -> Result:
    """Ended in the middle of a cell, after it has finished one."""
    before = cells(folder)
    until(lambda: cells(folder).keys() - before.keys(), "a cell is stored")
    until(lambda: instrument_of(command), "the next is being measured")
    command.send_signal(number)
    return ended(command)


def test_an_interrupted_campaign_goes_on_where_it_stopped(lab: Lab) -> None:
    """After kill -9 and after Ctrl-C the finished cells are kept as they are, `--resume` measures the others, and all
    of it is one comparison, which differs from itself in nothing."""
    folder = lab.home / "results" / "campaigns" / "night"
    interrupted(lab.start(*ASKED), folder, signal.SIGKILL)
    first = cells(folder)

    refused = lab.run("compare", "--resume", "night", "--repeats", "5")
    assert refused.code == 2
    assert 'Campaign "night" was begun with --repeats 2, and now it is --repeats 5.' in refused.err

    result = interrupted(lab.start("compare", "--resume", "night"), folder, signal.SIGINT)
    second = cells(folder)
    assert first.items() < second.items()
    assert result.code == 2
    assert result.err.splitlines()[-1] == (
        f"topolab: interrupted; everything that it had started is stopped. {len(second)} of 4 cells are kept: "
        "`topolab compare --resume night` goes on."
    )

    resumed = lab.run("compare", "--resume", "--json")
    assert resumed.code == 0, resumed.err
    assert second.items() < cells(folder).items()
    assert len(cells(folder)) == 4
    figures = {(each["topology"], each["figure"]): each["interval"] for each in resumed.json["medians"]}
    assert figures["gunicorn-sync", "in a handler"] == {"median": 4, "low": 4, "high": 4, "repeats": 2}
    assert {change["verdict"] for change in resumed.json["changes"]} == {"no difference"}
    assert (folder / "report.html").exists()

    assert lab.run("diff", "night", "night", "--fail-on", "worse").code == 0
    assert lab.run("export", "night", "--output", str(lab.home / "night.csv")).code == 0
    assert len((lab.home / "night.csv").read_text().splitlines()) == 1 + 4 * 2


def test_a_campaign_under_load(lab: Lab) -> None:
    """Calibrated first, every cell with its samples; its figures are compared and exported like any others."""
    asked = ("--experiments", "throughput", "--repeats", "2", "--work", "cpu:2", "--seconds", "0.3")
    result = lab.run("compare", "waitress", *asked, "--name", "day", "--runtime", "process", "--json")
    assert result.code in (0, 1), result.err  # SUSPECT where the machine was busy
    campaign = result.json["campaign"]
    assert campaign["calibration"]["keepalive_rate"] > 1000
    assert campaign["words"] == ["--work", "cpu:2", "--seconds", "0.3"]
    figures = {(each["experiment"], each["figure"]): each for each in result.json["medians"]}
    rate = figures["throughput", "requests/s, cpu"]
    assert rate["interval"]["repeats"] == 2
    assert 100 < rate["interval"]["median"] < 500  # 2 ms on one CPU

    folder = lab.home / "results" / "campaigns" / "day"
    runs = [json.loads((folder / f"throughput-waitress-{repeat}.json").read_text()) for repeat in (1, 2)]
    assert [run["repeat"] for run in runs] == [1, 2]
    assert [run["calibration"] for run in runs] == [campaign["calibration"]] * 2
    assert lab.run("export", "day", "--samples", "--output", str(lab.home / "day.csv")).code == 0
    assert len((lab.home / "day.csv").read_text().splitlines()) > 100

    changed = lab.run("diff", "day", str(folder / "throughput-waitress-1.json"), "--json").json["changes"]
    assert {change["figure"] for change in changed} == {"requests/s, cpu", "CPU of 1,000 requests, cpu"}
    assert {change["because"] for change in changed} == {""}
