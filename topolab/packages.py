"""Programs that come from the distribution: what is missing, and its installation where we may."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from topolab.errors import LabError
from topolab.server import Server

Say = Callable[[str], None]
POLICY = Path("/usr/sbin/policy-rc.d")  # Debian: asked before a package starts its service


def find(program: str) -> str | None:
    """Where a program is; servers are often in the system's own directories, which a person's PATH leaves out."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def missing(servers: Sequence[Server]) -> list[Server]:
    """Servers whose program, or a file of it, is not on this machine."""
    return [
        server
        for server in servers
        if (server.program and not find(server.program)) or not all(Path(file).exists() for file in server.files)
    ]


def can_compile() -> bool:
    """Whether a package with C in it can be built for this Python."""
    return bool(shutil.which("cc")) and Path(sysconfig.get_path("include"), "Python.h").exists()


def of_debian(server: Server) -> list[str]:
    """The Debian packages that a server needs where it runs; Ubuntu's where they have other names."""
    names = server.packages.get(_release().get("ID", "")) or server.packages.get("debian") or server.program or ""
    return names.split()


def is_debian_like() -> bool:
    """Debian, Ubuntu, or a relative of theirs."""
    release = _release()
    return "debian" in f"{release.get('ID', '')} {release.get('ID_LIKE', '')}".split()


def _release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def setup(servers: Sequence[Server], say: Say) -> None:
    """Installs the programs that are missing, as root on Debian and Ubuntu; elsewhere says what to type."""
    wanted = missing(servers)
    packages = {package for server in wanted for package in of_debian(server)}
    if not can_compile():
        packages |= {package for server in servers for package in server.build_packages}
    if not packages:
        return
    if is_debian_like() and os.geteuid() == 0:
        install(wanted, sorted(packages), say)
        return
    how = ("sudo apt-get install " if is_debian_like() else "install ") + " ".join(sorted(packages))
    say(
        f"not here: {', '.join(packages)}. Without it the process runtime leaves some topologies out. To have it: {how}"
    )


def install(servers: Sequence[Server], packages: Sequence[str], say: Say) -> None:
    """Installs Debian packages and leaves their services stopped and disabled. Needs root."""
    say(f"installing {', '.join(packages)} from the distribution's packages (apt-get), left stopped")
    with _services_stay_stopped():
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
        ):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if result.returncode:
                lines = tuple((result.stderr or result.stdout).splitlines()[-8:])
                raise LabError(f"{' '.join(command)} failed with status {result.returncode}:", details=lines)
    if Path("/run/systemd/system").is_dir():
        for server in servers:
            subprocess.run(["systemctl", "disable", "--quiet", server.server], capture_output=True, check=False)


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
