"""The container engine of this host, as far as its own configuration goes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from ansible.module_utils.topolab_rlimits import running, text

DAEMON = Path("/etc/docker/daemon.json")
PID = Path("/run/docker.pid")


def said(words: list[str]) -> str:
    """What a command prints; empty where it fails or is missing."""
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def flag(option: str) -> str:
    """How the engine was started with an option; empty where it was not."""
    words = [word for pid in running("dockerd") for word in (text(f"/proc/{pid}/cmdline") or "").split("\0")]
    return next((word for word in words if word.startswith(option)), "")


def outdated() -> bool:
    """Whether the engine was started before its daemon.json was written."""
    try:
        return PID.stat().st_mtime < DAEMON.stat().st_mtime
    except OSError:
        return False


def restart(needed: bool) -> dict[str, Any]:
    """What a restart would do: it ends every container, unless live-restore is on."""
    if not needed:
        return {"pending": False}
    return {
        "pending": True,
        "systemd": Path("/run/systemd/system").is_dir(),
        "containers": len(said(["docker", "ps", "--quiet"]).split()),
        "live_restore": said(["docker", "info", "--format", "{{.LiveRestoreEnabled}}"]).strip() == "true",
    }
