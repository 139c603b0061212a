"""How many descriptors and processes a host can give. The kernel is asked, not a configuration."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from pathlib import Path

CAP_SYS_RESOURCE = 24  # linux/capability.h: may raise hard limits
MOST_PROCESSES = 4_194_304  # PID_MAX_LIMIT of linux/threads.h

# name: (number, how /proc/PID/limits calls it)
RESOURCES = {
    "nofile": (resource.RLIMIT_NOFILE, "Max open files"),
    "nproc": (resource.RLIMIT_NPROC, "Max processes"),
}


def text(path: Path | str) -> str | None:
    """A small file; None where it is missing or may not be read."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return None


def parse_limits(limits: str) -> dict[str, list[int | None]]:
    """{name: [soft, hard]} of a /proc/PID/limits; None is unlimited."""
    found = {}
    for name, (_, title) in RESOURCES.items():
        for line in limits.splitlines():
            if line.startswith(title):
                words = line[len(title) :].split()
                found[name] = [int(word) if word.isdecimal() else None for word in words[:2]]
    return found


def limits_of(pid: int | str, proc: Path = Path("/proc")) -> dict[str, list[int | None]]:
    """[soft, hard] of a process by name; empty where that can't be seen."""
    return parse_limits(text(proc / str(pid) / "limits") or "")


def may_raise(pid: int | str, proc: Path = Path("/proc")) -> bool:
    """Whether a process may raise hard limits: it has the capability, and not only in a user namespace of its own."""
    for line in (text(proc / str(pid) / "status") or "").splitlines():
        if line.startswith("CapEff:") and not int(line.split()[1], 16) >> CAP_SYS_RESOURCE & 1:
            return False
    users = text(proc / str(pid) / "uid_map")
    return users is None or users.split() == ["0", "0", "4294967295"]


def granted(name: str, value: int) -> bool:
    """Asks the kernel for value as soft and hard limit, in a child that ends at once."""
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(RESOURCES[name][0], (value, value))
            os._exit(0)
        except (OSError, ValueError, OverflowError):
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def ceiling(name: str, proc: Path = Path("/proc")) -> int:
    """The kernel's own bound, which holds for everybody."""
    if name == "nofile":
        return int(text(proc / "sys/fs/nr_open") or 1_048_576)
    return MOST_PROCESSES


def processes(*names: str, proc: Path = Path("/proc")) -> list[int]:
    """The pids of the programs with these names (the first 15 letters, as the kernel keeps them)."""
    short = {name[:15] for name in names}
    pids = sorted(int(each.name) for each in proc.iterdir() if each.name.isdecimal())
    return [pid for pid in pids if (text(proc / str(pid) / "comm") or "").strip() in short]


def running(*names: str) -> list[int]:
    """Those of this host; what runs inside a container here is somebody else's."""
    return [pid for pid in processes(*names) if _pids_of(pid) == _pids_of("self")]


def most(name: str, pid: int | str, proc: Path = Path("/proc")) -> int:
    """The most that a process can give itself or what it starts."""
    bound = ceiling(name, proc)
    if may_raise(pid, proc):
        return bound
    hard = limits_of(pid, proc).get(name, [None, None])[1]
    return bound if hard is None else min(hard, bound)


def reachable(name: str, asked: Iterable[int] = ()) -> tuple[int, str]:
    """The most that a service of this host can have, and what bounds it: root, PID 1 and the engine all must give it.

    A user other than root says nothing about services, unless there is nobody else to ask.
    """
    # A container's limits are set by what containerd starts.
    givers: dict[int | str, str] = {pid: engine for engine in ("dockerd", "containerd") for pid in running(engine)}
    if Path("/run/systemd/system").is_dir():
        givers[1] = "systemd"
    if os.geteuid() == 0 or not givers:
        givers["self"] = "root" if os.geteuid() == 0 else "this user"
    bounds = {giver: most(name, giver) for giver in givers}
    for value in asked:
        if value <= bounds.get("self", 0) and not granted(name, value):  # something other than capabilities forbids it
            bounds["self"] = limits_of("self").get(name, [None, None])[1] or value - 1
    least = min(bounds, key=lambda giver: bounds[giver])
    if bounds[least] == ceiling(name):
        return bounds[least], "the kernel's fs.nr_open" if name == "nofile" else "the kernel's own bound"
    return bounds[least], f"the hard limit of {givers[least]}, which may not raise it"


def _pids_of(pid: int | str) -> str:
    """The pid namespace of a process."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")  # noqa: PTH115  (it leads to no path)
    except OSError:
        return ""
