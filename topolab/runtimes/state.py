"""Stacks on disk: what is up, who started it, and whether its record has outlived it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from pydantic import TypeAdapter

from topolab import paths
from topolab.errors import LabError
from topolab.plan import Plan
from topolab.runtimes.base import RuntimeName
from topolab.store import write_text


class Busy(LabError):
    """Another lab holds this name."""


@dataclass(frozen=True, slots=True)
class Record:
    """One stack, written before anything of it starts."""

    name: str
    topology: str
    runtime: RuntimeName
    port: int
    plan: dict[str, str]
    started: str
    temporary: bool  # for one measurement: it must not outlive the lab that holds its name


def stacks_dir() -> Path:
    return paths.STATE / "stacks"


def directory(name: str) -> Path:
    """Where a stack's record and logs are. A name that is none, a path say, is a `LabError`."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise LabError(f'"{name}" is not the name of a stack. `topolab status` shows them.')
    return stacks_dir() / name


def begin(name: str, plan: Plan, runtime: RuntimeName, *, port: int, temporary: bool) -> Path:
    """Records a stack before anything of it starts; its directory is made anew."""
    record = Record(
        name=name,
        topology=plan.name,
        runtime=runtime,
        port=port,
        plan=plan.environment(),
        started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        temporary=temporary,
    )
    place = directory(name)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    write_text(place / "stack.json", json.dumps(asdict(record), indent=1) + "\n")
    return place


def read(name: str) -> Record | None:
    """A stack's record; None where there is none. One that can't be read is a `LabError`."""
    path = directory(name) / "stack.json"
    try:
        return TypeAdapter(Record).validate_json(path.read_bytes(), strict=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, OSError) as error:
        problem = str(error).splitlines()[0]
        raise LabError(
            f"{paths.shown(path)}: the record of this stack is damaged ({problem}). `topolab down --force` removes it "
            "with whatever still runs of it."
        ) from error


def names() -> list[str]:
    """Every recorded stack."""
    return sorted(path.parent.name for path in stacks_dir().glob("*/stack.json"))


def forget(name: str) -> None:
    """Removes a stack's record and logs."""
    shutil.rmtree(directory(name), ignore_errors=True)


@contextlib.contextmanager
def claim(name: str) -> Iterator[None]:
    """Holds the name of a stack while it is started or stopped, or for as long as a temporary one is up.

    A second lab gets `Busy`. The hold ends with the process, however it ends: a temporary stack that nobody
    holds has lost its lab.
    """
    directory(name)
    path = stacks_dir() / f"{name}.lock"
    while True:
        with _opened(path) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise Busy(
                    f'Another topolab (pid {holder}) is starting or stopping "{name}" right now. Wait for it, '
                    "then look with `topolab status`."
                ) from error
            if not _still_there(file.fileno(), path):
                continue  # it was removed between our open and our lock: that lock holds nothing
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            try:
                yield
            finally:
                path.unlink(missing_ok=True)  # while it is held, so that nobody can hold a removed one
            return


def _opened(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a+")
    except OSError as error:
        raise LabError(
            f"{paths.shown(path.parent)}: can't be written: {error.strerror}. Set TOPOLAB_STATE to a folder that can."
        ) from error


def _still_there(descriptor: int, path: Path) -> bool:
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False
