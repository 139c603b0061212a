"""A comparison as one HTML file that needs nothing else: no network, no script, no second file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from topolab.reports import words
from topolab.reports.looks import LOOKS, Look
from topolab.reports.picture import svg
from topolab.results import Comparison

_TEMPLATE = "page.html.jinja"


def page(comparison: Comparison) -> str:
    """The whole page: the picture twice (one for a phone's width), the table, findings, and all it takes to repeat it.

    All text from runs is escaped; a policy in the page forbids it to load or execute anything.
    """
    template = _environment().get_template(_TEMPLATE)
    return template.render(
        comparison=comparison,
        title=words.title(comparison),
        requests=words.requests(comparison),
        hosts=words.hosts(comparison),
        places=_places(comparison),
        ways=len({(run.topology, words.changed(run)) for run in comparison.runs}),
        words=words,
        wide=Markup(svg(comparison, "wide", titled=False)),  # our own drawing, escaped by ElementTree
        narrow=Markup(svg(comparison, "narrow", titled=False)),
    )


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_printable,
    )


def _printable(value: Any) -> Any:
    """What is put into the page: without control codes, and with thousands told apart."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return words.number(value)
    return words.clean(value) if isinstance(value, str) else value


def _places(comparison: Comparison) -> list[tuple[str, str, str]]:
    """Fill (CSS), name and meaning of each place that occurs."""
    spots = words.spots(comparison)
    with_service = any(service == "front" for service, _ in spots)
    return [
        (
            _fill(LOOKS[spot]),
            words.place_name(spot, with_service=with_service),
            words.meaning(spot, with_service=with_service),
        )
        for spot in spots
    ]


_ANGLES = {"/": (135,), "\\": (45,), "-": (0,), "|": (90,), "x": (45, 135), "+": (0, 90)}  # degrees, for CSS


def _fill(look: Look) -> str:
    """The look of a place as a CSS background: the picture's colour, and its hatch as good as CSS can."""
    mark = look.hatch[:1]
    lines = [f"repeating-linear-gradient({a}deg, {look.line} 0 1.2px, #0000 1.2px 4px)" for a in _ANGLES.get(mark, ())]
    dots = [f"radial-gradient({look.line} 28%, #0000 34%) 0 0 / 4px 4px"] if mark in ("o", ".") else []
    return ", ".join([*lines, *dots, look.colour])
