"""Plans and stacks for a person: tables for the terminal, and the same as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from topolab import store
from topolab.errors import NotRunnable
from topolab.limits import LimitsFile
from topolab.model import ends, lines, predict
from topolab.plan import Plan
from topolab.results import to_json
from topolab.runtimes.lifecycle import StackStatus
from topolab.server import Server
from topolab.topology import AppChoice, Catalog, Topology, TopologyFile


def topologies(found: Sequence[Topology]) -> RenderableType:
    """The catalog."""
    table = Table(box=None, pad_edge=False)
    table.add_column("TOPOLOGY", no_wrap=True)
    table.add_column("WHAT IT IS")
    for topology in found:
        table.add_row(Text(topology.name), Text(topology.summary))
    return table


def plan(resolved: Plan) -> RenderableType:
    """Every setting and limit with its value and help, then what the model predicts."""
    table = Table(box=None, pad_edge=False)
    for heading in ("SETTING", "VALUE", "WHAT IT IS"):
        table.add_column(heading, no_wrap=heading == "SETTING")
    for service in resolved.topology.services:
        for name, setting in service.server.settings.items():
            value = resolved.settings[service.name][name]
            table.add_row(Text(f"{service.name}.{name}"), Text(_value(value)), Text(setting.help))
    if resolved.own:
        table.add_row(Text("app"), Text(str(resolved.own)), Text("your own app, below /own of the lab's"))
    for limit, number in resolved.limits.items():
        table.add_row(Text(limit), Text(str(number)), Text("limit"))
    return Group(Text(f"{resolved.name}: {resolved.topology.summary}\n"), table, Text(""), _prediction(resolved))


def _prediction(resolved: Plan) -> RenderableType:
    requests = resolved.asked.requests
    predicted = predict(resolved, requests)
    table = Table(box=None, pad_edge=False)
    table.add_column(f"PREDICTED FOR {requests:,} REQUESTS")
    table.add_column("COUNT", justify="right")
    for place in predicted.places:
        bounds = f" ({place.at_least} to {place.at_most})" if place.at_least is not None else ""
        table.add_row(Text(f"{place.service} {place.place.replace('_', ' ')}"), Text(f"{place.count:,}{bounds}"))
    order = [f"{line.bound_by} at {line.at:,.0f}" for line in lines(resolved, requests) if not math.isinf(line.at)]
    text = f"bound by {predicted.bound_by}" if predicted.bound_by else "nothing binds: every request is in a handler"
    places = [
        f"{service} {place.replace('_', ' ')}: up to {'any number' if math.isinf(at) else f'{at:,.0f}'} ({line})"
        for (service, place), at, line in ends(resolved, requests)
    ]
    notes = [text, f"limits on handlers, the first to bind first: {', '.join(order) or 'none'}", *places]
    notes += [reason for reason in (predicted.because, predicted.may_fail) if reason]
    return Group(table, Text("\n" + "\n".join(notes)))


def refusal(resolved: Plan) -> str | None:
    """Why a server would not start with these settings and limits; None where all would."""
    try:
        resolved.require_startable()
    except NotRunnable as error:
        return str(error)
    return None


def as_json(resolved: Plan) -> dict[str, Any]:
    """A plan with its prediction; `refused` only where a server would not start with it."""
    refused = refusal(resolved)
    return {
        "topology": resolved.name,
        "summary": resolved.topology.summary,
        "plan": resolved.environment(),
        "asked": to_json(resolved.asked),
        "predicted": to_json(predict(resolved, resolved.asked.requests)),
        **({"refused": refused} if refused else {}),
    }


def stacks(found: Sequence[StackStatus]) -> RenderableType:
    """What is up."""
    table = Table(box=None, pad_edge=False)
    for heading in ("STACK", "RUNTIME", "ADDRESS", "SINCE", "SERVICES"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "ADDRESS")
    for stack in found:
        record = stack.record
        services = ", ".join(f"{name} {how}" for name, how in stack.services.items())
        table.add_row(*(Text(cell) for cell in (
            record.name, record.runtime, f"http://127.0.0.1:{record.port}/", record.started, services,
        )))  # fmt: skip
    return table


def stack_as_json(stack: StackStatus) -> dict[str, Any]:
    """One stack of `status --json`."""
    record = stack.record
    return {
        "stack": record.name,
        "topology": record.topology,
        "runtime": record.runtime,
        "port": record.port,
        "since": record.started,
        "temporary": record.temporary,
        "running": stack.running,
        "services": dict(stack.services),
        "plan": record.plan,
    }


def schema(what: str, catalog: Catalog) -> dict[str, Any]:
    """The published JSON Schemas; a topology's knows every server's settings, for editors to offer."""
    if what == "run":
        return store.schema()
    if what == "campaign":
        return store.campaign_schema()
    models: dict[str, type[BaseModel]] = {"topology": TopologyFile, "server": Server, "limits": LimitsFile}
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **models[what].model_json_schema()}
    if what == "topology":
        servers = catalog.servers()
        apps = [_choice(server, app=True) for server in servers if server.role == "app"]
        fronts = [_choice(server, app=False) for server in servers if server.role == "front"]
        document["properties"] |= {"app": {"oneOf": apps}, "front": {"oneOf": fronts}}
        for general in ("AppChoice", "FrontChoice"):
            del document["$defs"][general]
    return document


def _choice(server: Server, *, app: bool) -> dict[str, Any]:
    """One server with its settings, as a topology may choose them."""
    properties: dict[str, Any] = {"server": {"const": server.server, "description": server.summary}}
    if app:
        for name in ("listen", "entry", "instances"):
            properties[name] = AppChoice.model_json_schema()["properties"][name]
        if server.versions:
            properties["version"] = {"enum": list(server.versions), "description": "another release, of its own lock"}
    for name, setting in server.settings.items():
        kinds: dict[str, dict[str, Any]] = {
            "int": {"type": "integer", "minimum": setting.min, "maximum": setting.max},
            "bool": {"type": "boolean"},
            "choice": {"enum": list(setting.choices)},
            "str": {"type": "string"},
            "range": {"type": "string", "pattern": "^[0-9]+ +[0-9]+$"},
        }
        kind = {key: value for key, value in kinds[setting.type].items() if value is not None}
        properties[name] = {**kind, "default": setting.default, "description": setting.help}
    return {"type": "object", "properties": properties, "required": ["server"], "additionalProperties": False}


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
