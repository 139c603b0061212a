"""A comparison as one HTML file that needs nothing else: no network, no second file, and no script to be read."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from topolab.comparison import Comparison
from topolab.loads import LoadRun
from topolab.reports import picture, words
from topolab.reports.looks import LOOKS, Look
from topolab.reports.sections import honesty
from topolab.reports.sections.contents import at_a_glance, sections
from topolab.reports.sections.doubts import Doubts
from topolab.reports.sections.origin import origins
from topolab.reports.sections.shape import Section

_WEB = Path(__file__).parent / "web"


def page(comparison: Comparison) -> str:
    """The whole page: at a glance, the ledger, a section for each other experiment, doubts, and how to repeat it.

    All text from runs is escaped; a policy in the page forbids it to load anything, and to execute anything but the
    page's own script, by its hash.
    """
    doubts = Doubts(comparison)
    glance, found = at_a_glance(comparison, doubts), sections(comparison, doubts)
    own, script = honesty.section(comparison, doubts), (_WEB / "page.js").read_text()
    strips = _strips(comparison)
    template = _environment().get_template("page.html.jinja")
    return template.render(
        comparison=comparison,
        contents=_contents(comparison, doubts, [glance, *found, own], ledger=bool(strips)),
        doubts=doubts,
        glance=glance,
        honesty=own,
        hosts=words.hosts(comparison),
        lead=_lead(comparison),
        origins=origins(comparison),
        places=_places(comparison),
        runs=len(comparison.measured) + len(comparison.claims),
        script=Markup(script),
        script_hash=Markup(_hash(script)),
        sections=found,
        several=len({run.experiment for run in comparison.measured}) > 1,
        strips=strips,
        style=Markup((_WEB / "page.css").read_text()),
        title=_title(comparison, found),
        words=words,
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_WEB),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_printable,
    )
    environment.filters |= {"fill": fill, "drawing": Markup}  # our own drawings are escaped by ElementTree
    return environment


def _printable(value: Any) -> Any:
    """What is put into the page: without control codes, and with thousands told apart."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return words.number(value)
    return words.clean(value) if isinstance(value, str) else value


def _hash(script: str) -> str:
    """As a content security policy names a script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _title(comparison: Comparison, found: tuple[Section, ...]) -> str:
    kinds = len({run.experiment for run in comparison.measured}) + bool(comparison.claims) + bool(comparison.changes)
    if not found:
        return words.title(comparison)
    return found[0].title if kinds == 1 else f"One Flask app, {_ways(comparison)} of serving it"


def _lead(comparison: Comparison) -> str:
    """What the page shows, and what it does not."""
    requests, loads = words.requests(comparison), bool(comparison.of(LoadRun))
    many = "Many" if requests is None else words.number(requests)
    parts = [f"One Flask app, behind {_ways(comparison)} of serving it."] if comparison.measured else []
    if comparison.runs:
        parts.append(
            f"{many} requests are opened, paced, and every handler blocks until all are at rest: this page shows where "
            "each request stood, predicted from the server's settings and measured on a real machine."
        )
    if loads:
        parts.append(
            f"{'Then load' if comparison.runs else 'Load'} is offered, at fixed rates and beyond what can be served: "
            "what came out, how long it took, what it cost, what became of the rest. Every number carries its doubt."
        )
    if comparison.claims:
        parts.append("What well-known articles found is measured again, with the releases of today.")
    if comparison.changes:
        baseline = comparison.campaign.baseline if comparison.campaign else None
        beside = f"Each figure stands beside that of {baseline}" if baseline else "Two measurements stand side by side"
        parts.append(f"{beside}: what is better, what worse, and what neither.")
    speedless = comparison.runs and not loads
    parts.append(f"It does not rank frameworks{', and it says nothing about speed' if speedless else ''}.")
    return " ".join(parts)


def _ways(comparison: Comparison) -> str:
    ways = len({(run.topology, words.changed(run)) for run in comparison.measured})
    return "one way" if ways == 1 else f"{ways} ways"


def _strips(comparison: Comparison) -> list[tuple[str, str, str]]:
    """The ledger's picture in pieces that the filter can hide: topology, and the drawing for two widths."""
    entries = picture.entries(comparison)
    if not entries:
        return []
    key = [("", picture.key(comparison, "wide"), picture.key(comparison, "narrow"))] if comparison.runs else []
    return key + [
        (
            entry.topology,
            picture.strip(entry, comparison, "wide", str(number)),
            picture.strip(entry, comparison, "narrow", str(number)),
        )
        for number, entry in enumerate(entries)
    ]


def _contents(
    comparison: Comparison, doubts: Doubts, found: list[Section | None], *, ledger: bool
) -> list[tuple[str, str]]:
    """Place and short name of each section, in the page's order."""
    glance, *others, own = [(section.name, section.short) if section else None for section in found]
    entries = [
        glance,
        ("ledger", "Ledger") if ledger else None,
        *others,
        ("findings", "Doubts") if doubts.entries else None,
        ("not-run", "Not run") if comparison.not_run else None,
        ("again", "Do it again") if comparison.measured else None,
        ("machine", "Machine") if comparison.measured or comparison.claims else None,
        ("honesty", "Counting") if comparison.runs else None,
        own,
    ]
    return [entry for entry in entries if entry]


def _places(comparison: Comparison) -> list[tuple[Look, str, str]]:
    """Look, name and meaning of each place that occurs."""
    spots = words.spots(comparison)
    with_service = any(service == "front" for service, _ in spots)
    return [
        (LOOKS[spot], words.place_name(spot, with_service=with_service), words.meaning(spot, with_service=with_service))
        for spot in spots
    ]


_ANGLES = {"/": (135,), "\\": (45,), "-": (0,), "|": (90,), "x": (45, 135), "+": (0, 90)}  # degrees, for CSS


def fill(look: Look) -> str:
    """A look as a CSS background: the picture's colour, and its hatch as good as CSS can."""
    mark = look.hatch[:1]
    lines = [f"repeating-linear-gradient({a}deg, {look.line} 0 1.2px, #0000 1.2px 4px)" for a in _ANGLES.get(mark, ())]
    dots = [f"radial-gradient({look.line} 28%, #0000 34%) 0 0 / 4px 4px"] if mark in ("o", ".") else []
    return ", ".join([*lines, *dots, look.colour])
