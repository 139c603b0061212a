"""A plan: a topology with every setting and limit resolved to a value; what a runtime starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from topolab.errors import LabError, NotRunnable
from topolab.expressions import UNLIMITED, count
from topolab.limits import LIMITS
from topolab.loads import Pins
from topolab.ownapp import OwnApp
from topolab.results import Asked, Route, SettingValue, Unit
from topolab.settings import Setting
from topolab.topology import MOST_INSTANCES, Catalog, Entry, Listen, Service, Topology
from topolab.yamlfile import nearest

WithValue = Callable[[Any], "Plan"]  # a plan with another value of one setting or limit

ENTRIES = {"single": "app.wsgi:application", "multi": "app.multi:application"}
BESIDE = "topolab_own:application"  # of app/own: the lab's app, and below /own a person's own


@dataclass(frozen=True, slots=True)
class Plan:
    """Every setting and limit, resolved. `asked` is what deviates from the topology's own file.

    A limit that is missing from `limits` is left as the runtime has it.
    """

    topology: Topology
    settings: Mapping[str, Mapping[str, SettingValue]]  # by service
    limits: Mapping[str, SettingValue]
    asked: Asked
    cpus: int = field(default_factory=lambda: os.cpu_count() or 1)  # of the machine that it runs on
    demanded: frozenset[str] = frozenset()  # limits that were asked for, by name or by a set other than the default
    pins: Pins | None = None  # which CPUs the server and the instrument may use; None: any

    @property
    def name(self) -> str:
        return self.topology.name

    @property
    def app(self) -> Service:
        return self.topology.services[0]

    @property
    def front(self) -> Service | None:
        return self.topology.services[1] if len(self.topology.services) > 1 else None

    @property
    def own(self) -> OwnApp | None:
        """A person's own app that is served beside the lab's."""
        return OwnApp.read(self.asked.app) if self.asked.app else None

    @property
    def programs(self) -> tuple[Service, ...]:
        """The services that are programs of their own, as a runtime starts them."""
        return tuple(service for service in self.topology.services if not service.server.inside)

    @property
    def listen(self) -> Listen:
        """How the app server listens."""
        return self.topology.listen

    def names(self, service: Service, *, requests: int = 0) -> dict[str, Any]:
        """What the formulas of that service's server may use."""
        limits = {limit: self.limits.get(limit, UNLIMITED) for limit in LIMITS}
        common = {"requests": requests, "route": self.asked.route, "cpus": self.cpus, "listen": self.listen}
        program = self.settings["app"] if service.server.inside else {}  # one program, so its settings count as well
        return {**program, **self.settings[service.name], **limits, **common}

    def cautions(self) -> list[str]:
        """Settings that do nothing or kill their server, by name."""
        return [text for service in self.topology.services for text in service.server.cautions(self.names(service))]

    def require_startable(self) -> None:
        """`NotRunnable` when a server itself would refuse these settings and limits."""
        for service in self.topology.services:
            for text in service.server.refusals(self.names(service)):
                raise NotRunnable(f"{self.name}: {text}", remedy="Choose other settings or limits.")

    def processes(self) -> int:
        """How many processes serve requests, as far as the app server's settings say."""
        server = self.app.server
        each = int(count(server.processes, self.names(self.app), where=f"{server.where}: processes"))
        return each * self.topology.instances

    def entry_setting(self, name: str) -> str | None:
        """That setting of the server that clients come to, by its full name; None where it has none of that name."""
        service = self.front or self.app
        return f"{service.name}.{name}" if name in service.server.settings else None

    def unit(self) -> Unit:
        """What serves a request, as far as the app server's description says."""
        return self.app.server.unit(self.names(self.app))

    def environment(self) -> dict[str, str]:
        """The flat environment file: one description, for every runtime.

        `SERVER` and the app server's settings in capitals; the front's with `FRONT_`; the limits. Empty means
        "leave it as it is". `OWN_APP` only where there is one; `SERVER_CPUS` and `INSTRUMENT_CPUS` ("0,2") only where
        the two are pinned.
        """
        environment = {"TOPOLOGY": self.name, "LISTEN": self.listen, "INSTANCES": str(self.topology.instances)}
        environment["APP"] = BESIDE if self.own else ENTRIES[self.topology.entry]
        if self.own:
            environment["OWN_APP"] = str(self.own)
        for service in self.topology.services:
            prefix = "FRONT_" if service.name == "front" else ""
            environment[f"{prefix}SERVER"] = service.server.server
            if service.version:
                environment[f"{prefix}VERSION"] = service.version
            for name, value in self.settings[service.name].items():
                environment[f"{prefix}{name.upper()}"] = str(value).lower() if isinstance(value, bool) else str(value)
        for limit in LIMITS:
            environment[limit.upper()] = str(self.limits.get(limit, ""))
        if self.pins:
            environment["SERVER_CPUS"] = ",".join(map(str, self.pins.server))
            environment["INSTRUMENT_CPUS"] = ",".join(map(str, self.pins.instrument))
        return environment

    def asking(self, requests: int) -> Plan:
        """The same plan for so many requests."""
        return replace(self, asked=replace(self.asked, requests=requests))

    def with_setting(self, service: Service, name: str, value: SettingValue) -> Plan:
        """The same plan with that setting, as if it had been asked for."""
        settings = {**self.settings, service.name: {**self.settings[service.name], name: value}}
        asked = replace(self.asked, settings={**self.asked.settings, f"{service.name}.{name}": value})
        return replace(self, settings=settings, asked=asked)

    def demanding(self, *limits: str) -> Plan:
        """The same plan with these limits asked for by name: refused where they can't be had."""
        asked = replace(self.asked, limits={**self.asked.limits, **{name: self.limits[name] for name in limits}})
        return replace(self, asked=asked, demanded=self.demanded | set(limits))

    def on(self, cpus: int) -> Plan:
        """The same plan on a machine with so many."""
        return replace(self, cpus=cpus)

    def pinned(self, pins: Pins | None) -> Plan:
        """The same plan with server and instrument on CPUs of their own."""
        return replace(self, pins=pins)

    @property
    def server_cpus(self) -> int:
        """How many CPUs the servers may use. `cpus` stays what the machine has: that is what most servers count."""
        return len(self.pins.server) if self.pins else self.cpus

    def with_limits(self, limits: Mapping[str, SettingValue]) -> Plan:
        """The same plan with limits that the host itself fixes filled in."""
        return replace(self, limits={**self.limits, **limits})


