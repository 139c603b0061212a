"""A person's own app behind real servers: the ledger is what it was, and load, memory and versions are of their app."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path

import pytest

from tests.integration.lab import Lab, places
from tests.integration.test_loads import measured, undoubted
from topolab.runtimes.ports import free_port

APPS = Path(__file__).parent / "apps"
SHOP = f"{APPS}:shop:create_app()"
THEIRS = """\
import atexit, os, pathlib
from flask import Flask
from app import views
app = Flask(__name__)
app.get("/")(views.front)
atexit.register(pathlib.Path(__file__).with_name(f"{os.getpid()}.ended").touch)
"""


@pytest.fixture
def plain(tmp_path: Path) -> str:
    """Without requirements, its package called `app` as the lab's own is; its processes write a file at their end."""
    (tmp_path / "plain/app").mkdir(parents=True)
    (tmp_path / "plain/app/__init__.py").write_text(THEIRS)
    (tmp_path / "plain/app/views.py").write_text("def front():\n    return 'theirs'\n")
    return f"{tmp_path}/plain:app:app"


def test_the_ledger_of_several_servers_with_ones_own_app(lab: Lab) -> None:
    """As predicted, in virtualenvs with the app's requirements on top: its Flask, but the lab's release of gunicorn."""
    result = lab.run("compare", "gunicorn-sync", "waitress", "--app", SHOP, "--requests", "150", "--json")
    assert result.code == 0, (result.err, result.out)
    sync, waitress = result.json
    assert places(sync) == {"app handler": 4, "app accept_queue": 146}
    assert places(waitress) == {"app handler": 4, "app waiting": 94, "app accept_queue": 52}
    for run in (sync, waitress):
        assert (run["verdict"], run["runtime"]) == ("VALID", "process")
        assert run["versions"]["flask"] == "3.1.2"
        assert run["asked"]["app"] == SHOP
        assert run["command"].endswith(f"--app '{SHOP}'")
    assert int(sync["versions"]["gunicorn"].partition(".")[0]) > 22


def test_ones_own_package_may_be_called_app(lab: Lab, plain: str) -> None:
    """Behind the development server: the lab's app is measured, theirs answers below /own, and both are called app."""
    result = lab.run("capacity", "flask-threaded", "--app", plain, "--requests", "40", "--json")
    assert result.code == 0, (result.err, result.out)
    assert places(result.json) == {"app handler": 40}
    port = free_port()
    up = lab.run("up", "flask-threaded", "--app", plain, "--port", str(port))
    assert (up.code, up.out) == (0, f"flask-threaded is up at http://127.0.0.1:{port}/ (process)\n"), up.err
    assert f"Your own app is at http://127.0.0.1:{port}/own/" in up.err
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/own/") as answer:
        assert answer.read() == b"theirs"


def test_ones_own_app_has_time_to_end(lab: Lab, plain: str, tmp_path: Path) -> None:
    """What a measurement started is not killed where somebody's app may have something to clear away."""
    result = lab.run("capacity", "gunicorn-sync", "--app", plain, "--requests", "10", "--runtime", "process")
    assert result.code == 0, (result.err, result.out)
    workers = 4
    assert len([*(tmp_path / "plain/app").glob("*.ended")]) == workers


def test_load_goes_through_ones_own_app(lab: Lab) -> None:
    """Its paths are asked as they were typed; one that redirects is no measure; memory has what the app keeps."""
    words = ("waitress", "--app", SHOP, "--work", "path:/products?page=2", "--seconds", "0.6")
    run = undoubted(lab, "throughput", *words, but=frozenset({"not_saturated"}))
    stored = lab.stored()
    [plateau] = run["plateaus"]
    assert plateau["work"] == {"name": "path", "io_ms": 0.0, "cpu_ms": 0.0, "size": 0, "path": "/products?page=2"}
    assert [(fated["fate"], fated["status"]) for fated in plateau["lap"]["fates"]] == [("answered", 200)]
    assert "--work 'path:/products?page=2'" in run["command"]

    refused = lab.run("overload", "waitress", "--app", SHOP, "--work", "path:/account")
    assert refused.code == 2
    assert "GET /account of your app: status 302." in " ".join((refused.out + refused.err).split())
    assert lab.stored() == stored

    memory = measured(lab, "memory", "waitress", "--app", SHOP, "--requests", "8", "--idle", "10")
    assert memory["memory"]["at_rest"]["pss_bytes"] > 80 << 20  # 64 MiB are the shop's stock


def test_what_is_wrong_with_the_app_is_told_before_anything_starts(lab: Lab, plain: str, tmp_path: Path) -> None:
    """It can't be imported, or its requirements can't be had: exit 2 with one reason, or NOT RUN with it."""
    alone = lab.run("capacity", "waitress", "--app", f"{plain}lication")
    assert (alone.code, alone.out) == (2, "")
    assert "has no attribute 'application'" in alone.err
    compared = lab.run("compare", "waitress", "flask-single", "--app", f"{plain}lication")
    assert compared.code == 2
    assert "2 failed" in compared.out
    folder = tmp_path / "needy"
    shutil.copytree(tmp_path / "plain", folder)
    (folder / "requirements.txt").write_text("no-such-distribution-anywhere==1.0\n")
    needy = lab.run("capacity", "flask-single", "--app", f"{folder}:app:app")
    assert needy.code == 2
    assert f"{folder}/requirements.txt: could not be installed beside werkzeug." in needy.err
    assert "no-such-distribution-anywhere" in needy.err
    assert lab.stored() == []


def test_a_campaign_keeps_to_its_app(lab: Lab, plain: str, tmp_path: Path) -> None:
    """Its name is in campaign.json, so that --resume has it, and another app is another campaign."""
    asked = ("--experiments", "capacity", "--repeats", "1", "--requests", "20", "--name", "day")
    result = lab.run("compare", "waitress", *asked, "--app", plain)
    assert result.code == 0, (result.err, result.out)
    campaign = json.loads((lab.home / "results/campaigns/day/campaign.json").read_text())
    assert (campaign["runtime"], campaign["plans"]["waitress"]["OWN_APP"]) == ("process", plain)
    shutil.copytree(tmp_path / "plain", tmp_path / "other")
    other = plain.replace("plain", "other")
    refused = lab.run("compare", "--resume", "day", "--requests", "20", "--app", other)
    assert refused.code == 2
    assert f"and now it is --app {other} --requests 20" in refused.err
