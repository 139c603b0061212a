"""Stacks on disk: what is up, who started it, and whether its record has outlived it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from topolab import paths
from topolab.errors import LabError
from topolab.plan import Plan
from topolab.runtimes.base import RuntimeName
from topolab.store import write_text


@dataclass(frozen=True, slots=True)
class Record:
    """One stack, written before anything of it starts."""

    name: str
    topology: str
    runtime: RuntimeName
    port: int
    plan: dict[str, str]
    started: str
    owner: int  # pid of the lab that started it; a temporary stack must not outlive it
    owner_started: float
    temporary: bool


def stacks_dir() -> Path:
    return paths.STATE / "stacks"


def directory(name: str) -> Path:
    """Where a stack's record and logs are."""
    return stacks_dir() / name


def begin(name: str, plan: Plan, runtime: RuntimeName, *, port: int, temporary: bool) -> Path:
    """Records a stack before anything of it starts; its directory is made anew."""
    me = psutil.Process()
    record = Record(
        name=name,
        topology=plan.name,
        runtime=runtime,
        port=port,
        plan=plan.environment(),
        started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        owner=me.pid,
        owner_started=me.create_time(),
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
        return Record(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise LabError(
            f"{paths.shown(path)}: the record of this stack is damaged ({error}). `topolab down --force` removes it "
            "with whatever still runs of it."
        ) from error


def names() -> list[str]:
    """Every recorded stack."""
    return sorted(path.parent.name for path in stacks_dir().glob("*/stack.json"))


def forget(name: str) -> None:
    """Removes a stack's record and logs."""
    shutil.rmtree(directory(name), ignore_errors=True)


def abandoned(record: Record) -> bool:
    """A temporary stack whose lab has gone."""
    return record.temporary and not same_process(record.owner, record.owner_started)


def same_process(pid: int, started: float) -> bool:
    """Whether that very process still runs (a pid alone may have been given to another)."""
    try:
        return abs(psutil.Process(pid).create_time() - started) < 0.01
    except psutil.NoSuchProcess:
        return False


@contextlib.contextmanager
def claim(name: str) -> Iterator[None]:
    """Holds the name of a stack while it is started or stopped; a second lab gets a `LabError`."""
    stacks_dir().mkdir(parents=True, exist_ok=True)
    path = stacks_dir() / f"{name}.lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise LabError(
                f'Another topolab (pid {holder}) is starting or stopping "{name}" right now. Wait for it, '
                "then look with `topolab status`."
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
