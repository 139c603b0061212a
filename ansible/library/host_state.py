#!/usr/bin/python
"""Ansible module: what this host is, and what it can grant. One round trip; changes nothing."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.topolab_originals import SYSCTL_DROP_IN, overruled, spaced
from ansible.module_utils.topolab_rlimits import RESOURCES, limits_of, may_raise, reachable, text

DOCUMENTATION = r"""
module: host_state
short_description: What a host is and what it can grant
description:
  - Reads the kernel, the engine and the records of the lab. Changes nothing, and needs no root.
  - What can't be found out is null.
options:
  ports:
    description: TCP ports to look up on 127.0.0.1 and the wildcard addresses.
    type: list
    elements: int
    default: []
  limits:
    description: Limits that are going to be asked for, as C(name), C(value), C(sysctl) and C(demanded).
    type: list
    elements: dict
    default: []
  stack:
    description: The stack that is going to run; a port that it holds is C(ours).
    type: str
    default: ""
  disks:
    description: Directories whose free space is asked; one that does not exist yet counts as its nearest parent.
    type: list
    elements: path
    default: [/var/lib/docker, /opt]
  programs:
    description: Programs to look up in the usual bin and sbin directories; absolute paths need only exist.
    type: list
    elements: str
    default: []
author: Topolab
"""

EXAMPLES = r"""
- name: Ask the host what it is
  host_state:
    ports: [8000]
    limits: [{name: nofile, value: 20000}]
  register: state
"""

RETURN = r"""
host:
  description: The host, with the same meaning of os, kernel, cpu, cores and memory_bytes as in a run.
  returned: always
  type: dict
"""

ENGINE_S = 10
STACKS = Path("/etc/topolab/stacks")
SYSCTLS = (
    "net.core.somaxconn",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_abort_on_overflow",
    "net.ipv4.ip_local_port_range",
)
PATH = ":".join(["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
LISTENING = "0A"  # include/net/tcp_states.h
ANY_OR_LOOPBACK = {"0.0.0.0", "127.0.0.1", "::", "::ffff:127.0.0.1"}


def tried(probe: Callable[..., Any], *arguments: Any) -> Any:
    """What a probe finds out; None where the kernel shows something that it was not written for."""
    try:
        return probe(*arguments)
    except (OSError, ValueError, LookupError):
        return None


def os_release(path: Path = Path("/etc/os-release")) -> dict[str, str]:
    """The keys of os-release(5)."""
    lines = (text(path) or text("/usr/lib/os-release") or "").splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {key: value.strip().strip("\"'") for key, value in pairs}


def cpu_model(path: Path = Path("/proc/cpuinfo")) -> str:
    for line in (text(path) or "").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def sysctl(name: str, root: Path = Path("/proc/sys")) -> int | str | None:
    """The live value; a pair of numbers as "1024 65535"."""
    value = text(root / name.replace(".", "/"))
    if value is None:
        return None
    joined = " ".join(value.split())
    return int(joined) if joined.lstrip("-").isdecimal() else joined


def read_only(path: Path) -> bool | None:
    """Whether the file system there is mounted read-only, which holds for root as well."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return None


def free_mb(directory: str | Path) -> int | None:
    """Free space in MB (1,000,000 bytes), as df shows it, of the nearest directory above that exists."""
    path = Path(directory)
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        stat = os.statvfs(path)
    except OSError:
        return None
    return stat.f_bavail * stat.f_frsize // 1_000_000


def program(name: str) -> str | None:
    """Where a program is; for a path, that it exists."""
    if name.startswith("/"):
        return name if Path(name).exists() else None
    return shutil.which(name, path=PATH)


def stacks(directory: Path = STACKS) -> list[dict[str, Any]]:
    """The records of the stacks on this host; a damaged one says so under its folder's name."""
    found = []
    for path in sorted(directory.glob("*/stack.json")):
        try:
            record = json.loads(path.read_text())
            if not isinstance(record, dict):
                raise ValueError("not an object")
            found.append({**record, "name": path.parent.name})
        except (OSError, ValueError) as error:
            found.append({"name": path.parent.name, "problem": str(error)})
    return found


