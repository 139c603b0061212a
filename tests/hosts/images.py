"""The images of test hosts: named after what they are made of, so that each is built once."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from topolab.runtimes import engine

HERE = Path(__file__).parent
LABEL = "topolab.test-host"  # of all that belongs to test hosts
BUILD_S = 600

Kind = Literal["bookworm", "trixie", "plain"]


@dataclass(frozen=True)
class Recipe:
    """What a kind of host is made of."""

    codename: str
    target: str

    @property
    def systemd(self) -> bool:
        return self.target == "systemd"


KINDS: dict[Kind, Recipe] = {
    "bookworm": Recipe("bookworm", "systemd"),
    "trixie": Recipe("trixie", "systemd"),
    "plain": Recipe("bookworm", "plain"),
}


def docker(*arguments: str, timeout_s: float = 120, stdin: bytes | None = None) -> str:
    """One docker command; raises with what it said."""
    done = subprocess.run(
        ["docker", *arguments], env=engine.environment(), input=stdin or b"", capture_output=True, timeout=timeout_s
    )
    if done.returncode:
        raise RuntimeError(f"docker {' '.join(arguments)}: {(done.stderr or done.stdout).decode().strip()}")
    return done.stdout.decode().strip()


def exists(image: str) -> bool:
    return bool(docker("image", "ls", "--quiet", image))


def image(kind: Kind, locks: Path) -> str:
    """The name of a kind's image, which is built where it is missing; once, also when several ask at the same time."""
    recipe = KINDS[kind]
    locks.mkdir(parents=True, exist_ok=True)
    with _locked(locks / "base.lock"):  # of all of them: apt can't install mmdebstrap twice at a time
        base = subprocess.run(
            [HERE / "base-image", recipe.codename], stdout=subprocess.PIPE, text=True, timeout=BUILD_S, check=True
        ).stdout.strip()
    with _locked(locks / f"{recipe.codename}.lock"):
        digest = hashlib.sha256(docker("image", "inspect", "--format", "{{.Id}}", base).encode())
        for name in ("Dockerfile", "boot"):
            digest.update((HERE / name).read_bytes())
        tag = f"topolab-test-host:{kind}-{digest.hexdigest()[:12]}"
        if not exists(tag):
            docker(
                "build", "--quiet", "--target", recipe.target, "--build-arg", f"BASE={base}", "--tag", tag,
                "--label", f"{LABEL}=1", str(HERE), timeout_s=BUILD_S,
            )  # fmt: skip
        return tag


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Nobody else holds this file's lock meanwhile."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
