"""Runs on disk: one JSON document each, written whole or not at all, and checked when read."""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Discriminator, TypeAdapter, ValidationError

from topolab.artefacts import ArtefactRun
from topolab.behaviours import BurstRun, DeadWorkRun, EndingsRun, IdentityRun, IsolationRun, SensitivityRun
from topolab.claims import ClaimsRun
from topolab.comparison import Comparison
from topolab.errors import LabError
from topolab.loads import Campaign, LatencyRun, MemoryRun, OverloadRun, ThroughputRun
from topolab.paths import shown
from topolab.results import FORMAT, CapacityRun, NotRun, Run, to_json

AnyRun = (
    CapacityRun | IdentityRun | IsolationRun | DeadWorkRun | BurstRun | SensitivityRun | EndingsRun | ClaimsRun
    | ThroughputRun | LatencyRun | OverloadRun | MemoryRun | ArtefactRun
)  # fmt: skip
KINDS: dict[str, type[Run | ClaimsRun]] = {
    kind.__dataclass_fields__["experiment"].default: kind for kind in get_args(AnyRun)
}


CAMPAIGN = "campaign.json"  # says in the folder of a campaign what it is to measure
SAMPLES = ".samples.npz"  # beside a run's .json: what became of each request


@functools.cache
def _reader(kind: Any) -> TypeAdapter[Any]:
    """Made when it is needed: building one takes as long as importing the rest of the lab."""
    return TypeAdapter(kind)


def schema() -> dict[str, Any]:
    """The JSON Schema of a run."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A topolab run",
        **TypeAdapter[AnyRun](Annotated[AnyRun, Discriminator("experiment")]).json_schema(),
    }


def campaign_schema() -> dict[str, Any]:
    """The JSON Schema of what a campaign is to measure: `campaign.json` in its folder."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A topolab campaign",
        **TypeAdapter(Campaign).json_schema(),
    }


def write_text(path: Path, text: str) -> None:
    """A text file that is either there whole or not there."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """A file that is either there whole or not there: written beside its place, synced, then renamed."""
    with _errors_of(path):
        place = target(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=place.parent, prefix=".", suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(place)
            _sync(place.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise


def target(path: Path) -> Path:
    """Where a file that is written under this name takes its place: a symlink stays one, and leads there.

    `LabError` where something is that is no file: a folder, a pipe, a device.
    """
    place = Path(os.path.realpath(path))
    if place.exists() and not place.is_file():
        raise LabError(f"{shown(path)}: is no regular file, and is not replaced by one. Choose another name.")
    return place


def _sync(folder: Path) -> None:
    """The names in a folder, too, survive a power cut from here on."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """A folder, and those that it stands in."""
    with _errors_of(path):
        path.mkdir(parents=True, exist_ok=True)


def replace_text(path: Path, change: Callable[[str], str]) -> None:
    """Rewrites a file with what `change` makes of its text."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise LabError(f"{shown(path)}: can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise LabError(f"{shown(path)}: is no text in UTF-8. Save it as UTF-8, or choose another file.") from error
    write_text(path, change(text))


@contextlib.contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = (
            "Free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Choose a folder that can be written"
        )
        raise LabError(
            f"{shown(path)}: can't be stored: {error.strerror}. {hint} (TOPOLAB_RESULTS, TOPOLAB_STATE, --output); "
            "nothing was half-written."
        ) from error


def save(run: Run | ClaimsRun, directory: Path) -> Path:
    """Stores one run under its own name."""
    path = directory / f"{run.name}.json"
    write_text(path, json.dumps(to_json(run), indent=1) + "\n")
    return path


