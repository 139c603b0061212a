"""The images of a stack: named after what is in them, so that one that exists never needs building."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from topolab import paths
from topolab.errors import LabError
from topolab.plan import Plan
from topolab.runtimes import engine
from topolab.runtimes.base import Say

COMPOSE_FILE = paths.COMPOSE / "compose.yaml"
FRONT_FILE = paths.COMPOSE / "front.yaml"
NOT_IN_IMAGES = ("server.yaml", "requirements*.in")  # as in .dockerignore
INSTRUMENT_MODULES = (
    "__init__",
    "behaviours",
    "errors",
    "ledger",
    "loads",
    "results",
)  # what the instrument imports of the lab


@dataclass(frozen=True, slots=True)
class Image:
    """One image: its tag, the Compose service that builds it, and that build's variables."""

    tag: str
    service: str
    variable: str  # of compose.yaml, that names the image
    arguments: Mapping[str, str]


def of(plan: Plan) -> tuple[Image, ...]:
    """The images that a plan needs. Their packages are Debian's: that is what a base image is made of."""
    server = plan.app.server
    arguments = {
        "SERVER": server.server,
        "BUILD_PACKAGES": " ".join(server.build_packages),
        "APP_PACKAGES": server.packages.get("debian", ""),
    }
    if plan.app.version:
        arguments["REQUIREMENTS"] = paths.shown(plan.app.requirements)
    entry = f"app/{plan.topology.entry}.txt"
    if (paths.HOME / entry).exists():
        arguments["ENTRY_REQUIREMENTS"] = entry
    images = [
        _image("app", "APP_IMAGE", server.server, [*tree(server.folder), *tree(paths.HOME / "app")], arguments),
        _image("instrument", "INSTRUMENT_IMAGE", "instrument", instrument_files(), {}),
    ]
    if plan.front and plan.front in plan.programs:
        front = plan.front.server
        arguments = {"FRONT_SERVER": front.server, "FRONT_PACKAGES": front.packages.get("debian", front.program or "")}
        images.append(_image("front", "FRONT_IMAGE", front.server, tree(front.folder), arguments))
    return tuple(images)


def _image(service: str, variable: str, name: str, files: Iterable[Path], arguments: Mapping[str, str]) -> Image:
    digest = hashlib.sha256(json.dumps([os.environ.get("BASE", ""), dict(arguments)]).encode())
    for path in sorted({*files, paths.COMPOSE / "Dockerfile", paths.COMPOSE / "ready.py"}):
        digest.update(f"{paths.shown(path)}\0{path.stat().st_mode & 0o111}\0".encode() + path.read_bytes())
    return Image(f"topolab-{name}:{digest.hexdigest()[:12]}", service, variable, arguments)


def names(plan: Plan) -> dict[str, str]:
    """The variables of compose.yaml that name a plan's images."""
    return {image.variable: image.tag for image in of(plan)}


def sizes(plan: Plan) -> dict[str, int]:
    """Bytes of the servers' images, by service."""
    tags = {image.service: image.tag for image in of(plan) if image.service != "instrument"}
    result = engine.docker(["image", "inspect", "--format", "{{.Size}}", *tags.values()])
    return dict(zip(tags, map(int, result.stdout.split()), strict=False))


def build(plans: Sequence[Plan], say: Say) -> dict[str, LabError]:
    """Builds the images that are missing. What can't be built is an error by the topologies that need it."""
    needed = [(plan.name, image) for plan in plans for image in of(plan)]
    missing = {tag: image for tag, image in {image.tag: image for _, image in needed}.items() if not _exists(tag)}
    failed = {}
    base = _base(say) if missing else ""
    for tag, image in missing.items():
        say(f"building image {tag}")
        try:
            _build(image, base)
        except LabError as error:
            failed[tag] = error
    return {name: failed[image.tag] for name, image in needed if image.tag in failed}


def _build(image: Image, base: str) -> None:
    files = [COMPOSE_FILE, FRONT_FILE] if image.service == "front" else [COMPOSE_FILE]
    result = engine.docker(
        ["compose", *(word for file in files for word in ("--file", str(file))), "build", "--quiet", image.service],
        variables={"BASE": base, image.variable: image.tag, **image.arguments, **_machine()},
    )
    if result.returncode:
        lines = tuple(line for line in result.stderr.splitlines() if line.strip())[-12:]
        raise LabError(f"The image {image.tag} could not be built. The engine says:", details=lines)


def _exists(tag: str) -> bool:
    return engine.docker(["image", "inspect", "--format", "{{.Id}}", tag]).returncode == 0


def _base(say: Say) -> str:
    """The image to build on: $BASE, an official one where a registry answers, else one of Debian's packages."""
    if base := os.environ.get("BASE"):
        return base
    say("looking for a base image")
    result = subprocess.run([paths.COMPOSE / "base-image"], capture_output=True, text=True, check=False)
    if result.returncode:
        raise LabError("There is no base image to build on:", details=tuple(result.stderr.splitlines()[-8:]))
    base = result.stdout.strip()
    say(f"base image: {base}")
    return base


def _machine() -> dict[str, str]:
    """This machine's certificates and package index, for the builds only."""
    variables = {}
    bundle = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    if bundle and Path(bundle).is_file():
        variables["CA_BUNDLE"] = bundle
    for config in (os.environ.get("PIP_CONFIG_FILE"), str(Path.home() / ".config/pip/pip.conf"), "/etc/pip.conf"):
        if config and Path(config).is_file() and "index-url" in Path(config).read_text():
            return {**variables, "PIP_CONF": config}
    return variables


def tree(folder: Path) -> list[Path]:
    """The files of a folder that go along: none that only the lab reads."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return [path for path in files if not any(path.match(pattern) for pattern in NOT_IN_IMAGES)]


def instrument_files() -> list[Path]:
    """The instrument, and what it imports of the lab."""
    package = paths.HOME / "topolab"
    return [*tree(package / "instrument"), *(package / f"{module}.py" for module in INSTRUMENT_MODULES)]
