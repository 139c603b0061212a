"""The fingerprint of the machine that a run was measured on."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

from topolab.results import Host


def fingerprint() -> Host:
    """This machine, as far as the numbers depend on it."""
    return Host(
        os=_os_name(),
        kernel=platform.release(),
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        somaxconn=somaxconn(),
        nofile_hard=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
    )


def somaxconn() -> int:
    """net.core.somaxconn of this network namespace."""
    return int(Path("/proc/sys/net/core/somaxconn").read_text())


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