def load(paths: Sequence[Path]) -> Comparison:
    """Runs from files (one run, or a list of runs) and from folders, as a comparison. A bad file is a `LabError`.

    A folder stands for the runs in it; that of a campaign says so in its `campaign.json`. The runs of a campaign are
    repeats of one another, and of nothing else: another campaign's, or other runs, beside them are a `LabError`.
    """
    named = [path for path in files(paths) if path.name == CAMPAIGN]
    campaign = _checked(Campaign, _json(named[0]), named[0]) if named else None
    for path in files(paths) if named else ():
        if path.parent != named[0].parent:
            raise LabError(
                f"{shown(path)} is no part of the campaign {shown(named[0].parent)}, and its runs are no repeats of "
                "that one's. Give one campaign at a time; `topolab diff ONE OTHER` sets two beside each other."
            )
    found = [result for _path, result in stored(paths)]
    return Comparison(
        runs=tuple(result for result in found if isinstance(result, CapacityRun)),
        not_run=tuple(result for result in found if isinstance(result, NotRun)),
        others=tuple(result for result in found if isinstance(result, Run) and not isinstance(result, CapacityRun)),
        claims=tuple(result for result in found if isinstance(result, ClaimsRun)),
        campaign=campaign,
    )


def stored(paths: Sequence[Path]) -> Iterator[tuple[Path, Run | ClaimsRun | NotRun]]:
    """What is in the files, each with its own; a run that is there twice under two names comes once."""
    seen: set[str] = set()
    for path in files(paths):
        if path.name == CAMPAIGN:
            continue
        data = _json(path)
        for document in data if isinstance(data, list) else [data]:
            found = _one(document, path)
            if isinstance(found, NotRun):
                yield path, found
            elif found.name not in seen:
                seen.add(found.name)
                yield path, found


def files(paths: Sequence[Path]) -> Iterator[Path]:
    """The files, and those in the folders, by name; each once, whatever leads to it."""
    seen: set[str] = set()
    for path in _named(paths):
        real = os.path.realpath(path)
        if real not in seen:
            seen.add(real)
            yield path


def _named(paths: Sequence[Path]) -> Iterator[Path]:
    """Without the samples beside them, which a shell's glob names too."""
    for path in paths:
        if path.name.endswith(SAMPLES) and path.with_name(path.name.removesuffix(SAMPLES) + ".json").exists():
            continue
        if not path.is_dir():
            yield path
        elif files := sorted(path.glob("*.json")):
            yield from files
        else:
            raise LabError(f"{shown(path)}: holds no run. Give a folder of a campaign, or files that `topolab` stored.")


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise LabError(f"{shown(path)}: can't be read: {error.strerror}.") from error
    except RecursionError as error:
        raise LabError(f"{shown(path)}: is nested too deeply. Give files that `topolab` stored.") from error
    except ValueError as error:
        raise LabError(f"{shown(path)}: this is not JSON ({error}). Give files that `topolab` stored.") from error


def _one(document: Any, path: Path) -> Run | ClaimsRun | NotRun:
    if not isinstance(document, dict) or "experiment" not in document:
        raise LabError(f"{shown(path)}: holds no topolab run. Give files that `topolab` stored.")
    name = document["experiment"]
    known = KINDS.get(name) if isinstance(name, str) else None
    kind: Any = NotRun if document.get("verdict") == "NOT_RUN" else known
    if kind is None and document.get("format") == FORMAT:
        raise LabError(
            f"{shown(path)}: experiment is {name!r}, this topolab knows {', '.join(KINDS)}. "
            "Read it with the version that wrote it."
        )
    result: Run | ClaimsRun | NotRun = _checked(kind, document, path)
    return result


def _checked(kind: Any, document: Any, path: Path) -> Any:
    """A document as the type that it is of, or a `LabError` that names file and key."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        was = repr(document.get("format")) if isinstance(document, dict) else "missing"
        raise LabError(
            f"{shown(path)}: format is {was}, this topolab reads {FORMAT}. Rebuild it with the version that wrote it."
        )
    try:
        return _reader(kind).validate_python(document)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise LabError(
            f"{shown(path)}: {key}: {problem['msg']}. The file is damaged; run the experiment again."
        ) from error
