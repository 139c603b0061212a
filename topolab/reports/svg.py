"""Makes matplotlib's SVG fit to live in a page: named, without references to elsewhere, and the same every time."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
_REFERENCE = re.compile(r"url\(#([^)]+)\)|^#(.+)$")

ElementTree.register_namespace("", _SVG)
ElementTree.register_namespace("xlink", _XLINK)


def portable(drawn: str, *, prefix: str, title: str, description: str, names: dict[str, str]) -> str:
    """The SVG with a title and a description, readable fonts, and ids that are its own.

    Two such pictures can stand in one page: `prefix` keeps their ids apart, and only ids that something
    refers to are kept. An id in `names` becomes `data-place`, with a tooltip of that name.
    """
    root = ElementTree.fromstring(drawn)
    for definitions in root.findall(f"{{{_SVG}}}defs"):
        if definitions.find(f"{{{_SVG}}}style") is not None:
            root.remove(definitions)  # its rule is for `*`: inside a page, for all of the page
    root.set("style", "stroke-linejoin: round; stroke-linecap: butt")
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


def _rename(element: ElementTree.Element, used: set[str], prefix: str, names: dict[str, str]) -> None:
    own = element.get("id")
    if own in names:
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
            element.set(key, re.sub(r"(font: [^;]*?px) [^;]+", rf"\1 {_FONTS}", value))


def _describe(root: ElementTree.Element, prefix: str, title: str, description: str) -> None:
    for key in ("width", "height"):  # points; the view box is the same figure in pixels
        root.set(key, root.attrib[key].removesuffix("pt"))
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}title {prefix}desc")
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}", {"id": prefix + tag})
        element.text = text
        root.insert(position, element)
