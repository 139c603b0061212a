"""Stored runs as flat tables for other tools: one line for each figure, or one for each request; CSV or Parquet."""

from __future__ import annotations

import contextlib
import csv
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from topolab import samples, store
from topolab.errors import LabError
from topolab.figures import figures, work
from topolab.loads import LoadRun, MemoryRun
from topolab.paths import shown
from topolab.results import Run

Format = Literal["csv", "parquet"]
Batch = dict[str, Sequence[Any]]  # columns by name, all of one length

SAMPLES = store.SAMPLES
TYPES = {  # of the columns that are no text
    "repeat": "int64", "value": "double", "higher_is_better": "bool", "lap": "int64", "request": "int64",
    "due_s": "double", "sent_s": "double", "ended_s": "double", "latency_s": "double", "status": "int64",
}  # fmt: skip
FIGURE = (
    "run", "started", "experiment", "topology", "settings", "runtime", "repeat", "figure", "load", "value", "unit",
    "higher_is_better", "verdict", "findings", "versions", "host", "cpu", "kernel",
)  # fmt: skip
SAMPLE = (
    "run", "experiment", "topology", "repeat", "lap", "label", "work", "request", "due_s", "sent_s", "ended_s",
    "latency_s", "fate", "status",
)  # fmt: skip


def figure_table(paths: Sequence[Path]) -> Iterator[Batch]:
    """Every figure of every run, a batch for each run."""
    for path, run in _runs(paths):
        asked = {**run.asked.settings, **run.asked.limits}
        fixed = {
            "run": path.stem,
            "started": run.started,
            "experiment": run.experiment,
            "topology": run.topology,
            "settings": " ".join(f"{name}={value}" for name, value in asked.items()),
            "runtime": run.runtime,
            "repeat": _repeat(path, run),
            "findings": " ".join(dict.fromkeys(finding.code for finding in run.findings)),
            "versions": " ".join(f"{name}={version}" for name, version in run.versions.items()),
            "host": run.host.name,
            "cpu": run.host.cpu,
            "kernel": run.host.kernel,
        }
        found = figures(run)
        own = ("figure", "load", "value", "unit", "higher_is_better", "verdict")
        columns = {name: [getattr(each, "name" if name == "figure" else name) for each in found] for name in own}
        columns["value"] = [float(each.value) for each in found]
        yield {name: columns.get(name) or [fixed.get(name)] * len(found) for name in FIGURE}


def sample_table(paths: Sequence[Path], lacking: list[Path]) -> Iterator[Batch]:
    """Every request of every lap, a batch for each lap. Times count from the lap's first.

    `lacking` gets the files of the runs of laps that have no samples beside them.
    """
    for path, run in _runs(paths):
        kept = path.with_suffix(SAMPLES)
        if not kept.exists():
            lacking += [path] if isinstance(run, LoadRun) and not isinstance(run, MemoryRun) else []
            continue
        for number, (offered, seen) in enumerate(samples.read(kept)):
            count = len(seen.due_ns)
            columns: Batch = {
                "run": [path.stem] * count,
                "experiment": [run.experiment] * count,
                "topology": [run.topology] * count,
                "repeat": [_repeat(path, run)] * count,
                "lap": [number] * count,
                "label": [offered.label] * count,
                "work": [work(offered.work)] * count,
                "request": range(count),
                "due_s": (seen.due_ns / 1e9).tolist(),
                "sent_s": _times(seen.sent_ns.tolist()),
                "ended_s": _times(seen.ended_ns.tolist()),
                "latency_s": [
                    (ended - due) / 1e9 if ended else None
                    for due, ended in zip(seen.due_ns.tolist(), seen.ended_ns.tolist(), strict=True)
                ],
                "fate": [samples.FATES.get(fate, "silence") for fate in seen.fate.tolist()],
                "status": [status or None for status in seen.status.tolist()],
            }
            yield {name: columns[name] for name in SAMPLE}


def write(path: Path, kind: Format, batches: Iterable[Batch], names: Sequence[str]) -> int:
    """Writes a table, whole or not at all; the number of its lines. One without any is not written."""
    writing = _csv if kind == "csv" else _parquet
    with _whole(path) as part:
        lines = writing(part, batches, names)
        if not lines:
            part.unlink()
    return lines


def pyarrow() -> Any:
    """What writes Parquet; `LabError` where it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise LabError(
            "Parquet needs pyarrow, which is not installed. Type `make export FORMAT=parquet RUNS=...`, which installs "
            "it; or `.venv/bin/pip install --requirement requirements-export.txt`; or write --csv."
        ) from error
    return pyarrow


def _csv(path: Path, batches: Iterable[Batch], names: Sequence[str]) -> int:
    lines = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for batch in batches:
            for row in zip(*(batch[name] for name in names), strict=True):
                writer.writerow(row)
                lines += 1
    return lines


def _parquet(path: Path, batches: Iterable[Batch], names: Sequence[str]) -> int:
    arrow, lines = pyarrow(), 0
    kinds = {"int64": arrow.int64(), "double": arrow.float64(), "bool": arrow.bool_()}
    schema = arrow.schema([(name, kinds[TYPES[name]] if name in TYPES else arrow.string()) for name in names])
    with arrow.parquet.ParquetWriter(path, schema) as writer:
        for batch in batches:
            columns = {name: list(batch[name]) for name in names}
            writer.write_table(arrow.table(columns, schema=schema))
            lines += len(columns[names[0]])
    return lines


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A place beside the file, which takes the file's place when all went well and it is still there."""
    try:
        place = store.target(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=".", suffix=".part")
        os.close(descriptor)
    except OSError as error:
        raise LabError(f"{shown(path)}: can't be written: {error.strerror}. Choose another --output.") from error
    part = Path(name)
    try:
        yield part
        if part.exists():
            part.chmod(0o644)
            part.replace(place)
    except OSError as error:
        raise LabError(f"{shown(path)}: can't be written: {error.strerror}. Choose another --output.") from error
    finally:
        part.unlink(missing_ok=True)


def _runs(paths: Sequence[Path]) -> Iterator[tuple[Path, Run]]:
    for path, run in store.stored(paths):
        if isinstance(run, Run):
            yield path, run


def _repeat(path: Path, run: Run) -> int:
    """As the run says, or the name of its file in the folder of a campaign."""
    if isinstance(run, LoadRun):
        return run.repeat
    return int(path.stem.rpartition("-")[2]) if (path.parent / store.CAMPAIGN).exists() else 1


def _times(moments: Sequence[int]) -> list[float | None]:
    return [moment / 1e9 if moment else None for moment in moments]
