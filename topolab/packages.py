"""Programs that come from the distribution: what is missing, and its installation where we may."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from topolab.errors import LabError
from topolab.server import Server

POLICY = Path("/usr/sbin/policy-rc.d")  # Debian: asked before a package starts its service


def missing(servers: Sequence[Server]) -> list[Server]:
    """Servers whose program is not on this machine."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    return [server for server in servers if server.program and not shutil.which(server.program, path=path)]


def is_debian_like() -> bool:
    """Debian, Ubuntu, or a relative of theirs."""
    with contextlib.suppress(OSError):
        release = platform.freedesktop_os_release()
        return "debian" in f"{release.get('ID', '')} {release.get('ID_LIKE', '')}".split()
    return False


def install(packages: Sequence[str], say: Callable[[str], None]) -> None:
    """Installs Debian packages and leaves their services stopped and disabled. Needs root."""
    say(f"installing {', '.join(packages)} from the distribution's packages (apt-get), left stopped")
    with _services_stay_stopped():
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]):
            result = subprocess.run(
                command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, capture_output=True, text=True, check=False
            )
            if result.returncode:
                lines = tuple((result.stderr or result.stdout).splitlines()[-8:])
                raise LabError(f"{' '.join(command)} failed with status {result.returncode}:", details=lines)
    if Path("/run/systemd/system").is_dir():
        for package in packages:
            subprocess.run(["systemctl", "disable", "--quiet", package], capture_output=True, check=False)


@contextlib.contextmanager
def _services_stay_stopped() -> Iterator[None]:
    """Debian starts a service as it installs it, unless policy-rc.d answers 101 (invoke-rc.d(8))."""
    if POLICY.exists():
        yield  # the machine has a policy of its own; it stays
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
