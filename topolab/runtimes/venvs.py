"""A virtualenv per server, made with uv from its locked requirements, and kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from uv import find_uv_bin

from topolab import paths
from topolab.errors import LabError
from topolab.paths import shown
from topolab.runtimes.base import Say
from topolab.server import Server

COMPLETE = ".complete"  # written last: a virtualenv without it was interrupted, and is made again


def location(server: Server) -> Path:
    """Where this server's virtualenv is, or will be: another lock or Python, another place."""
    what = server.requirements.read_bytes() + sys.version.encode()
    return paths.VENVS / f"{server.server}-{hashlib.sha256(what).hexdigest()[:12]}"


def ready(server: Server) -> bool:
    return (location(server) / COMPLETE).exists()


def make(server: Server, say: Say) -> Path:
    """The server's virtualenv; made when it is not there, by one lab at a time."""
    venv = location(server)
    if ready(server):
        return venv
    venv.parent.mkdir(parents=True, exist_ok=True)
    with venv.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if ready(server):
            return venv
        say(f"installing {server.server} into {shown(venv)}")
        shutil.rmtree(venv, ignore_errors=True)
        _uv(server, "venv", "--quiet", "--python", sys.executable, str(venv))
        _uv(
            server, "pip", "install", "--quiet", "--compile-bytecode", "--require-hashes",
            "--python", str(venv / "bin" / "python"), "--requirements", str(server.requirements),
        )  # fmt: skip
        (venv / COMPLETE).touch()
    return venv


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


def locked_versions(server: Server, distributions: set[str]) -> dict[str, str]:
    """Versions of some distributions, from the server's lock."""
    versions = {}
    for line in server.requirements.read_text().splitlines():
        name, pinned, rest = line.partition("==")
        if pinned and not line.startswith((" ", "#")) and name.split("[")[0].lower() in distributions:
            versions[name.split("[")[0].lower()] = rest.split()[0].rstrip(";\\")
    return versions
