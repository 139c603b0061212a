"""One page for each server: what people know of it (about.md), woven with what its model says and what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from topolab import paths
from topolab.comparison import Comparison
from topolab.facts import Facts
from topolab.handbook import about, formulas, underload
from topolab.handbook.blocks import Make
from topolab.model import predict
from topolab.plan import resolve
from topolab.reports import behaviours, markdown, words
from topolab.server import Server
from topolab.topology import Catalog, Topology

FOLDER = paths.HOME / "docs/servers"
PREDICTED_AT = (10, 100, 1000, 5000)

INDEX = """\
# The servers

One page each, and the same outline for all: what it is and what it is not, how a request passes through it, its
settings and what each really does, where requests stand, how it fails, how it dies, what to start with. Made by
`make docs` from `topologies/servers/*/` (`about.md` is what is known, `server.yaml` what the model reads) and from
the measurements in docs/.

| server | what it is | topologies |
| --- | --- | --- |
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """A server, and the topologies that show it: an app server's without a front, where it has such."""

    server: Server
    catalog: Catalog
    facts: Facts
    shown: tuple[Topology, ...]
    behind: tuple[str, ...]  # the others that it is in

    @property
    def names(self) -> list[str]:
        return [topology.name for topology in self.shown]


def index(catalog: Catalog) -> str:
    """docs/servers.md."""
    rows = [
        f"| [{server.server}](servers/{server.server}.md) | {server.summary} | {', '.join(_users(server, catalog))} |"
        for server in catalog.servers()
    ]
    return INDEX + "\n".join(rows) + "\n"


def page(server: Server, catalog: Catalog, facts: Facts) -> str:
    """docs/servers/<server>.md."""
    subject = _subject(server, catalog, facts)
    prose = about.read(server, into=FOLDER)
    blocks = [f"# {server.server}", "\n\n".join(_head(subject))]
    for heading in about.OUTLINE:
        made = "\n".join(MADE[heading](subject)).strip() if heading in MADE else ""
        if parts := [part for part in (prose.get(heading), made) if part]:
            blocks += [f"## {heading}", *parts]
    return "\n\n".join(blocks) + "\n"


def _users(server: Server, catalog: Catalog) -> list[str]:
    return [
        name
        for name in catalog.names
        if any(one.server.server == server.server for one in catalog.topology(name).services)
    ]


def _subject(server: Server, catalog: Catalog, facts: Facts) -> Subject:
    users = [catalog.topology(name) for name in _users(server, catalog)]
    alone = [topology for topology in users if len(topology.services) == 1]
    shown = users if server.role == "front" or not alone else alone
    return Subject(server, catalog, facts, tuple(shown), tuple(one.name for one in users if one not in shown))


def _head(subject: Subject) -> Iterator[str]:
    yield f"{subject.server.summary}."
    if subject.server.discouraged:
        yield f"**Not to begin with:** {subject.server.discouraged}."
    topologies = f"Topologies: {', '.join(subject.names) or 'none'}."
    behind = f" Behind a front: {', '.join(subject.behind)}." if subject.behind else ""
    also = f" Also in version {', '.join(subject.server.versions)}." if subject.server.versions else ""
    yield f"{topologies}{behind}{also}"
    if proved := subject.facts.proved(subject.names).runs:
        versions = ", ".join(f"{name} {version}" for name, version in sorted(proved[0].versions.items()))
        yield f"Measured with {versions}, in the {words.machines(Comparison(proved))[len('Measured in the ') :]}."


def _passing(subject: Subject) -> Iterator[str]:
    yield from _measured(subject, "identity", "Who serves a request, measured")


def _settings(subject: Subject) -> Iterator[str]:
    yield from formulas.settings(subject.server)
    yield from _measured(subject, "sensitivity", "What moves the ledger when it is doubled, measured")


def _ledger(subject: Subject) -> Iterator[str]:
    yield f"Predicted at several N, with the default limits and {subject.facts.host.cores} CPUs:\n"
    yield "| Topology | N | Where they stand | Bound by |\n| --- | --- | --- | --- |"
    for topology in subject.shown:
        for number in PREDICTED_AT:
            yield _predicted(subject, topology, number)
    if (proved := subject.facts.proved(subject.names)).runs:
        yield f"\nMeasured, cell by cell ([how](../method.md), [all cells](../proof.md)):\n\n{markdown.proof(proved)}"
    yield (
        "Its model. Formulas are over the settings, the limits (`nofile`, `nproc`, `pids`, `somaxconn`), `requests`, "
        "`route` and `cpus`; of several lines the smallest binds. An accept queue holds min(backlog, somaxconn) + 1.\n"
    )
    yield from formulas.capacity(subject.server)


def _predicted(subject: Subject, topology: Topology, number: int) -> str:
    plan = resolve(subject.catalog, topology.name, requests=number).on(subject.facts.host.cores)
    predicted = predict(plan, number)
    places = words.phrase(predicted.ledger, with_service=plan.front is not None)
    first = topology.name if number == PREDICTED_AT[0] else ""
    bound = (predicted.bound_by or "nothing").replace("_", "\\_")
    return f"| {first} | {number:,} | {places} | {bound} |"


def _failing(subject: Subject) -> Iterator[str]:
    yield from _measured(subject, "burst", "A burst of instant requests at an idle server, measured")
    yield from _measured(subject, "deadwork", "Clients that hang up: whose views run all the same, measured")

    yield from _under_load(subject, "More than it can do, measured", underload.overloads)


def _starting(subject: Subject) -> Iterator[str]:
    yield from _under_load(subject, "What came out, and the CPU that it took, measured", underload.costs)
    yield from _under_load(subject, "What it takes of memory, measured", underload.memory)


def _under_load(subject: Subject, title: str, made: Make) -> Iterator[str]:
    """A table of the reference campaign for these topologies, if it has any."""
    facts = subject.facts.campaign_of(subject.names)
    if (text := made(facts, subject.catalog)) != underload.UNMEASURED:
        yield f"{title} ([all of them](../picking-a-server.md)):\n"
        yield text


def _dying(subject: Subject) -> Iterator[str]:
    yield from _measured(subject, "endings", "Signals with requests in it, measured")


def _measured(subject: Subject, experiment: str, title: str) -> Iterator[str]:
    """The table of docs/behaviours for these topologies, if there is any."""
    if found := subject.facts.behaviour(experiment, subject.names):
        yield f"{title} ([what this means](../behaviours/{experiment}.md)):\n"
        yield behaviours.markdown(experiment, found)


MADE: dict[str, Callable[[Subject], Iterator[str]]] = {
    "How a request passes through it": _passing,
    "Its settings": _settings,
    "Its ledger": _ledger,
    "How it fails": _failing,
    "How it dies": _dying,
    "Settings to start with": _starting,
}
