"""Test hosts: start, reach, reboot, lose, remove."""

from __future__ import annotations

import configparser
import contextlib
import io
import os
import random
import shlex
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
import yaml

from tests.hosts.images import KINDS, LABEL, Kind, docker, image
from topolab import paths

OWNER = f"{LABEL}.owner"  # "PID:START" of the process without which a host is a leftover; a kept one has none
PORTS = range(
    20000, 32000
)  # below those that outgoing connections get, so that a host has its port back after a reboot
READY_S = 60.0
STATE = paths.HOME / ".topolab/test-hosts"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

User = Literal["operator", "nosudo"]
USERS: dict[int, User] = {1000: "operator", 1001: "nosudo"}  # as in the Dockerfile

# What systemd and an engine need inside a container. Not --privileged, no unmasked /proc: the host's systemd would then
# write the machine's own fs.file-max. The engine's directories are volumes, because overlay does not stack on overlay.
FLAGS = (
    "--cgroupns", "private", "--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--cap-add", "SYS_PTRACE",
    "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined",
    "--tmpfs", "/run:mode=755", "--tmpfs", "/run/lock",
    "--volume", "/var/lib/docker", "--volume", "/var/lib/containerd",
)  # fmt: skip


@dataclass(frozen=True)
class Host:
    """A running test host."""

    name: str  # in inventories, and its own hostname
    kind: Kind
    container: str
    port: int
    directory: Path  # holds the key pair and what ssh learns of host keys

    def inventory_entry(self, user: User = "operator") -> dict[str, Any]:
        """What an inventory says of it."""
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": user,
            "ansible_ssh_private_key_file": str(self.directory / "key"),
            "ansible_ssh_common_args": shlex.join(self._options()),
        }

    def run(self, command: str | Sequence[str], *, timeout_s: float = 60) -> str:
        """Runs a command in it as root, behind ssh's back; raises when it fails."""
        words = ["sh", "-c", command] if isinstance(command, str) else list(command)
        return docker("exec", self.container, *words, timeout_s=timeout_s)

    def ssh(self, command: str, *, user: str = "operator", timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Runs a command in it over ssh."""
        return subprocess.run(
            [
                "ssh", "-i", str(self.directory / "key"), "-p", str(self.port), *self._options(), "-o", "BatchMode=yes",
                "-o", "ConnectTimeout=5", f"{user}@127.0.0.1", command,
            ],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s,
        )  # fmt: skip

    def restart(self) -> None:
        """Reboots it: its init stops and starts the services. Returns when ssh answers."""
        docker("restart", "--time", "30", self.container)
        self.wait()

    def pause(self) -> None:
        """Loses it as a network does: connections stay open, and nothing answers any more."""
        docker("pause", self.container)

    def resume(self) -> None:
        docker("unpause", self.container)

    def kill(self) -> None:
        """Loses it as a power cut does: connections end, and new ones are refused."""
        docker("kill", self.container)

    def boot(self) -> None:
        """Starts it again after `kill`. Returns when ssh answers."""
        docker("start", self.container)
        self.wait()

    def remove(self) -> None:
        """Removes it with its volumes; one that is gone already is fine."""
        with contextlib.suppress(RuntimeError):  # no such container
            docker("rm", "--force", "--volumes", self.container)
        self._known_hosts.unlink(missing_ok=True)

    def wait(self) -> None:
        """Until ssh answers; raises with its last words when it does not in time."""
        deadline = time.monotonic() + READY_S
        while (done := self.ssh("true")).returncode:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} does not answer on port {self.port}: {done.stderr.strip()}")
            time.sleep(0.1)

    @property
    def _known_hosts(self) -> Path:
        return self.directory / f"known_hosts-{self.container}"

    def _options(self) -> list[str]:
        return [
            "-o", f"UserKnownHostsFile={self._known_hosts}", "-o", "StrictHostKeyChecking=accept-new",
            "-o", "IdentitiesOnly=yes",
        ]  # fmt: skip


def start(
    name: str, kind: Kind = "bookworm", *, directory: Path = STATE, container: str | None = None, kept: bool = False
) -> Host:
    """Starts a host and returns when ssh answers. Unless `kept`, `sweep` removes it once this process is gone."""
    directory.mkdir(parents=True, exist_ok=True)
    tag = image(kind, STATE)
    labels = [f"{LABEL}=1", *([] if kept else [f"{OWNER}={_me()}"])]
    while True:
        host = Host(name, kind, container or name, _free_port(), directory)
        docker(
            "create", "--name", host.container, "--hostname", name, *(f"--label={label}" for label in labels), *FLAGS,
            *([] if KINDS[kind].systemd else ["--init"]), "--publish", f"127.0.0.1:{host.port}:22", tag,
        )  # fmt: skip
        try:
            host._known_hosts.unlink(missing_ok=True)
            docker("cp", "--archive", "-", f"{host.container}:/", stdin=_files(directory))
            docker("start", host.container)
            host.wait()
            return host
        except BaseException as error:
            host.remove()
            if "port is already allocated" not in str(error):  # taken since it was found free
                raise


@contextlib.contextmanager
def running(kinds: Mapping[str, Kind], directory: Path) -> Iterator[dict[str, Host]]:
    """Hosts by name, started side by side and removed in the end; for a fixture."""
    sweep()
    _public_key(directory)

    def one(name: str) -> Host:
        return start(name, kinds[name], directory=directory, container=f"topolab-test-{os.getpid()}-{name}")

    with ThreadPoolExecutor(max_workers=len(kinds)) as pool:
        started = {name: pool.submit(one, name) for name in kinds}
        try:
            yield {name: future.result() for name, future in started.items()}
        finally:
            up = [future.result() for future in started.values() if not future.exception()]
            list(pool.map(Host.remove, up))


def inventory(path: Path, hosts: Sequence[Host], groups: Mapping[str, Sequence[Host]] | None = None) -> Path:
    """Writes an inventory; without groups all hosts are `servers`."""
    groups = {"servers": hosts} if groups is None else groups
    written = {
        "all": {
            "hosts": {host.name: host.inventory_entry() for host in hosts},
            "children": {group: {"hosts": {host.name: {} for host in members}} for group, members in groups.items()},
        }
    }
    path.write_text(yaml.safe_dump(written, sort_keys=False))
    return path


def sweep(*containers: str) -> list[str]:
    """Removes these test hosts or, without names, those whose test run has ended without removing them."""
    listed = docker("ps", "--all", "--filter", f"label={LABEL}", "--format", f'{{{{.Names}}}} {{{{.Label "{OWNER}"}}}}')
    removed = []
    for line in listed.splitlines():
        container, _, owner = line.strip().partition(" ")
        if container in containers if containers else owner and not _alive(owner):
            docker("rm", "--force", "--volumes", container)
            removed.append(container)
    return removed


def _me() -> str:
    return f"{os.getpid()}:{psutil.Process().create_time():.2f}"


def _alive(owner: str) -> bool:
    pid, _, started = owner.partition(":")
    try:
        return f"{psutil.Process(int(pid)).create_time():.2f}" == started
    except psutil.NoSuchProcess:
        return False


def _free_port() -> int:
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _public_key(directory: Path) -> bytes:
    """Of a key pair that opens test hosts only."""
    directory.mkdir(parents=True, exist_ok=True)
    key = directory / "key"
    if not key.exists():
        made = directory / f"key.{os.getpid()}.{time.monotonic_ns()}"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test-host", "-f", made], check=True)
        made.with_name(f"{made.name}.pub").unlink()
        with contextlib.suppress(FileExistsError):  # another start was faster
            key.hardlink_to(made)
        made.unlink()
    return subprocess.run(["ssh-keygen", "-y", "-f", key], check=True, capture_output=True).stdout


def _files(directory: Path) -> bytes:
    """What a host gets when it starts, as a tar: who may log in, and the machine's certificates and package index."""
    now = int(time.time())
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:

        def add(path: str, content: bytes, uid: int = 0) -> None:
            member = tarfile.TarInfo(path)
            member.size, member.uid, member.mtime = len(content), uid, now
            tar.addfile(member, io.BytesIO(content))

        for uid, user in USERS.items():
            home = tarfile.TarInfo(f"home/{user}/.ssh")
            home.type, home.mode, home.uid, home.mtime = tarfile.DIRTYPE, 0o700, uid, now
            tar.addfile(home)
            add(f"home/{user}/.ssh/authorized_keys", _public_key(directory), uid)
        add("etc/pip.conf", _pip_conf())
        bundle = Path(os.environ.get("SSL_CERT_FILE") or CERTIFICATES)
        if bundle.is_file():
            add(str(CERTIFICATES).lstrip("/"), bundle.read_bytes())
    return archive.getvalue()


def _pip_conf() -> bytes:
    """The machine's package index, where it says one that a host can reach, and the certificates of the host."""
    lines = ["[global]", f"cert = {CERTIFICATES}"]
    for path in (os.environ.get("PIP_CONFIG_FILE"), str(Path.home() / ".config/pip/pip.conf"), "/etc/pip.conf"):
        config = configparser.RawConfigParser()
        config.read(path or ())
        index = str(os.environ.get("PIP_INDEX_URL") or config.get("global", "index-url", fallback=""))
        if index.startswith("http"):
            lines.append(f"index-url = {index}")
            break
    return ("\n".join(lines) + "\n").encode()