def resolve(
    catalog: Catalog,
    name: str,
    *,
    sets: Sequence[str] = (),
    limits_name: str = "default",
    requests: int = 1000,
    route: Route = "gate",
    hold_s: float = 0.0,
    own: OwnApp | None = None,
) -> Plan:
    """A topology, a limit set and `NAME=VALUE` overrides as a plan, everything checked.

    A name is a setting (`workers`, or `front.worker_connections` where two services have one of that name)
    or a limit (`nofile`). Errors name the place, the value and what to write.
    """
    topology = catalog.topology(name)
    settings: dict[str, dict[str, SettingValue]] = {
        service.name: {
            key: service.settings.get(key, setting.default) for key, setting in service.server.settings.items()
        }
        for service in topology.services
    }
    limits = catalog.limit_sets.values(limits_name)
    asked_settings: dict[str, SettingValue] = {}
    default = catalog.limit_sets.values("default")
    asked_limits: dict[str, SettingValue] = {}
    for text in sets:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise LabError(f'--set "{text}" is not NAME=VALUE. Write, for instance, --set {_example(topology)}.')
        if key in LIMITS:
            limits[key] = asked_limits[key] = LIMITS[key].parsed(value, where=f"--set {key}")
        elif key in ("listen", "app.listen"):
            topology = _listening(topology, value)
            asked_settings["app.listen"] = value
        elif key in ("version", "app.version"):
            app, *front = topology.services
            topology = replace(topology, services=(app.of_version(value, where="--set version"), *front))
            asked_settings["app.version"] = value
        elif key in ("entry", "app.entry"):
            topology = replace(topology, entry=_one_of(value, get_args(Entry), where="--set entry"))
            asked_settings["app.entry"] = value
        elif key in ("instances", "app.instances"):
            topology = _with_instances(topology, value)
            asked_settings["app.instances"] = topology.instances
        else:
            service, setting_name, setting = _find(topology, key)
            value_parsed = setting.parsed(value, where=f"--set {key}")
            settings[service][setting_name] = value_parsed
            asked_settings[f"{service}.{setting_name}"] = value_parsed
    asked = Asked(
        requests=requests,
        settings=asked_settings,
        limits=asked_limits,
        limits_name=limits_name,
        route=route,
        hold_s=hold_s,
        app=str(own or ""),
    )
    demanded = frozenset(asked_limits) | {limit for limit in limits if limits[limit] != default.get(limit)}
    return Plan(topology, settings, limits, asked, demanded=demanded)


def _one_of(value: str, choices: tuple[str, ...], *, where: str) -> Any:
    setting = Setting(type="choice", choices=choices, default=choices[0], help="", source="")
    return setting.parsed(value, where=where)


def _listening(topology: Topology, value: str) -> Topology:
    listen: Listen = _one_of(value, get_args(Listen), where="--set listen")
    if listen == "unix" and len(topology.services) == 1:
        raise LabError(f"--set listen is unix, but {topology.name} has no front that could reach it. Write tcp.")
    return replace(topology, listen=listen)


def _with_instances(topology: Topology, value: str) -> Topology:
    setting = Setting(type="int", default=1, min=1, max=MOST_INSTANCES, help="instances of the app server", source="")
    number = setting.parsed(value, where="--set instances")
    assert isinstance(number, int)
    if number > 1 and len(topology.services) == 1:
        raise LabError(f"--set instances is {number}, but {topology.name} has no front to balance over them. Write 1.")
    if number > 1 and topology.services[1].server.inside:
        raise LabError(
            f"--set instances is {number}, but the front of {topology.name} is part of the app server's own program. "
            "Write 1."
        )
    return replace(topology, instances=number)


def _find(topology: Topology, key: str) -> tuple[str, str, Setting]:
    """The service, the bare name and the setting that a key on the command line means."""
    role, dot, bare = key.rpartition(".")
    owners = [
        service
        for service in topology.services
        if bare in service.server.settings and (not dot or service.name == role)
    ]
    if len(owners) == 1:
        return owners[0].name, bare, owners[0].server.settings[bare]
    if owners:
        names = " or ".join(f"{service.name}.{bare}" for service in owners)
        raise LabError(f'--set {key}: more than one service has a setting "{bare}". Write {names}.')
    known = {name for service in topology.services for name in service.server.settings} | set(LIMITS)
    raise LabError(f'--set {key}: {topology.name} has no setting or limit "{key}".{nearest(key, known)}')


def _example(topology: Topology) -> str:
    for service in topology.services:
        for name, setting in service.server.settings.items():
            return f"{name}={setting.default}"
    return "nofile=1024"
