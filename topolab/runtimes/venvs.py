"""A virtualenv per server, made with uv from its locked requirements, and kept; another for a person's own app."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from uv import find_uv_bin

from topolab import paths
from topolab.errors import LabError
from topolab.paths import shown
from topolab.plan import Plan
from topolab.runtimes.base import Say
from topolab.runtimes.programs import Programs
from topolab.server import Server
from topolab.topology import Service

COMPLETE = ".complete"  # written last: a virtualenv without it was interrupted, and is made again
POLL_S = 0.2  # how soon one that waits for another lab notices that it is interrupted
INCLUDED = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]*(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Lock:
    """The locked requirements of one virtualenv: the server's, and those of the app's entry where it has any.

    `own`: the requirements.txt of a person's own app, and the files that it includes; `kept`: what these can't change,
    because it is the server that is measured ("gunicorn==27.0.0").
    """

    server: Server
    files: tuple[Path, ...]
    own: tuple[Path, ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def venv(self) -> Path:
        """Where the virtualenv is, or will be: another lock or Python, another place."""
        what = b"".join(file.read_bytes() for file in self.files) + sys.version.encode()
        if self.own:
            what += f"{self.own[0]}{self.requirements}".encode()  # its path as well: it may install its folder
        prefix = "own-" if self.own else ""
        return paths.VENVS / f"{prefix}{self.server.server}-{hashlib.sha256(what).hexdigest()[:12]}"

    @property
    def requirements(self) -> str:
        """Names the contents of the person's own requirements."""
        return hashlib.sha256(b"\0".join(file.read_bytes() for file in self.own)).hexdigest()[:12]

    @property
    def ready(self) -> bool:
        return (self.venv / COMPLETE).exists()


def lock_of(plan: Plan, service: Service) -> Lock | None:
    """What a service's virtualenv holds; None for a server that needs none."""
    if not service.requirements.exists():
        return None
    entry = paths.HOME / "app" / f"{plan.topology.entry}.txt"  # only some entries need more than the server
    files = (service.requirements, *([entry] if entry.exists() else []))
    own = _own_requirements(plan.own.folder) if plan.own and service.name == "app" else ()
    locked = locked_versions(service) if own else {}
    kept = tuple(f"{name}=={version}" for name, version in locked.items() if name not in ("flask", "werkzeug"))
    return Lock(service.server, files, own, kept)


def _own_requirements(folder: Path) -> tuple[Path, ...]:
    """requirements.txt, and the files that it includes; nothing where there is none."""
    found: dict[Path, None] = {}
    todo = [folder / "requirements.txt"]
    while todo:
        file = todo.pop()
        if file not in found and file.is_file():
            found[file] = None
            todo += [(file.parent / name).resolve() for name in INCLUDED.findall(file.read_text(errors="replace"))]
    return tuple(found)


def make(lock: Lock, say: Say, programs: Programs | None = None) -> None:
    """Makes the virtualenv when it is not there; one lab at a time. A `LabError` says why it can't be made."""
    venv = lock.venv
    try:
        _make(lock, venv, say, programs or Programs())
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        way_out = "Free some space" if full else f"Let this user write into {shown(venv.parent)}"
        raise LabError(f"{shown(venv)}: this virtualenv can't be made: {_told(error)}. {way_out}.") from error


def _make(lock: Lock, venv: Path, say: Say, programs: Programs) -> None:
    venv.parent.mkdir(parents=True, exist_ok=True)
    with venv.with_suffix(".lock").open("w") as file:
        _hold(file, programs)
        if lock.ready:
            return
        also = f" and {shown(lock.own[0])}" if lock.own else ""
        say(f"installing {lock.server.server}{also} into {shown(venv)}")
        shutil.rmtree(venv, ignore_errors=True)
        try:
            _install(lock, programs)
        except (LabError, OSError):
            shutil.rmtree(venv, ignore_errors=True)
            raise
        (venv / COMPLETE).touch()


def _told(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}"


def _hold(file: TextIO, programs: Programs) -> None:
    """Waits for its lock as long as the programs are wanted: another lab may take minutes."""
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            programs.require_wanted()
            time.sleep(POLL_S)
        else:
            return


def _install(lock: Lock, programs: Programs) -> None:
    venv, server = lock.venv, lock.server
    compiler = f" It is compiled here: it needs {', '.join(server.build_packages)}." if server.build_packages else ""
    problem = f"{shown(lock.files[0])}: {server.server} could not be installed.{compiler}"
    _uv(programs, problem, "venv", "--quiet", "--python", sys.executable, str(venv))
    install = ("pip", "install", "--quiet", "--compile-bytecode", "--python", f"{venv}/bin/python")
    for requirements in lock.files:
        _uv(programs, problem, *install, "--require-hashes", "--requirements", str(requirements))
    if lock.own:
        overrides = venv / "kept.txt"
        overrides.write_text("".join(f"{each}\n" for each in lock.kept))
        _uv(
            programs, f"{lock.own[0]}: could not be installed beside {server.server}. Correct it there.",
            *install, "--overrides", str(overrides), "--requirements", str(lock.own[0]), *lock.kept,
            cwd=lock.own[0].parent,
        )  # fmt: skip


def _uv(programs: Programs, problem: str, *arguments: str, cwd: Path | None = None) -> None:
    result = programs.run(
        [find_uv_bin(), *arguments], env={**_mirror(programs), **os.environ}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, cwd=cwd,
    )  # fmt: skip
    if result.returncode:
        lines = tuple(line for line in result.stderr.splitlines() if line.strip())
        raise LabError(f"{problem} uv says:", details=lines[-8:])


def _mirror(programs: Programs) -> dict[str, str]:
    """The index that this machine's pip is configured for: uv does not read pip's configuration."""
    result = programs.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    index = result.stdout.strip()
    return {"UV_DEFAULT_INDEX": index} if result.returncode == 0 and index else {}


def versions(plan: Plan) -> dict[str, str]:
    """Of what serves a plan: from its lock; where a person's own requirements came on top, as they are installed."""
    locked, lock = locked_versions(plan.app), lock_of(plan, plan.app)
    if not lock or not lock.own:
        return locked
    found = (path.stem.partition("-") for path in lock.venv.glob("lib/python*/site-packages/*.dist-info"))
    installed = {name.lower().replace("_", "-"): version for name, _, version in found}
    return {name: installed.get(name, version) for name, version in locked.items()} | {
        "requirements.txt": lock.requirements
    }


def locked_versions(service: Service) -> dict[str, str]:
    """Versions of Flask, Werkzeug and whatever the server's requirements.in names, from its lock."""
    source = service.requirements.with_suffix(".in")
    lines = source.read_text().splitlines() if source.exists() else []
    named = {match[1].lower() for line in lines if (match := re.match(r"([A-Za-z0-9._-]+)", line))}
    locked = re.findall(r"^([a-z0-9._-]+)(?:\[.*\])?==([^ ;\\]+)", service.requirements.read_text(), re.MULTILINE)
    return {name: version for name, version in locked if name in named | {"flask", "werkzeug"}}
