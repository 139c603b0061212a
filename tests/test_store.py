"""Runs on disk: written whole or not at all, checked when read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from topolab import store
from topolab.comparison import Comparison
from topolab.errors import LabError
from topolab.experiments.capacity import capacity
from topolab.ledger import PlaceCount
from topolab.loads import Campaign
from topolab.plan import resolve
from topolab.results import CapacityRun, NotRun, to_json
from topolab.runtimes.fake import FakeRuntime, observation
from topolab.topology import Catalog


@pytest.fixture
def run(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CapacityRun:
    monkeypatch.setattr("topolab.paths.STATE", tmp_path / "state")
    runtime = FakeRuntime({"flask-threaded": observation(PlaceCount("app", "handler", 5))})
    return capacity(runtime, resolve(catalog, "flask-threaded", requests=5), lambda _: None)


def test_a_stored_run_reads_back_the_same(run: CapacityRun, tmp_path: Path) -> None:
    """What `save` wrote, `load` gives back, under a name that sorts by time and names the topology."""
    path = store.save(run, tmp_path)
    assert path.name.endswith("-capacity-flask-threaded-process.json")
    assert store.load([path]).runs == (run,)


def test_samples_beside_a_run_are_no_run(run: CapacityRun, tmp_path: Path) -> None:
    """A shell's glob names them too; alone, without their run, they are an error like any other file."""
    path = store.save(run, tmp_path)
    beside = path.with_suffix(store.SAMPLES)
    beside.write_bytes(b"PK\x03\x04\xff")
    assert store.load([path, beside]).runs == (run,)
    path.unlink()
    with pytest.raises(LabError, match="this is not JSON"):
        store.load([beside])


def test_two_runs_never_share_a_file(run: CapacityRun, tmp_path: Path) -> None:
    """Runs of two topologies, or of two moments, are stored side by side."""
    later = replace(run, started=run.started.replace("2", "3", 1))
    other = replace(run, topology="gunicorn-sync")
    assert len({store.save(each, tmp_path) for each in (run, later, other)}) == 3


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text[:100], "run.json: this is not JSON"),
        (lambda text: "[1]", "run.json: holds no topolab run. Give files that `topolab` stored."),
        (lambda text: '{"experiment": []}', "run.json: format is None, this topolab reads 1."),
        (lambda text: '{"experiment": [], "format": 1}', "run.json: experiment is [], this topolab knows capacity, "),
        (lambda text: "[" * 100_000, "run.json: is nested too deeply. Give files that `topolab` stored."),
        (lambda text: text.replace('"format": 1', '"format": 99'),
         "run.json: format is 99, this topolab reads 1. Rebuild it with the version that wrote it."),
        (lambda text: text.replace('"count": 5', '"count": "many"'),
         "run.json: predicted.places.0.count: Input should be a valid integer"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named(run: CapacityRun, tmp_path: Path, spoil: object, message: str) -> None:
    """A result file that is no run, or is damaged, gives one line that names file and key."""
    assert callable(spoil)
    path = store.save(run, tmp_path)
    bad = tmp_path / "run.json"
    bad.write_text(spoil(path.read_text()))
    with pytest.raises(LabError) as caught:
        store.load([bad])
    assert str(caught.value).replace(f"{tmp_path}/", "").startswith(message)


def test_a_file_that_is_no_text_is_named_and_stays(tmp_path: Path) -> None:
    """What can't be read as UTF-8 is not written over."""
    page = tmp_path / "page.md"
    page.write_bytes(b"\xff\n")
    with pytest.raises(LabError, match=r"page\.md: is no text in UTF-8\. Save it as UTF-8, or choose another file\."):
        store.replace_text(page, str.upper)
    assert page.read_bytes() == b"\xff\n"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A result file that is not there is named."""
    with pytest.raises(LabError, match=r"none\.json: can't be read: No such file or directory"):
        store.load([tmp_path / "none.json"])


@pytest.mark.skipif(not shutil.which("unshare"), reason="no unshare (util-linux)")
def test_a_full_disk_leaves_nothing_half_written(run: CapacityRun, tmp_path: Path) -> None:
    """On a full disk storing fails with one clear line, and no file, not even a part of one, is left."""
    source = store.save(run, tmp_path)
    full = tmp_path / "full"
    full.mkdir()
    script = (
        "import sys, pathlib; from topolab import store; from topolab.errors import LabError\n"
        f"run = store.load([pathlib.Path({str(source)!r})]).runs[0]; full = pathlib.Path({str(full)!r})\n"
        "try: store.save(run, full)\n"
        "except LabError as error: print(error); print([path.name for path in full.iterdir()])\n"
    )
    mount = f"mount -t tmpfs -o size=4k none '{full}' && head -c 4096 /dev/zero > '{full}/ballast' && "
    mount += f"exec '{sys.executable}' -c \"$0\""
    result = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, script],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    line, left = result.stdout.splitlines()
    assert "can't be stored: No space left on device" in line
    assert left == "['ballast']"


def test_the_schema_is_json() -> None:
    """The published schema names the format and the places."""
    schema = json.dumps(store.schema())
    assert '"accept_queue"' in schema
    assert '"format"' in schema


def test_a_folder_stands_for_the_runs_in_it(run: CapacityRun, tmp_path: Path) -> None:
    """A campaign's folder gives its runs, what it went on without, and what it is to measure."""
    campaign = Campaign(
        name="night", runtime="process", topologies=("flask-threaded",), experiments=("capacity",), repeats=1, seed=7,
        words=(), started=run.started,
    )  # fmt: skip
    gap = NotRun("capacity", "uwsgi", "process", reason="No compiler.", remedy="apt-get install gcc")
    store.save(run, tmp_path)
    store.write_text(tmp_path / "gap.json", json.dumps(to_json(gap)))
    store.write_text(tmp_path / "campaign.json", json.dumps(to_json(campaign)))
    assert store.load([tmp_path]) == Comparison((run,), (gap,), campaign=campaign)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    """A folder without runs gives one line."""
    with pytest.raises(LabError, match="holds no run\\. Give a folder of a campaign, or files"):
        store.load([tmp_path])


def test_a_run_counts_once_whatever_leads_to_it(run: CapacityRun, tmp_path: Path) -> None:
    """A file that is named twice, by its folder too, or by a symlink; and a copy of it under another name."""
    path = store.save(run, tmp_path / "runs")
    (tmp_path / "link.json").symlink_to(path)
    shutil.copy(path, tmp_path / "copy.json")
    names = [path, path, path.parent, tmp_path / "link.json", tmp_path / "copy.json"]
    assert store.load(names).runs == (run,)
    assert list(store.files(names)) == [path, tmp_path / "copy.json"]


def test_a_symlink_stays_one(tmp_path: Path) -> None:
    """What is written goes where it leads, also where nothing is there yet."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere" / "file")
    for text in ("one", "two"):
        store.write_text(link, text)
        assert (link.is_symlink(), (tmp_path / "elsewhere" / "file").read_text()) == (True, text)
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["file"]


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    """A pipe, a folder, and a symlink to one of them stay what they are, and nothing is left beside them."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "folder", "link"):
        with pytest.raises(LabError, match=f"/{name}: is no regular file, and is not replaced by one"):
            store.write_text(tmp_path / name, "text")
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "link", "pipe"]
