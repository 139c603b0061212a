"""The container engine: does it answer, what can it grant, and how it is called."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from topolab.runtimes.programs import Programs

CAP_SYS_RESOURCE = 24  # linux/capability.h: may raise hard limits
INSTALL = "`sudo make engine` installs and starts one (Debian, Ubuntu); --runtime process needs none."


def environment(**more: str) -> dict[str, str]:
    """What `docker` gets: nothing of the person's shell that Compose could take for a variable of the plan."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key in ("PATH", "HOME", "USER", "TMPDIR") or key.startswith(("DOCKER_", "BUILDKIT_", "XDG_"))
    }
    return {**kept, "DOCKER_BUILDKIT": "1", **more}


def docker(
    arguments: Sequence[str], *, variables: Mapping[str, str] | None = None, timeout_s: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs one docker command and captures what it prints; status 127 where there is no `docker`.

    In a process group of its own: Ctrl-C is the lab's to handle, not docker's. After `timeout_s` it is killed, with
    its plugins, and `subprocess.TimeoutExpired` is raised.
    """
    try:
        return Programs().run(
            ["docker", *arguments], timeout_s=timeout_s, env=environment(**(variables or {})), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
    except FileNotFoundError:
        return subprocess.CompletedProcess(arguments, 127, "", f"there is no `docker` command. {INSTALL}")


def problem() -> str | None:
    """None when an engine with Compose v2 answers; otherwise what is wrong and what to type."""
    if not shutil.which("docker"):
        return f"No container engine: there is no `docker` command. {INSTALL}"
    try:
        server = docker(["version", "--format", "{{.Server.Version}}"], timeout_s=10)
        compose = docker(["compose", "version", "--short"], timeout_s=10)
    except subprocess.TimeoutExpired:
        return (
            f"The container engine does not answer within 10 s. Restart it (`sudo service docker restart`). {INSTALL}"
        )
    if server.returncode:
        if "permission denied" in server.stderr.lower():
            return (
                "The container engine does not admit this user. Join its group "
                "(`sudo usermod -aG docker $USER`, then log in again), or use --runtime process."
            )
        where = [f"{name}={os.environ[name]}" for name in ("DOCKER_HOST", "DOCKER_CONTEXT") if os.environ.get(name)]
        return f"No container engine answers{' at ' + ', '.join(where) if where else ''}. {INSTALL}"
    if compose.returncode:
        return f"The container engine has no Compose v2 (`docker compose`). {INSTALL}"
    return None


def highest_nofile() -> int | None:
    """The most descriptors that the engine can grant a container.

    None where nothing bounds it, or where that can't be seen: the engine may run elsewhere.
    """
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "dockerd":
            try:
                return None if _may_raise_limits(process.pid) else _hard_nofile(process.pid)
            except OSError:
                return None
    return None


def _may_raise_limits(pid: int) -> bool:
    with Path(f"/proc/{pid}/status").open() as status:
        effective = next(line.split()[1] for line in status if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> CAP_SYS_RESOURCE & 1)


def _hard_nofile(pid: int) -> int | None:
    with Path(f"/proc/{pid}/limits").open() as limits:
        hard = next(line.split()[4] for line in limits if line.startswith("Max open files"))
    return int(hard) if hard.isdecimal() else None
