"""Makes matplotlib's SVG fit to live in a page: named, without references to elsewhere, and the same every time."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Paint = Callable[["Figure"], Mapping[str, str]]

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
_LONG = re.compile(r"(\d\.\d\d)\d+")
_SAID = re.compile(r"font-family: [^;]+; |; text-anchor: start")  # by the drawing as a whole, or by default
_REFERENCE = re.compile(r"url\(#([^)]+)\)|^#(.+)$")

ElementTree.register_namespace("", _SVG)
ElementTree.register_namespace("xlink", _XLINK)


def drawing(paint: Paint, *, prefix: str, title: str, description: str) -> str:
    """What `paint` draws on a figure of 72 dots an inch, as one SVG element. The same strokes give the same text.

    `paint` gives the names of what it drew, by id (`portable`); the text of title and description is one line each.
    """
    # matplotlib takes a second to import: only those who draw pay
    import matplotlib
    from matplotlib.figure import Figure

    # text stays text; the salt makes ids that are the same each time
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "topolab", "hatch.linewidth": 1.1}):
        figure = Figure(dpi=72, facecolor="white")  # one point is one pixel
        names = paint(figure)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return portable(drawn.getvalue(), prefix=prefix, title=title, description=description, names=names)


def portable(drawn: str, *, prefix: str, title: str, description: str, names: Mapping[str, str]) -> str:
    """The SVG with a title and a description, readable fonts, and ids that are its own.

    Two such pictures can stand in one page: `prefix` keeps their ids apart, and only ids that something
    refers to are kept. An id in `names` becomes `data-place`, with a tooltip of that name.
    """
    root = ElementTree.fromstring(drawn)
    for definitions in root.findall(f"{{{_SVG}}}defs"):
        if definitions.find(f"{{{_SVG}}}style") is not None:
            root.remove(definitions)  # its rule is for `*`: inside a page, for all of the page
    root.set("style", f"stroke-linejoin: round; stroke-linecap: butt; font-family: {_FONTS}")
    _slim(root)
    used = {
        match[1] or match[2]
        for element in root.iter()
        for value in element.attrib.values()
        for match in _REFERENCE.finditer(value)
    }
    for element in root.iter():
        _rename(element, used, prefix, names)
    _describe(root, prefix, title, description)
    # attributes keep their order, and a picture is drawn the same each time: so is its text
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _slim(root: ElementTree.Element) -> None:
    """Leaves out what nobody sees: more than two decimals, white space, clipping (all is drawn within the sheet)."""
    for definitions in root.findall(f".//{{{_SVG}}}defs"):
        for clip in definitions.findall(f"{{{_SVG}}}clipPath"):
            definitions.remove(clip)
    for element in root.iter():
        element.attrib.pop("clip-path", None)
        if element.get("transform", "").startswith("rotate(-0 "):
            del element.attrib["transform"]
        for key in ("d", "x", "y", "transform"):
            if value := element.get(key):
                element.set(key, " ".join(_LONG.sub(r"\1", value).split()))
        if element.tag != f"{{{_SVG}}}text":
            element.text = None
        element.tail = "\n" if element in root else None


def _rename(element: ElementTree.Element, used: set[str], prefix: str, names: Mapping[str, str]) -> None:
    own = element.get("id")
    if own and own in names:
        element.set("data-place", names[own])
        tooltip = ElementTree.Element(f"{{{_SVG}}}title")
        tooltip.text = names[own]
        element.insert(0, tooltip)
    if own and own not in used:
        del element.attrib["id"]
    for key, value in element.attrib.items():
        if key == "id":
            element.set(key, prefix + value)
        elif key == f"{{{_XLINK}}}href":
            element.set(key, "#" + prefix + value.removeprefix("#"))
        elif "url(#" in value:
            element.set(key, value.replace("url(#", f"url(#{prefix}"))
        elif key == "style" and element.tag == f"{{{_SVG}}}text":
            element.set(key, _SAID.sub("", value))


def _describe(root: ElementTree.Element, prefix: str, title: str, description: str) -> None:
    for key in ("width", "height"):  # points; the view box is the same figure in pixels
        root.set(key, root.attrib[key].removesuffix("pt"))
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}title {prefix}desc")
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}", {"id": prefix + tag})
        element.text = text
        root.insert(position, element)
