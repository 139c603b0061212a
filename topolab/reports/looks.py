"""How the places look: a colour and a hatch each, told apart in greyscale and with any colour vision.

Handlers are dark, and places get lighter the further from the handler a request stands, so that a greyscale
print still reads; failures break the order with a hatch. Blue and amber stay apart with red-green deficiency.
"""

from __future__ import annotations

from dataclasses import dataclass

from topolab.ledger import Spot


@dataclass(frozen=True, slots=True)
class Look:
    """A fill and a hatch in matplotlib's notation, with the colour of its lines."""

    colour: str
    hatch: str = ""
    line: str = "#ffffff"

    @property
    def lightness(self) -> float:
        """CIE L* of the fill, 0 black to 100 white: what is left of it in greyscale."""
        parts = [int(self.colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903.3 * luminance


LOOKS: dict[Spot, Look] = {
    ("app", "handler"): Look("#12355b"),
    ("app", "waiting"): Look("#5a98d0"),
    ("app", "accept_queue"): Look("#f6bd4f"),
    ("app", "connecting"): Look("#a8562a", "\\\\\\\\"),
    ("front", "handler"): Look("#14594f", "..."),
    ("front", "waiting"): Look("#55ab9b", "////"),
    ("front", "accept_queue"): Look("#d3e3a2", "|||", "#8fa653"),
    ("front", "connecting"): Look("#7b5a9e", "+++"),
    ("client", "unanswered"): Look("#edf0f3", "////", "#bcc5ce"),
    ("client", "refused"): Look("#8b8b8b", "----"),
    ("client", "reset"): Look("#d0604f", "xxxx"),
    ("client", "error"): Look("#9c1f37", "||||"),
    ("client", "answered"): Look("#8cc98a", "oo"),
}

INK = "#1b2733"
MUTED = "#56636f"
ALARM = "#a3142c"
RULE = "#8a949e"

# What became of requests under load. The good ones are dark; "late" came after the step that offered them.
FATES: dict[str, Look] = {
    "answered": LOOKS["app", "handler"],
    "late": LOOKS["app", "waiting"],
    "error": LOOKS["client", "error"],
    "refused": LOOKS["client", "refused"],
    "reset": LOOKS["client", "reset"],
    "closed": LOOKS["front", "connecting"],
    "timeout": LOOKS["app", "accept_queue"],
    "silence": LOOKS["client", "unanswered"],
}

# What memory, or CPU time, goes to.
PARTS: dict[str, Look] = {
    "stack": Look("#8b98a5"),
    "workers": LOOKS["app", "handler"],
    "requests": Look("#f6bd4f", "////", "#8a5a00"),
    "connections": Look("#d3e3a2", "|||", "#5f7a2a"),
    "server": LOOKS["app", "handler"],
    "instrument": Look("#d3e3a2", "|||", "#5f7a2a"),
    "measured": LOOKS["app", "handler"],
    "ceiling": Look("#c9d3dc"),
}


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line and its marks: told apart by mark and dashes as well as by colour. `size`: of the marks, pixels."""

    colour: str
    marker: str = "o"
    dashes: tuple[float, ...] = ()
    width: float = 1.8  # 0: marks only
    size: float = 6.0
    hollow: bool = False


STROKES: dict[str, Stroke] = {
    "p50": Stroke("#2b7d6f", "o", (1.2, 1.6)),
    "p90": Stroke("#3c78ae", "s", (4.5, 2)),
    "p99": Stroke("#12355b", "^", width=2.4, size=7),
    "low": Stroke("#2b7d6f", "o", (1.2, 1.6)),
    "knee": Stroke("#12355b", "^", width=2.4, size=7),
    "high": Stroke("#a8562a", "s", (4.5, 2)),
    "dead": Stroke("#1b2733", "D", width=0, hollow=True),
}
