"""A plot on a sheet: two scales, ticks, lines with marks, columns, rules. In pixels; knows matplotlib, not runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from topolab.reports.looks import ALARM, INK, MUTED, RULE, Look, Stroke
from topolab.reports.sheet import Sheet

GRID = "#e3e8ec"
_SIZE = 12.0  # pixels, of all text in a plot


@dataclass(frozen=True, slots=True)
class Scale:
    """From `low` to `high`, both included; `log` needs both above zero."""

    low: float
    high: float
    log: bool = False

    @classmethod
    def over(cls, values: Sequence[float], *, log: bool = False) -> Scale:
        """Holds all values: a logarithmic one ends at 1, 2 or 5 times a power of ten, the others begin at zero."""
        if not log:
            return cls(0.0, max(values, default=0.0) or 1.0)
        known = [value for value in values if value > 0] or [1.0]
        low = max(step for step in _steps(min(known)) if step <= min(known) * 1.001)
        high = min(step for step in _steps(max(known)) if step >= max(known) * 0.999)
        return cls(low, high if high > low else low * 10, log=True)

    def share(self, value: float) -> float:
        """Where a value lies, 0 to 1; what lies outside lies at the end."""
        if self.log:
            value = max(value, self.low)
            found = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            found = (value - self.low) / (self.high - self.low)
        return min(max(found, 0.0), 1.0)

    def ticks(self, most: int = 6) -> list[float]:
        """Round values on it: of a wide logarithmic scale the powers of ten only."""
        if not self.log:
            step = next(step for step in _steps(self.high / most) if step >= self.high / most * 0.999)
            return [step * number for number in range(math.floor(self.high / step * 1.001) + 1)]
        exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for parts in ((1, 2, 5), (1, 3), (1,)):
            found = [part * 10.0**at for at in exponents for part in parts]
            found = [tick for tick in found if self.low * 0.999 <= tick <= self.high * 1.001]
            if len(found) <= most:
                break
        return found


def _steps(value: float) -> list[float]:
    """1, 2 and 5 times the powers of ten around a value."""
    exponent = math.floor(math.log10(value))
    return [part * 10.0 ** (exponent + more) for more in (-1, 0, 1) for part in (1, 2, 5)]


@dataclass(frozen=True, slots=True)
class Point:
    """A value with its interval; `doubted` ones are drawn hollow and in the colour of alarm."""

    x: float
    y: float
    bounds: tuple[float, float] | None = None
    doubted: bool = False


class Plot:
    """A coordinate system from the sheet's `y` on, `height` pixels high; titles and tick labels included."""

    def __init__(self, sheet: Sheet, height: float, x: Scale, y: Scale, *, left: float = 56, right: float = 34) -> None:
        self.x, self.y = x, y
        self._sheet = sheet
        self._left, self._right = left, sheet.width - right
        self._top, self._bottom = sheet.y + 20, sheet.y + height - 40
        self._labels: list[tuple[float, float, str, str]] = []  # at the ends of lines: y and x, text, colour
        sheet.y += height

    def titles(self, x: str, y: str) -> None:
        """What the scales measure: y above its labels, x below its own."""
        self._write(0, self._top - 10, y, MUTED)
        if x:
            self._write(self._right, self._bottom + 34, x, MUTED, align="right")

    def ticks(self, x: Sequence[tuple[float, str]], y: Sequence[tuple[float, str]]) -> None:
        """Labels with the lines of the grid behind."""
        levels = [self._at_y(value) for value, _text in y]
        ends = [self._left, self._right, math.nan]  # one line with gaps: less to draw than many
        self._sheet.line(ends * len(levels), [at for level in levels for at in (level,) * 3], GRID, 1, order=0.5)
        for level, (_value, text) in zip(levels, y, strict=True):
            self._write(self._left - 6, level + 4, text, MUTED, align="right")
        across, down = [self._left, self._right], [self._bottom] * 2
        for value, text in x:
            at = self._at_x(value)
            across, down = [*across, math.nan, at, at], [*down, math.nan, self._bottom, self._bottom + 4]
            self._write(at, self._bottom + 17, text, MUTED, align="center")
        self._sheet.line(across, down, RULE, 1)

    def level(self, y: float, text: str) -> None:
        """A level line across the plot, with its name at its left."""
        at = self._at_y(y)
        self._sheet.line([self._left, self._right], [at, at], INK, 1.1, (5, 3))
        self._write(self._left + 4, at - 4, text, INK)

    def upright(self, x: float, text: str, *, line: int, dotted: bool = False) -> None:
        """An upright line with its name at its top, in the first (0) line of text or the next."""
        at, top = self._at_x(x), self._top + 14 * line
        self._sheet.line([at, at], [top, self._bottom], INK, 1.1, (1, 2.5) if dotted else (5, 3))
        right = at < (self._left + self._right) / 2
        self._write(at + (4 if right else -4), top + 11, text, INK, align="left" if right else "right")

    def curve(self, points: Sequence[Point], stroke: Stroke, name: str = "") -> None:
        """A line through points with their intervals; its name stands at its right end."""
        if not points:
            return
        xs, ys = [self._at_x(point.x) for point in points], [self._at_y(point.y) for point in points]
        if stroke.width:
            self._sheet.line(xs, ys, stroke.colour, stroke.width, stroke.dashes)
        for point, at in zip(points, xs, strict=True):
            if point.bounds and point.bounds[0] < point.bounds[1]:
                self._sheet.line([at, at], [self._at_y(end) for end in point.bounds], stroke.colour, 1.2)
        for doubted in (False, True):
            those = [index for index, point in enumerate(points) if point.doubted == doubted]
            edge = ALARM if doubted else stroke.colour
            fill = "#ffffff" if doubted or stroke.hollow else edge
            marked = [xs[index] for index in those], [ys[index] for index in those]
            if those:
                self._sheet.marks(*marked, stroke.marker, stroke.size + 2 * doubted, fill, edge)
        if name:  # beside the plot, unless the line ends far from there
            near = xs[-1] > self._right - 60
            self._labels.append((ys[-1], self._right + 6 if near else xs[-1] + 9, name, stroke.colour))

    def shortfall(self, point: Point, offered: float) -> None:
        """From what was achieved to what had been offered, where that is more: a thin line with an open end."""
        at, end, y = self._at_x(point.x), self._at_x(offered), self._at_y(point.y)
        if end - at > 3:
            self._sheet.line([at, end], [y, y], ALARM, 1.1, (2, 2))
            self._sheet.line([end, end], [y - 4, y + 4], ALARM, 1.4)

    def column(self, x: float, width: float, segments: Sequence[tuple[float, Look, str]]) -> None:
        """Amounts on top of one another, the first at the foot; each told when it is pointed at."""
        foot, left = 0.0, self._at_x(x) - width / 2
        for amount, look, name in segments:
            low, high = self._at_y(foot), self._at_y(foot + amount)
            if low - high > 0.3:
                self._sheet.fill(left, high, width, low - high, look, name)
            foot += amount

    def cap(self, x: float, width: float, y: float) -> None:
        """A short level line: what was offered."""
        at, height = self._at_x(x), self._at_y(y)
        self._sheet.line([at - width / 2 - 3, at + width / 2 + 3], [height, height], INK, 1.6)

    def finish(self) -> None:
        """Names the lines at their ends, moved apart where they would touch."""
        placed: list[float] = []
        for y, x, text, colour in sorted(self._labels):
            at = max(y + 4, placed[-1] + 13 if placed else 0)
            placed.append(at)
            self._write(x, at, text, colour, bold=True)

    def _at_x(self, value: float) -> float:
        return self._left + self.x.share(value) * (self._right - self._left)

    def _at_y(self, value: float) -> float:
        return self._bottom - self.y.share(value) * (self._bottom - self._top)

    def _write(self, x: float, y: float, text: str, colour: str, *, align: str = "left", bold: bool = False) -> None:
        self._sheet.put(x, y, text, size=_SIZE, colour=colour, align=align, bold=bold)
