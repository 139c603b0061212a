"""A sheet of paper for pictures: text and bars in pixels, written from the top down. Knows matplotlib, not runs."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from topolab.reports.looks import ALARM, INK, RULE, Look
from topolab.reports.words import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Dashes = tuple[float, ...]
_THINNEST = 5.0  # pixels: one request of a thousand must be seen
_GAP = 1.2  # pixels of white between two places, so that a border shows where colours don't
_EM = 0.58  # mean width of a letter in ems; a little more than the common fonts', so that text never runs out


@dataclass(frozen=True, slots=True)
class Segment:
    """One place in a bar."""

    count: float
    look: Look
    name: str


class Sheet:
    """`y` is where the next thing goes; whatever is written or drawn as a bar moves it down.

    Everything lies on the figure itself: axes of matplotlib's would take longer to make than all that is drawn here.
    """

    def __init__(self, figure: Figure, width: int, margin: int, *, above: int | None = None) -> None:
        """`margin` in pixels is at each side; `above` and below it may be another."""
        from matplotlib.transforms import Affine2D

        self.width = width
        self.y = 0.0
        self.names: dict[str, str] = {}  # what each segment is, by its id in the drawing
        self._figure = figure
        self._margin = margin
        self._above = margin if above is None else above
        self._place = Affine2D()  # from pixels downwards to matplotlib's upwards, once the height is known

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
            self.put(x, self.y + size, line, size=size, colour=colour, bold=bold)
            self.y += size * 1.3
        self.y += advance

    def put(
        self, x: float, y: float, text: str, *, size: float, colour: str = INK, bold: bool = False, align: str = "left"
    ) -> None:
        """One line of text on the base line y, beginning, centred or ending at x; nothing moves."""
        self._figure.text(
            x, y, one_line(text), fontsize=size, color=colour, weight="bold" if bold else "normal", ha=align,
            va="baseline", transform=self._place, parse_math=False,  # a dollar sign is a dollar sign, not mathematics
        )  # fmt: skip

    def line(
        self, x: Sequence[float], y: Sequence[float], colour: str, width: float, dashes: Dashes = (), order: float = 2
    ) -> None:
        """A line through points; what has a higher order lies above."""
        self._add(
            x, y, color=colour, linewidth=width, linestyle=(0, dashes) if dashes else "-", zorder=order,
            solid_capstyle="butt",
        )  # fmt: skip

    def marks(self, x: Sequence[float], y: Sequence[float], marker: str, size: float, fill: str, edge: str) -> None:
        """Marks at points, in matplotlib's notation; those that are not filled with their edge's colour are hollow."""
        self._add(
            x, y, linestyle="none", marker=marker, markersize=size, markerfacecolor=fill,
            markeredgecolor=edge, markeredgewidth=0.5 if fill == edge else 2,
        )  # fmt: skip

    def legend(self, entries: Sequence[tuple[Look, str]]) -> None:
        """Swatches with names, in as many lines as needed."""
        size, x = 12.0, 0.0
        for look, name in entries:
            needed = 20 + len(name) * size * _EM + 14
            if x and x + needed > self.width:
                x, self.y = 0.0, self.y + 20
            self.fill(x, self.y, 13, 12, look)
            self._frame(x, 13, 12)
            self.put(x + 19, self.y + 10.5, name, size=size)
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
            self.fill(x, self.y, wide - (0 if last else _GAP), height, segment.look, segment.name)
            x += wide
        self._frame(left, full, height, alarm=alarm)
        self.y += height + 2

    def lengths(self, segments: Sequence[Segment], most: float, *, height: float) -> None:
        """A stacked bar of which `most` would be as wide as the sheet; the smallest amount can still be seen."""
        x = 0.0
        for segment in segments:
            wide = max(self.width * segment.count / most, 1.5) if segment.count > 0 else 0.0
            if wide:
                self.fill(x, self.y, wide, height, segment.look, segment.name)
            x += wide
        self.y += height + 2

    def whisker(self, low: float, high: float, most: float, *, above: float) -> None:
        """An interval on the bar that was drawn last, `above` pixels over the end of it."""
        start, end, y = self.width * low / most, self.width * high / most, self.y - above
        if end - start >= 1:
            x, heights = [start, start, start, end, end, end], [y - 4, y + 4, y, y, y - 4, y + 4]
            self.line(x, heights, "#ffffff", 4.0)  # white around it: seen on dark and on white
            self.line(x, heights, INK, 1.4)

    def bracket(self, left: float, low: float, high: float) -> None:
        """Bounds under a bar, as shares of it."""
        full = self.width - left
        start, end = left + low * full + 0.5, left + high * full - 0.5
        self.line([start, start, end, end], [self.y, self.y + 5, self.y + 5, self.y], INK, 1.3)
        self.y += 8

    def finish(self) -> None:
        """Cuts the sheet below what was drawn."""
        wide, high = self.width + 2 * self._margin, self.y + 2 * self._above
        self._figure.set_size_inches(wide / 72, high / 72)  # at 72 dots an inch, one unit is one pixel
        self._place.scale(1, -1).translate(self._margin, high - self._above)

    def fill(self, x: float, y: float, wide: float, height: float, look: Look, name: str = "") -> None:
        """A filled box; a name is told when it is pointed at."""
        own = f"segment{len(self.names)}"
        if name:
            self.names[own] = name
        self._box(
            x, y, wide, height, facecolor=look.colour, edgecolor=look.line, linewidth=0, hatch=look.hatch,
            gid=own if name else None,
        )  # fmt: skip

    def _frame(self, x: float, wide: float, height: float, *, alarm: bool = False) -> None:
        inset = 1.0 if alarm else 0.0
        self._box(
            x + inset, self.y + inset, wide - 2 * inset, height - 2 * inset, fill=False,
            edgecolor=ALARM if alarm else RULE, linewidth=2.2 if alarm else 0.7,
            linestyle=(0, (4, 2)) if alarm else "solid",
        )  # fmt: skip

    def _box(self, x: float, y: float, wide: float, height: float, **look: Any) -> None:
        from matplotlib.patches import Rectangle

        self._figure.add_artist(Rectangle((x, y), wide, height, transform=self._place, **look))

    def _add(self, x: Sequence[float], y: Sequence[float], **look: Any) -> None:
        from matplotlib.lines import Line2D

        self._figure.add_artist(Line2D(x, y, transform=self._place, **look))


def extents(counts: Sequence[float], full: float, thinnest: float = _THINNEST) -> list[float]:
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
