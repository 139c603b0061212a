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

from topolab.behaviours import BurstRun, DeadWorkRun, IdentityRun, IsolationRun, SensitivityRun
from topolab.claims import ClaimsRun
from topolab.errors import LabError
from topolab.paths import shown
from topolab.results import FORMAT, CapacityRun, Comparison, NotRun, Run, to_json

AnyRun = CapacityRun | IdentityRun | IsolationRun | DeadWorkRun | BurstRun | SensitivityRun | ClaimsRun
KINDS: dict[str, type[Run | ClaimsRun]] = {
    kind.__dataclass_fields__["experiment"].default: kind for kind in get_args(AnyRun)
}


@functools.cache
def _reader(kind: Any) -> TypeAdapter[Run | ClaimsRun | NotRun]:
    """Made when it is needed: building one takes as long as importing the rest of the lab."""
    return TypeAdapter(kind)


def schema() -> dict[str, Any]:
    """The JSON Schema of a run."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A topolab run",
        **TypeAdapter[AnyRun](Annotated[AnyRun, Discriminator("experiment")]).json_schema(),
    }


def write_text(path: Path, text: str) -> None:
    """A file that is either there whole or not there: written beside its place, synced, then renamed."""
    with _errors_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise


def replace_text(path: Path, change: Callable[[str], str]) -> None:
    """Rewrites a file with what `change` makes of its text."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise LabError(f"{shown(path)}: can't be read: {error.strerror}.") from error
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
    """Runs from files (one run, or a list of runs), as a comparison, without claims. A bad file is a `LabError`."""
    runs: list[CapacityRun] = []
    others: list[Run] = []
    not_run: list[NotRun] = []
    for path in paths:
        try:
            data = json.loads(path.read_text())
        except OSError as error:
            raise LabError(f"{shown(path)}: can't be read: {error.strerror}.") from error
        except ValueError as error:
            raise LabError(f"{shown(path)}: this is not JSON ({error}). Give files that `topolab` stored.") from error
        for document in data if isinstance(data, list) else [data]:
            result = _one(document, path)
            if isinstance(result, CapacityRun):
                runs.append(result)
            elif isinstance(result, NotRun):
                not_run.append(result)
            elif isinstance(result, Run):
                others.append(result)
    return Comparison(tuple(runs), tuple(not_run), tuple(others))


def _one(document: Any, path: Path) -> Run | ClaimsRun | NotRun:
    if not isinstance(document, dict) or "experiment" not in document:
        raise LabError(f"{shown(path)}: holds no topolab run. Give files that `topolab` stored.")
    if document.get("format") != FORMAT:
        raise LabError(
            f"{shown(path)}: format is {document.get('format')!r}, this topolab reads {FORMAT}. "
            "Rebuild it with the version that wrote it."
        )
    kind: Any = NotRun if document.get("verdict") == "NOT_RUN" else KINDS.get(document["experiment"])
    if kind is None:
        raise LabError(
            f"{shown(path)}: experiment is {document['experiment']!r}, this topolab knows {', '.join(KINDS)}. "
            "Read it with the version that wrote it."
        )
    try:
        return _reader(kind).validate_python(document)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise LabError(
            f"{shown(path)}: {key}: {problem['msg']}. The file is damaged; run the experiment again."
        ) from error
