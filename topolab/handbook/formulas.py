"""What server.yaml says, as Markdown: the settings, the cautions, and the formulas of the capacity model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from topolab.server import AcceptQueue, Capacity, Caution, Server, Term
from topolab.settings import Setting


def settings(server: Server) -> Iterator[str]:
    """The table of its settings, then the values with which it does not start, and those to take care with."""
    if server.settings:
        yield "| setting | default | allowed | what it is | source |\n| --- | --- | --- | --- | --- |"
        yield from (_setting(name, setting) for name, setting in server.settings.items())
        yield ""
    yield from _cautions("Refuses to start", server.refuses)
    if server.to_refuse:
        yield "With these its queues are as short as is wanted (`topolab pick --fail fast` sets them):\n"
        yield from (f"- `{name}`: `{_line(str(formula))}`" for name, formula in server.to_refuse.items())
        yield ""
    yield from _cautions("Take care", server.warnings)


def capacity(server: Server) -> Iterator[str]:
    """Where its requests stand, as formulas."""
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
