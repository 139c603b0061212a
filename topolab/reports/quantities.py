"""Figures as text: in a unit that fits their size, and no more digits than are known."""

from __future__ import annotations

from topolab.loads import Interval

_SCALES: dict[str, tuple[tuple[float, str], ...]] = {  # the first whose factor the value reaches
    "s": ((1, "s"), (1e-3, "ms"), (0, "us")),
    "CPU s": ((1, "s"), (1e-3, "ms"), (0, "us")),
    "bytes": ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (0, "bytes")),
    "1/s": ((0, "/s"),),
    "requests": ((0, ""),),
}
_FACTORS = {"us": 1e-6, "ms": 1e-3, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def quantity(value: float, unit: str) -> str:
    """`5,120/s`, `1.23 ms`, `40.2 MiB`."""
    scale = _scale(value, unit)
    return _said(_digits(value, scale), scale)


def span(interval: Interval, unit: str) -> str:
    """`5,010 to 5,230/s`, in the unit of the median; `one repeat` where that is all there is."""
    if interval.low is None or interval.high is None:
        return "one repeat"
    scale = _scale(interval.median, unit)
    return f"{_digits(interval.low, scale)} to {_said(_digits(interval.high, scale), scale)}"


def factor(ratio: float) -> str:
    """`0.97`, `12.4`, `130`; what is beyond a thousandfold is only said to be."""
    if ratio >= 1000 or ratio < 0.001:
        return ">999" if ratio >= 1000 else "<0.001"
    if ratio < 0.1:
        return f"{ratio:.3f}"
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}" if ratio < 100 else f"{ratio:.0f}"


def factors(interval: Interval) -> str:
    """`0.95 to 1.01`."""
    if interval.low is None or interval.high is None:
        return "one repeat"
    return f"{factor(interval.low)} to {factor(interval.high)}"


def _scale(value: float, unit: str) -> str:
    return next(name for least, name in _SCALES[unit] if abs(value) >= least)


def _digits(value: float, scale: str) -> str:
    scaled = value / _FACTORS.get(scale, 1)
    size = abs(scaled)
    if scaled == round(scaled) and size < 1e6 and scale in ("", "bytes"):
        return f"{scaled:,.0f}"
    return f"{scaled:,.0f}" if size >= 100 else f"{scaled:.1f}" if size >= 10 else f"{scaled:.2f}"


def _said(digits: str, scale: str) -> str:
    return f"{digits}{scale}" if scale.startswith("/") or not scale else f"{digits} {scale}"