def address(hexadecimal: str) -> str:
    """An address of /proc/net/tcp or tcp6: 32-bit words, each in the machine's own byte order."""
    words = [int(hexadecimal[at : at + 8], 16) for at in range(0, len(hexadecimal), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, packed)


def listeners(proc: Path = Path("/proc")) -> dict[int, set[str]]:
    """Inodes of the sockets that listen on loopback or everywhere, by port."""
    found: dict[int, set[str]] = {}
    for table in ("net/tcp", "net/tcp6"):
        for line in (text(proc / table) or "").splitlines()[1:]:
            words = line.split()
            local, _, port = words[1].partition(":")
            if words[3] == LISTENING and address(local) in ANY_OR_LOOPBACK:
                found.setdefault(int(port, 16), set()).add(words[9])
    return found


def owner(inodes: Iterable[str], proc: Path = Path("/proc")) -> int | None:
    """The first process that holds one of these sockets; None where that may not be seen."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in sorted((each for each in proc.iterdir() if each.name.isdecimal()), key=lambda each: int(each.name)):
        try:
            if any(str(fd.readlink()) in wanted for fd in (process / "fd").iterdir()):
                return int(process.name)
        except OSError:
            continue  # it ended, or is somebody else's
    return None


def holder(port: int, records: Iterable[Mapping[str, Any]], stack: str, proc: Path = Path("/proc")) -> str | None:
    """Who listens at a port: None, "ours" for the stack itself, else a name to show."""
    inodes = listeners(proc).get(port)
    if not inodes:
        return None
    for record in records:
        if port in (record.get("port"), *(record.get("ports") or ())):
            return "ours" if record["name"] == stack else f"the stack {record['name']}"
    pid = owner(inodes, proc)
    if pid is None:
        return "another user's program"
    name = (text(proc / str(pid) / "comm") or "a program").strip()
    return f"{name} (pid {pid})"


def engine() -> Callable[[], dict[str, Any]]:
    """Starts asking the engine, Compose and buildx; call the result for the answers.

    `hangs`: one of them said nothing within ENGINE_S.
    """
    questions = {
        "version": ["version", "--format", "{{.Server.Version}}"],
        "compose": ["compose", "version", "--short"],
        "buildx": ["buildx", "version"],
    }
    docker = shutil.which("docker", path=f"{os.environ.get('PATH', '')}:{PATH}")
    deadline = time.monotonic() + ENGINE_S
    asked = {part: _started([docker, *words]) for part, words in (questions.items() if docker else ())}

    def answers() -> dict[str, Any]:
        found: dict[str, Any] = {**dict.fromkeys(questions), "hangs": False}
        for part, process in asked.items():
            if process is None:
                continue
            try:
                said, _ = process.communicate(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # with what it started, which would keep the pipe open
                process.communicate()
                found["hangs"] = True
                continue
            words = said.split()
            if process.returncode == 0 and words:
                # "github.com/docker/buildx v0.13.1 ..." or "v2.26.1": the number alone.
                found[part] = words[1 if part == "buildx" and len(words) > 1 else 0].lstrip("v")
        return found

    return answers


def _started(words: list[str]) -> subprocess.Popen[str] | None:
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
    except OSError:  # it is no program for this machine
        return None


def state(
    ports: Iterable[int] = (),
    limits: Iterable[Mapping[str, Any]] = (),
    stack: str = "",
    disks: Iterable[str] = ("/var/lib/docker", "/opt"),
    programs: Iterable[str] = (),
) -> dict[str, Any]:
    """All of it."""
    answers = engine()
    limits = list(limits)
    release = os_release()
    records = stacks()
    sysctls = [limit for limit in limits if limit.get("sysctl")]
    values = {str(limit["sysctl"]): spaced(limit.get("value")) for limit in sysctls if limit.get("demanded")}
    asked = {
        name: [int(limit["value"]) for limit in limits if limit.get("name") == name and str(limit["value"]).isdecimal()]
        for name in RESOURCES
    }
    bounds = {name: tried(reachable, name, values) for name, values in asked.items()}
    engine_answers = answers()
    return {
        "os": release.get("PRETTY_NAME", platform.system()),
        "os_id": release.get("ID", ""),
        "os_like": release.get("ID_LIKE", ""),
        "os_version": release.get("VERSION_ID", ""),
        "arch": platform.machine(),
        "kernel": platform.release(),
        "cpu": tried(cpu_model),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": tried(memory_bytes),
        "nofile_hard": limits_of("self").get("nofile", [None, None])[1],
        "python": platform.python_version(),
        "root": os.geteuid() == 0,
        "systemd": Path("/run/systemd/system").is_dir(),  # what sd_booted(3) looks at
        "cgroup": 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1,
        "sysctls": {
            name: tried(sysctl, name)
            for name in dict.fromkeys([*SYSCTLS, *(str(limit["sysctl"]) for limit in sysctls)])
        },
        "sysctls_overruled": tried(overruled, values, Path(SYSCTL_DROP_IN)) or [],
        "sysctls_read_only": read_only(Path("/proc/sys/net")),
        "disk_free_mb": {str(directory): free_mb(directory) for directory in disks},
        "programs": {name: program(name) for name in programs},
        "may_raise": may_raise("self"),
        "reachable": {name: bound[0] if bound else None for name, bound in bounds.items()},
        "reachable_by": {name: bound[1] if bound else None for name, bound in bounds.items()},
        "ports": {str(port): tried(holder, port, records, stack) for port in ports},
        "stacks": records,
        "engine": {part: version for part, version in engine_answers.items() if part != "hangs"},
        "engine_hangs": engine_answers["hangs"],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "ports": {"type": "list", "elements": "int", "default": []},
            "limits": {"type": "list", "elements": "dict", "default": []},
            "stack": {"type": "str", "default": ""},
            "disks": {"type": "list", "elements": "path", "default": ["/var/lib/docker", "/opt"]},
            "programs": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, host=state(**module.params))


if __name__ == "__main__":
    main()
