"""The pages that are made: what is known of every server, from the files that the model reads; and the roles'."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from topolab import paths, rolebook
from topolab.server import AcceptQueue, Capacity, Caution, Server, Term
from topolab.settings import Setting
from topolab.topology import Catalog

HEAD = """\
# Every server: its settings, and where its requests stand

Made by `make docs` from `topologies/servers/*/server.yaml`, which also hold the why of each line in their comments.
Formulas are over the settings, the limits (`nofile`, `nproc`, `pids`, `somaxconn`), `requests`, `route` and `cpus`; of
several lines the smallest binds. An accept queue holds min(backlog, somaxconn) + 1. That the formulas hold is
[proved](proof.md).
"""


def pages(catalog: Catalog) -> dict[Path, str]:
    """Every page that is made, by its place."""
    roles = sorted(path.parent.parent for path in (paths.HOME / "ansible/roles").glob("*/meta/argument_specs.yml"))
    return {
        paths.HOME / "docs/servers.md": servers(catalog),
        **{role / "README.md": rolebook.readme(role) for role in roles},
    }


def servers(catalog: Catalog) -> str:
    """docs/servers.md."""
    users: dict[str, list[str]] = {}
    for name in catalog.names:
        for service in catalog.topology(name).services:
            users.setdefault(service.server.server, []).append(name)
    sections = ["\n".join(_server(server, users.get(server.server, []))) for server in catalog.servers()]
    return "\n".join([HEAD, *sections])


def _server(server: Server, topologies: list[str]) -> Iterator[str]:
    yield f"## {server.server}\n"
    yield f"{server.summary}. Topologies: {', '.join(topologies) or 'none'}.\n"
    if server.settings:
        yield "| setting | default | allowed | what it is | source |\n| --- | --- | --- | --- | --- |"
        yield from (_setting(name, setting) for name, setting in server.settings.items())
        yield ""
    yield from _cautions("Refuses to start", server.refuses)
    yield from _cautions("Take care", server.warnings)
    for variant in server.capacity:
        yield from _capacity(variant)
    if server.front:
        yield "Admits, as a front:\n"
        yield from _terms("admits", server.front.admits)
        yield _queue(server.front.accept_queue)
        yield f"- beyond that: {_place(server.front.beyond)}"
        for listen, place in server.front.when_app_full.items():
            yield f"- when the app is full, over {listen}: {_place(place)}"
        yield ""


def _setting(name: str, setting: Setting) -> str:
    default = str(setting.default).lower() if isinstance(setting.default, bool) else setting.default
    cells = (f"`{name}`", default, setting.expected(), setting.help, setting.source)
    return f"| {' | '.join(_cell(str(cell)) for cell in cells)} |"


def _capacity(variant: Capacity) -> Iterator[str]:
    yield f"Where requests stand{f', when `{_line(str(variant.when))}`' if variant.when is not True else ''}:\n"
    yield from _terms("handler", variant.handler)
    yield from _terms("waiting", variant.waiting)
    yield _queue(variant.accept_queue)
    yield f"- beyond that: {_place(variant.overflow)}"
    if variant.independent != 1:
        yield f"- `{variant.independent}` listeners, each with its own share and queue"
    if variant.random:
        least, most = variant.random.handler_at_least, variant.random.waiting_at_most
        bounds = [f"at least `{_line(str(least))}` in handlers"] if least is not None else []
        bounds += [f"at most `{_line(str(most))}` waiting"] if most is not None else []
        yield f"- random: {', '.join(bounds)}. {_line(variant.random.because)}"
    yield ""


def _terms(place: str, terms: Iterable[Term]) -> Iterator[str]:
    for term in terms:
        condition = f" when `{_line(str(term.when))}`" if term.when is not True else ""
        ways = (("then", term.then), ("some of it", term.races), ("all that it held", term.kills))
        rest = "".join(f"; {what}: {_place(where)}" for what, where in ways if where)
        because = f" {_line(term.because)}" if term.because else ""
        yield f"- {place}: `{_line(str(term.count))}`{condition} ({term.bound_by}){rest}. {term.source}.{because}"


def _queue(queue: AcceptQueue) -> str:
    number = "" if queue.queues == 1 else f", `{_line(str(queue.queues))}` of them"
    return f"- accept queue: backlog `{queue.backlog}`{number}. {queue.source}."


def _cautions(head: str, cautions: Iterable[Caution]) -> Iterator[str]:
    lines = [f"- `{_line(str(caution.when))}`: {_line(caution.message)}" for caution in cautions]
    if lines:
        yield f"{head}:\n"
        yield from lines
        yield ""


def _place(place: str) -> str:
    return place.replace("_", " ")


def _line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")
