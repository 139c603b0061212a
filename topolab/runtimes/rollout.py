"""A plan as the one variable that the playbooks of ansible/ read: what a host needs, and nothing to decide again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from topolab import listeners, paths
from topolab.errors import LabError, NotRunnable
from topolab.limits import LIMITS, LimitValue
from topolab.ownapp import ONLY_HERE
from topolab.paths import shown
from topolab.plan import Plan
from topolab.results import SettingValue
from topolab.runtimes import compose, images, venvs
from topolab.runtimes.base import Bind, bind, instances, lab_environment
from topolab.topology import MOST_INSTANCES, Catalog, Service
from topolab.yamlfile import nearest

HostRuntime = Literal["compose", "systemd"]

SPARE_S = 300.0  # a measurement that nobody takes down ends by itself this long after the last moment it could need
APART = 1001  # systemd: the services behind a front, and the gate, listen this far from the port that clients use
MOST_PORT = 65_535 - APART - MOST_INSTANCES


def rollout(
    plan: Plan, runtime: HostRuntime, *, port: int, stack: str = "", experiment: Sequence[str] = ()
) -> dict[str, Any]:
    """The variable `topolab_plan`. `stack` is its name on the host; with an experiment it is for one measurement only.

    Raises `NotRunnable` for a server whose folder is not of this repository, and for a person's own app.
    """
    if plan.own:
        raise NotRunnable(f"{plan.name}: {ONLY_HERE}.", remedy="Leave --app out.")
    for service in plan.programs:
        if not service.server.folder.is_relative_to(paths.HOME):
            raise NotRunnable(
                f"{plan.name}: hosts get files of this repository, and {shown(service.server.folder)} is outside.",
                remedy="Move the folder into topologies/servers/.",
            )
    stack = stack or plan.name
    in_pod = runtime == "compose"
    run_dir = compose.RUN_DIR if in_pod else f"/run/topolab/{stack}"
    binds = compose.binds(plan) if in_pod else _on_host(plan, port, run_dir)
    gate = compose.GATE if in_pod else f"127.0.0.1:{port + APART + MOST_INSTANCES}"
    variables = (
        compose.environment(plan, port)
        if in_pod
        else {**plan.environment(), **lab_environment(bind=binds, gate=gate, run_dir=run_dir)}
    )
    within = compose.inside(binds) if in_pod else binds
    return {
        "stack": stack,
        "topology": plan.name,
        "runtime": runtime,
        "port": port,
        "ports": [port] if in_pod else sorted({port, *_ports([*binds.apps, gate])}),
        "temporary": bool(experiment),
        "lifetime_s": int(plan.asked.hold_s + SPARE_S) if experiment else 0,
        "environment": variables,
        "limits": [
            {**limit, "value": plan.limits[limit["name"]], "demanded": limit["name"] in plan.demanded}
            for limit in _whys(Catalog(), plan.asked.limits_name, plan.asked.limits)
        ],
        "services": [
            {"name": name, "environment": own, **_server(plan, service)}
            for service in plan.programs
            for name, own in instances(plan, service, binds)
        ],
        "files": compose.files(variables) if in_pod else [],
        "scale": compose.unused(plan)[1::2] if in_pod else [],
        "release": _release(plan),
        "images": [
            {"tag": image.tag, "service": image.service, "variable": image.variable, "arguments": dict(image.arguments)}
            for image in (images.of(plan) if in_pod else ())
        ],
        "listeners": [*within.listeners(), "--gate", gate],
        "processes": plan.processes(),
        "queues": [
            {"service": queue.service, "backlog": queue.backlog, "listeners": queue.listeners}
            for queue in listeners.planned(plan)
        ],
        "experiment": list(experiment),
    }


def role_variables(rolled: Mapping[str, Any]) -> dict[str, Any]:
    """What ansible/vars/rollout.yml makes of a plan for the roles that apply it, as far as no host is needed to know.

    Limits that nobody asked for by name are left to each host.
    """
    demanded = {limit["name"]: limit for limit in rolled["limits"] if limit["demanded"]}
    raised = {f"host_limits_{name}": demanded[name]["value"] for name in ("nofile", "nproc") if name in demanded}
    sysctls = [
        {"name": limit["sysctl"], **{key: limit[key] for key in ("value", "why", "source")}}
        for limit in demanded.values()
        if limit["sysctl"]
    ]
    kernel = {"kernel_network_values": sysctls} if sysctls else {}
    return {**raised, **kernel, "stack_environment": rolled["environment"]}


def _on_host(plan: Plan, port: int, run_dir: str) -> Bind:
    inner = range(port + APART, port + APART + MOST_INSTANCES)
    return bind(plan, outer=f"127.0.0.1:{port}", run_dir=run_dir, inner=inner)


def _ports(addresses: Sequence[str]) -> set[int]:
    return {int(address.rpartition(":")[2]) for address in addresses if not address.startswith("unix:")}


def limits_of(catalog: Catalog, sets: Sequence[str], limits_name: str) -> list[dict[str, Any]]:
    """A set of limits and overrides without any topology, in the form of a plan's: all of them are asked for."""
    asked: dict[str, SettingValue] = {}
    for text in sets:
        name, _, value = text.partition("=")
        if name not in LIMITS:
            raise LabError(f'--set {text}: there is no limit "{name}".{nearest(name, LIMITS)}')
        asked[name] = LIMITS[name].parsed(value, where=f"--set {name}")
    return [{**limit, "demanded": True} for limit in _whys(catalog, limits_name, asked)]


def _whys(catalog: Catalog, limits_name: str, asked: Mapping[str, SettingValue]) -> list[dict[str, Any]]:
    """Every limit of the set with its why, and those that somebody asked for by name."""
    entries = catalog.limit_sets.entries(limits_name)
    for name, value in asked.items():
        entries[name] = LimitValue(value=value, why="Asked for by name.", source=LIMITS[name].source)
    return [
        {
            "name": name,
            "value": entry.value,
            "sysctl": (LIMITS[name].sysctl or "").replace("/", "."),
            "why": entry.why,
            "source": entry.source,
        }
        for name, entry in entries.items()
    ]


def _server(plan: Plan, service: Service) -> dict[str, Any]:
    server = service.server
    lock = venvs.lock_of(plan, service)
    return {
        "server": server.server,
        "folder": shown(server.folder),
        "venv": f"{server.server}-{_digest(lock.files)}" if lock else "",
        "requirements": [shown(file) for file in lock.files] if lock else [],
        "packages": {name: names.split() for name, names in server.packages.items()},
        "build_packages": list(server.build_packages),
        "program": server.program or "",
        "files": list(server.files),
    }


def _release(plan: Plan) -> dict[str, Any]:
    """The repository's files that a stack needs on a host."""
    files = sorted({
        *images.tree(paths.HOME / "app"),
        *images.tree(paths.COMPOSE),
        paths.HOME / ".dockerignore",
        *(file for service in plan.programs for file in images.tree(service.server.folder)),
        *images.instrument_files(),
    })  # fmt: skip
    return {"digest": _digest(files), "files": [shown(file) for file in files]}


def _digest(files: Sequence[Path]) -> str:
    """Names these files: other contents, names or modes, another digest."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{shown(file)}\0{file.stat().st_mode & 0o111}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]
