"""A sheet of paper for the picture: text and bars in pixels, written from the top down. Knows matplotlib, not runs."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from topolab.reports.looks import ALARM, INK, RULE, Look
from topolab.reports.words import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_THINNEST = 5.0  # pixels: one request of a thousand must be seen
_GAP = 1.2  # pixels of white between two places, so that a border shows where colours don't
_EM = 0.58  # mean width of a letter in ems; a little more than the common fonts', so that text never runs out


@dataclass(frozen=True, slots=True)
class Segment:
    """One place in a bar."""

    count: int
    look: Look
    name: str


class Sheet:
    """`y` is where the next thing goes; whatever is drawn moves it down."""

    def __init__(self, figure: Figure, width: int, margin: int) -> None:
        self.width = width
        self.y = 0.0
        self.names: dict[str, str] = {}  # what each segment is, by its id in the drawing
        self._figure = figure
        self._margin = margin
        self._axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self._axes.set_axis_off()

    def write(
        self,
        x: float,
        text: str,
        *,
        size: float,
        advance: float,
        bold: bool = False,
        colour: str = INK,
        width: float = 0,
    ) -> None:
        """Text from x, wrapped to `width` pixels or (0) to the edge."""
        letters = int(((width or self.width) - (0 if width else x)) / (size * _EM))
        for line in textwrap.wrap(one_line(text), max(letters, 8)) or [""]:
            # a dollar sign is a dollar sign, not mathematics
            self._axes.text(
                x,
                self.y + size,
                line,
                fontsize=size,
                color=colour,
                weight="bold" if bold else "normal",
                va="baseline",
                parse_math=False,
            )
            self.y += size * 1.3
        self.y += advance

    def legend(self, entries: Sequence[tuple[Look, str]]) -> None:
        """Swatches with names, in as many lines as needed."""
        size, x = 12.0, 0.0
        for look, name in entries:
            needed = 20 + len(name) * size * _EM + 14
            if x and x + needed > self.width:
                x, self.y = 0.0, self.y + 20
            self._fill(x, 13, 12, look)
            self._frame(x, 13, 12)
            self._axes.text(x + 19, self.y + 10.5, name, fontsize=size, color=INK, va="baseline", parse_math=False)
            x += needed
        self.y += 40 if entries else 16

    def bar(
        self, left: float, segments: Sequence[Segment], missing: int, *, height: float, alarm: bool = False
    ) -> None:
        """A stacked bar to the right edge; `missing` requests, found nowhere, stay blank at its end."""
        full = self.width - left
        widths = extents([*(segment.count for segment in segments), missing], full)
        x = left
        for segment, wide in zip(segments, widths, strict=False):
            last = segment is segments[-1] and not missing
            name = f"segment{len(self.names)}"
            self.names[name] = segment.name
            self._fill(x, wide - (0 if last else _GAP), height, segment.look, name)
            x += wide
        self._frame(left, full, height, alarm=alarm)
        self.y += height + 2

    def bracket(self, left: float, low: float, high: float) -> None:
        """Bounds under a bar, as shares of it."""
        full = self.width - left
        start, end = left + low * full + 0.5, left + high * full - 0.5
        self._axes.plot([start, start, end, end], [self.y, self.y + 5, self.y + 5, self.y], color=INK, linewidth=1.3)
        self.y += 8

    def finish(self) -> None:
        """Cuts the sheet below what was drawn."""
        wide, high = self.width + 2 * self._margin, self.y + 2 * self._margin
        self._figure.set_size_inches(wide / 72, high / 72)  # at 72 dots an inch, one unit is one pixel
        self._axes.set_xlim(-self._margin, self.width + self._margin)
        self._axes.set_ylim(self.y + self._margin, -self._margin)

    def _fill(self, x: float, wide: float, height: float, look: Look, name: str | None = None) -> None:
        bars = self._axes.barh(
            self.y, wide, height, x, align="edge", color=look.colour, edgecolor=look.line, linewidth=0, hatch=look.hatch
        )
        bars[0].set_gid(name)

    def _frame(self, x: float, wide: float, height: float, *, alarm: bool = False) -> None:
        inset = 1.0 if alarm else 0.0
        self._axes.barh(
            self.y + inset,
            wide - 2 * inset,
            height - 2 * inset,
            x + inset,
            align="edge",
            fill=False,
            edgecolor=ALARM if alarm else RULE,
            linewidth=2.2 if alarm else 0.7,
            linestyle=(0, (4, 2)) if alarm else "solid",
        )


def extents(counts: Sequence[int], full: float, thinnest: float = _THINNEST) -> list[float]:
    """Widths in proportion to the counts that add up to `full`; a count above zero gets at least `thinnest`.

    What the small ones gain, the large ones give in proportion.
    """
    small: set[int] = set()
    while True:
        space = full - thinnest * len(small)
        total = sum(count for index, count in enumerate(counts) if index not in small)
        widths = [
            thinnest if index in small else space * count / total if total else 0.0
            for index, count in enumerate(counts)
        ]
        squeezed = {index for index, count in enumerate(counts) if count and widths[index] < thinnest}
        if not squeezed:
            return widths
        small |= squeezed
