"""A topology is a named choice of servers and settings; the catalog reads them all from topologies/."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from topolab import paths
from topolab.errors import LabError
from topolab.limits import LIMITS, LimitSets
from topolab.paths import shown
from topolab.results import SettingValue
from topolab.server import Server
from topolab.settings import Strict
from topolab.yamlfile import load, nearest

Listen = Literal["tcp", "unix"]
Entry = Literal["single", "multi"]
NAME = r"[a-z0-9][a-z0-9-]{0,62}"  # as in the names of Compose projects
MOST_INSTANCES = 4  # as many as compose/instances.yaml has


class AppChoice(BaseModel):
    """The app server of a topology: its name, how it listens, and any of its settings."""

    model_config = ConfigDict(extra="allow", frozen=True)

    server: str
    version: str = ""  # another release of it, for which its folder has a lock; empty: the one it is described for
    listen: Listen = "tcp"  # unix only behind a front
    entry: Entry = "single"  # multi: app/multi.py, several applications in one process
    instances: int = Field(default=1, ge=1, le=MOST_INSTANCES)  # of the whole server; more than one only behind a front

    @property
    def settings(self) -> dict[str, object]:
        return dict(self.model_extra or {})


class FrontChoice(BaseModel):
    """The server in front of the app server: its name and any of its settings."""

    model_config = ConfigDict(extra="allow", frozen=True)

    server: str

    @property
    def settings(self) -> dict[str, object]:
        return dict(self.model_extra or {})


class ProofCase(Strict):
    """Other settings or another N under which `topolab proof` shows that the prediction holds."""

    set: Mapping[str, SettingValue] = {}  # as after --set: settings or limits by name
    requests: int = Field(default=300, ge=1)


class TopologyFile(Strict):
    """One topologies/<name>.yaml."""

    summary: str = Field(min_length=1)
    app: AppChoice
    front: FrontChoice | None = None
    standard: bool = False  # part of what `topolab compare` measures when no names are given
    proof: tuple[ProofCase, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """One server in a topology with the settings that the topology gives it; the rest are defaults."""

    name: Literal["app", "front"]
    server: Server
    settings: Mapping[str, SettingValue]
    version: str = ""

    @property
    def requirements(self) -> Path:
        """The lock of what it runs as."""
        return self.server.versions[self.version] if self.version else self.server.requirements

    def of_version(self, version: str, *, where: str) -> Service:
        """The same in another release, one that the server's folder has a lock for."""
        if version and version not in self.server.versions:
            raise LabError(
                f'{where} is "{version}", and {shown(self.server.folder)} has no requirements-{version}.txt.'
                f"{nearest(version, self.server.versions)}"
            )
        return replace(self, version=version)


@dataclass(frozen=True, slots=True)
class Topology:
    """A named choice of servers and settings. `services` begins with the app, then comes the front."""

    name: str
    summary: str
    listen: Listen
    entry: Entry
    instances: int
    services: tuple[Service, ...]
    standard: bool
    proof: tuple[ProofCase, ...]


class Catalog:
    """All topologies, servers and limit sets of one directory."""

    def __init__(self, root: Path = paths.TOPOLOGIES) -> None:
        self.root = root

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Topologies by name, in alphabetical order."""
        names = {path.stem for path in self.root.glob("*.yaml")} - {"limits"}
        for name in names:
            if not re.fullmatch(NAME, name):
                raise LabError(
                    f"{shown(self.root / name)}.yaml: a topology's name is of a-z, 0-9 and -. Rename the file."
                )
        if not names:
            raise LabError(f"{shown(self.root)}: holds no topologies. Set TOPOLAB_TOPOLOGIES to a folder that does.")
        return tuple(sorted(names))

    def chosen(self, names: Sequence[str]) -> list[str]:
        """Topologies by name; without any the standard ones, and all of them for `all`."""
        if list(names) == ["all"]:
            return list(self.names)
        return list(names) or [name for name in self.names if self.topology(name).standard]

    @cached_property
    def limit_sets(self) -> LimitSets:
        return LimitSets(self.root / "limits.yaml")

    def topology(self, name: str) -> Topology:
        """One topology, every setting in it checked against its server."""
        if name not in self.names:
            raise LabError(f'There is no topology "{name}".{nearest(name, self.names)} `topolab list` shows all.')
        path = self.root / f"{name}.yaml"
        read = load(path, TopologyFile)
        where = shown(path)
        app = self._service("app", read.app, where)
        services = [app.of_version(read.app.version, where=f"{where}: app.version")]
        if read.front:
            services.append(self._service("front", read.front, where))
        elif read.app.listen == "unix":
            raise LabError(f"{where}: app.listen is unix, but there is no front. Write tcp, or add a front.")
        elif read.app.instances > 1:
            raise LabError(
                f"{where}: app.instances is {read.app.instances}, but there is no front. Write 1, or add one."
            )
        return Topology(
            name=name,
            summary=read.summary,
            listen=read.app.listen,
            entry=read.app.entry,
            instances=read.app.instances,
            services=tuple(services),
            standard=read.standard,
            proof=read.proof,
        )

    def servers(self) -> list[Server]:
        """Every server that has a folder, in alphabetical order."""
        names = sorted(path.parent.name for path in self.root.glob("servers/*/server.yaml"))
        return [self.server(name, where="server") for name in names]

    def server(self, name: str, *, where: str) -> Server:
        """One server's folder, read."""
        known = [path.parent.name for path in self.root.glob("servers/*/server.yaml")]
        if name not in known:
            raise LabError(f'{where} is "{name}".{nearest(name, known)}')
        path = self.root / "servers" / name / "server.yaml"
        server = load(path, Server)
        if server.server != name:
            raise LabError(f'{shown(path)}: server is "{server.server}". Write its folder\'s name, "{name}".')
        clash = set(server.settings) & set(LIMITS)
        if clash:
            raise LabError(f"{shown(path)}: settings.{min(clash)} has the name of a limit. Choose another name.")
        server._folder = path.parent
        return server

    def _service(self, role: Literal["app", "front"], choice: AppChoice | FrontChoice, where: str) -> Service:
        server = self.server(choice.server, where=f"{where}: {role}.server")
        if server.role != role:
            raise LabError(f'{where}: {role}.server is "{server.server}", which is a server for `{server.role}`.')
        settings = {}
        for key, value in choice.settings.items():
            if key not in server.settings:
                raise LabError(
                    f'{where}: {server.server} has no setting "{role}.{key}".{nearest(key, server.settings)}'
                )
            settings[key] = server.settings[key].checked(value, where=f"{where}: {role}.{key}")
        return Service(role, server, settings)
