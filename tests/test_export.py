"""Stored runs as flat tables, read back by other means."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import loaded
from topolab import campaigns, paths, samples, store
from topolab.cli import cli
from topolab.errors import LabError
from topolab.loads import Campaign
from topolab.results import Run, to_json


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A campaign of two topologies with two repeats; one cell has samples."""
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    names, experiments = ("waitress", "gunicorn-sync"), ("throughput", "memory")
    campaign = Campaign(
        name="night", runtime="process", topologies=names, experiments=experiments, repeats=2, seed=7, words=(),
        started="2026-11-20T12:00:00.000Z", cells=campaigns.order(names, experiments, 2, 7),
    )  # fmt: skip
    with campaigns.begun(campaign) as begun:
        for cell in begun.todo:
            run: Run = (
                loaded.throughput(cell.topology, 500.25 * cell.repeat, cell.repeat)
                if cell.experiment == "throughput"
                else loaded.memory(cell.topology, 30_000_000, cell.repeat)
            )
            begun.store(cell, run)
    store.write_bytes(begun.path / "throughput-waitress-1.samples.npz", samples.packed([loaded.raw_lap()]))
    return begun.path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def export(*words: str | Path) -> object:
    return cli.main(["export", *map(str, words)], standalone_mode=False)


def test_every_figure_is_a_line_of_the_csv(folder: Path, tmp_path: Path) -> None:
    """Each figure of each run once, with all that is needed to filter it, and numbers in full."""
    export("night", "--output", tmp_path / "out" / "figures.csv")
    lines = read(tmp_path / "out" / "figures.csv")
    assert len(lines) == 2 * 2 * (2 + 4)
    first = next(line for line in lines if line["run"] == "throughput-waitress-2")
    assert first == {
        "run": "throughput-waitress-2",
        "started": "2026-11-21T09:02:00.000Z",
        "experiment": "throughput",
        "topology": "waitress",
        "settings": "",
        "runtime": "process",
        "repeat": "2",
        "figure": "requests/s, greeting",
        "load": "greeting, closed loop, keep-alive",
        "value": "1000.5",
        "unit": "1/s",
        "higher_is_better": "True",
        "verdict": "VALID",
        "findings": "",
        "versions": "flask=3.1.3 gunicorn=27.0.1",
        "host": "",
        "cpu": "Some CPU",
        "kernel": "6.1.0",
    }
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["figures.csv"]


def test_every_request_is_a_line_with_samples(folder: Path, tmp_path: Path) -> None:
    """With --samples each request is a line, in seconds from the lap's first; what never came is empty."""
    export(folder, "--samples", "--output", tmp_path / "samples.csv")
    lines = read(tmp_path / "samples.csv")
    assert [(line["due_s"], line["ended_s"], line["latency_s"], line["fate"], line["status"]) for line in lines] == [
        ("0.0", "0.005", "0.005", "answered", "200"),
        ("0.01", "0.0175", "0.0075", "error", "503"),
        ("0.02", "", "", "silence", ""),
    ]
    assert {line["run"] for line in lines} == {"throughput-waitress-1"}


def test_parquet_reads_back_the_same(folder: Path, tmp_path: Path) -> None:
    """The Parquet files hold what the CSV files hold, with types."""
    parquet = pytest.importorskip("pyarrow.parquet")
    for words in ((), ("--samples",)):
        export(folder, "--parquet", *words, "--output", tmp_path / "x.parquet")
        export(folder, "--csv", *words, "--output", tmp_path / "x.csv")
        found = parquet.read_table(tmp_path / "x.parquet").to_pylist()
        as_text = [{key: "" if value is None else str(value) for key, value in row.items()} for row in found]
        assert as_text == read(tmp_path / "x.csv")
        assert len(found) > 0
    assert isinstance(found[0]["due_s"], float)
    assert found[2]["status"] is None


def test_without_pyarrow_one_line_says_what_to_type(folder: Path, tmp_path: Path) -> None:
    """Where pyarrow is not installed, Parquet is refused before anything is read, and nothing is written."""
    script = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from topolab.cli import main\n"
        f"sys.argv = ['topolab', 'export', {str(folder)!r}, '--parquet', '--output', {str(tmp_path / 'x.parquet')!r}]\n"
        "main()\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith(
        "topolab: Parquet needs pyarrow, which is not installed. Type `make export FORMAT=parquet RUNS=...`"
    )
    assert not (tmp_path / "x.parquet").exists()


def test_runs_without_samples_say_so(folder: Path, tmp_path: Path) -> None:
    """Where no run has samples beside it, one line says which experiments keep them."""
    with pytest.raises(LabError, match="None of these runs has samples beside it"):
        export(folder / "memory-waitress-1.json", "--samples", "--output", tmp_path / "x.csv")
    assert not (tmp_path / "x.csv").exists()


def test_a_run_alone_and_a_place_that_can_not_be_written(folder: Path, tmp_path: Path) -> None:
    """One file of a run is enough; an output that can't be written is one clear error."""
    alone = tmp_path / "alone.json"
    alone.write_text(json.dumps(to_json(loaded.memory("waitress", 30_000_000))))
    export(alone, "--output", tmp_path / "x.csv")
    assert {line["repeat"] for line in read(tmp_path / "x.csv")} == {"1"}
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match=r"file/x\.csv: can't be written: .*\. Choose another --output\."):
        export(alone, "--output", tmp_path / "file" / "x.csv")


def test_what_is_no_file_is_not_replaced(folder: Path, tmp_path: Path) -> None:
    """A pipe stays one, a symlink is followed, and "-" is no file's name."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LabError, match="pipe: is no regular file, and is not replaced by one"):
        export(folder, "--output", tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "link.csv").symlink_to("real.csv")
    export(folder, "--output", tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert len(read(tmp_path / "real.csv")) == 2 * 2 * (2 + 4)
    with pytest.raises(LabError, match="--output -: a table is written to a file"):
        export(folder, "--output", "-")


def test_a_run_is_there_once(folder: Path, tmp_path: Path) -> None:
    """A campaign that is named twice, or by name and folder, has its figures once."""
    export("night", "night", folder, folder / "memory-waitress-1.json", "--output", tmp_path / "x.csv")
    assert len(read(tmp_path / "x.csv")) == 2 * 2 * (2 + 4)


def test_samples_that_are_missing_are_named(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs of laps without their samples are named, and the exit code tells; memory keeps none. None at all: 2."""
    assert export(folder, "--samples", "--output", tmp_path / "x.csv") == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "left out, as there are no samples beside them: " in said
    assert all(f"throughput-{name}.json" in said for name in ("waitress-2", "gunicorn-sync-1", "gunicorn-sync-2"))
    assert "throughput-waitress-1.json" not in said
    assert "memory" not in said
    whole = (folder / "throughput-waitress-1.json", folder / "memory-waitress-1.json")
    assert export(*whole, "--samples", "--output", tmp_path / "x.csv") == 0
    before = (tmp_path / "x.csv").read_bytes()
    lacking = folder / "throughput-waitress-2.json"
    with pytest.raises(LabError, match="None of these runs has samples beside it") as caught:
        export(lacking, "--samples", "--output", tmp_path / "x.csv")
    assert caught.value.details == (str(lacking),)
    assert (tmp_path / "x.csv").read_bytes() == before


def test_a_table_is_of_one_kind(folder: Path, tmp_path: Path) -> None:
    """Both kinds at once are refused before anything is written."""
    with pytest.raises(LabError, match="--csv and --parquet: a table is written as one of them"):
        export(folder, "--csv", "--parquet", "--output", tmp_path / "x")
    assert not (tmp_path / "x").exists()
