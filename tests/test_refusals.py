"""Settings with which a server itself does not start: refused before anything is begun or advised, and shown so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from topolab.cli import cli
from topolab.errors import NotRunnable
from topolab.experiments.fit import Target, alternatives
from topolab.topology import Catalog

SHORT = ["uwsgi-threads", "--limits", "tiny-backlog"]  # uWSGI asks for 100, the kernel gives 64
LONG = ["uwsgi-threads", "--set", "backlog=5000"]
WHY = "uwsgi-threads: backlog is above somaxconn, and uWSGI does not start then: lower it, or raise that limit."


@pytest.mark.parametrize(
    "words",
    [
        ["fit", *SHORT, "--in-flight", "10"],
        ["fit", *SHORT, "--in-flight", "10", "--no-prove"],
        ["plan", *SHORT],
        ["plan", *SHORT, "--runtime", "systemd"],
        ["plan", *LONG],
        ["plan", *LONG, "--runtime", "systemd", "--set", "somaxconn=4096"],
        ["up", *SHORT, "--hosts", "INVENTORY"],
    ],
)
def test_what_would_not_start_is_refused(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and nothing is advised, printed as a plan or asked of a host."""
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all: {hosts: {web1: {ansible_host: 127.0.0.1, ansible_port: 1}}}\n")
    with pytest.raises(NotRunnable) as refused:
        cli.main([word.replace("INVENTORY", str(inventory)) for word in words], standalone_mode=False)
    assert str(refused.value) == WHY
    assert capsys.readouterr() == ("", "")


def test_what_only_a_host_knows_is_left_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    """A unit has its host's own somaxconn where nobody asks for another."""
    cli.main(["plan", *LONG, "--runtime", "systemd"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["topolab_plan"]["environment"]["BACKLOG"] == "5000"


def test_show_predicts_and_says_that_nothing_would_start(capsys: pytest.CaptureFixture[str]) -> None:
    """It starts nothing: the prediction is there, and a line before it says of what it is none."""
    assert not cli.main(["show", *SHORT], standalone_mode=False)
    said = capsys.readouterr()
    assert said.err == f"{WHY} As it is, nothing would start; what follows is what these settings would give.\n"
    assert "PREDICTED FOR 1,000 REQUESTS" in said.out


def test_show_says_it_in_its_json(capsys: pytest.CaptureFixture[str]) -> None:
    """`refused` is there only where something would not start."""
    for words, refused in ((SHORT, WHY), (["uwsgi-threads"], None)):
        cli.main(["show", *words, "--json"], standalone_mode=False)
        assert json.loads(capsys.readouterr().out).get("refused") == refused


def test_what_would_not_start_is_no_alternative(catalog: Catalog) -> None:
    """`fit` names others that can, and would start, under the same limits."""
    target = Target(2, 10)
    default, short = (
        alternatives(catalog, target, but="flask-single", limits_name=limits, most=100)
        for limits in ("default", "tiny-backlog")
    )
    assert "uwsgi-threads" in default
    assert "uwsgi-threads" not in short
    assert "gunicorn-sync" in short
