"""A virtualenv per server, made with uv from its locked requirements, and kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from topolab import paths
from topolab.errors import LabError
from topolab.paths import shown
from topolab.plan import Plan
from topolab.runtimes.base import Say
from topolab.server import Server
from topolab.topology import Service

COMPLETE = ".complete"  # written last: a virtualenv without it was interrupted, and is made again


@dataclass(frozen=True, slots=True)
class Lock:
    """The locked requirements of one virtualenv: the server's, and those of the app's entry where it has any."""

    server: Server
    files: tuple[Path, ...]

    @property
    def venv(self) -> Path:
        """Where the virtualenv is, or will be: another lock or Python, another place."""
        what = b"".join(file.read_bytes() for file in self.files) + sys.version.encode()
        return paths.VENVS / f"{self.server.server}-{hashlib.sha256(what).hexdigest()[:12]}"

    @property
    def ready(self) -> bool:
        return (self.venv / COMPLETE).exists()


def lock_of(plan: Plan, service: Service) -> Lock | None:
    """What a service's virtualenv holds; None for a server that needs none."""
    if not service.server.requirements.exists():
        return None
    entry = paths.HOME / "app" / f"{plan.topology.entry}.txt"  # only some entries need more than the server
    return Lock(service.server, (service.server.requirements, *([entry] if entry.exists() else [])))


def make(lock: Lock, say: Say) -> None:
    """Makes the virtualenv when it is not there; one lab at a time."""
    venv, server = lock.venv, lock.server
    venv.parent.mkdir(parents=True, exist_ok=True)
    with venv.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if lock.ready:
            return
        say(f"installing {server.server} into {shown(venv)}")
        shutil.rmtree(venv, ignore_errors=True)
        _uv(server, "venv", "--quiet", "--python", sys.executable, str(venv))
        install = (
            "pip",
            "install",
            "--quiet",
            "--compile-bytecode",
            "--require-hashes",
            "--python",
            f"{venv}/bin/python",
        )
        for requirements in lock.files:
            _uv(server, *install, "--requirements", str(requirements))
        (venv / COMPLETE).touch()


def _uv(server: Server, *arguments: str) -> None:
    result = subprocess.run(
        [find_uv_bin(), *arguments], env={**_mirror(), **os.environ}, capture_output=True, text=True, check=False
    )
    if result.returncode:
        lines = tuple(line for line in result.stderr.splitlines() if line.strip())
        compiler = (
            f" It is compiled here: it needs {', '.join(server.build_packages)}." if server.build_packages else ""
        )
        raise LabError(
            f"{shown(server.requirements)}: {server.server} could not be installed.{compiler} uv says:",
            details=lines[-8:],
        )


def _mirror() -> dict[str, str]:
    """The index that this machine's pip is configured for: uv does not read pip's configuration."""
    result = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    index = result.stdout.strip()
    return {"UV_DEFAULT_INDEX": index} if result.returncode == 0 and index else {}


def locked_versions(server: Server) -> dict[str, str]:
    """Versions of Flask, Werkzeug and whatever the server's requirements.in names, from its lock."""
    source = server.requirements.with_suffix(".in")
    lines = source.read_text().splitlines() if source.exists() else []
    named = {match[1].lower() for line in lines if (match := re.match(r"([A-Za-z0-9._-]+)", line))}
    locked = re.findall(r"^([a-z0-9._-]+)(?:\[.*\])?==([^ ;\\]+)", server.requirements.read_text(), re.MULTILINE)
    return {name: version for name, version in locked if name in named | {"flask", "werkzeug"}}
