"""What is offered under load, as one types it: work (`io:20`, `mixed:20+5`, `json:1024`), rates (`200`, `0.6x`)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import get_args

from topolab.errors import LabError
from topolab.loads import Work, WorkName

# What each work is told by its numbers, and what they are where nobody says.
DEFAULTS: dict[WorkName, Work] = {
    "greeting": Work(),
    "io": Work("io", io_ms=20.0),
    "cpu": Work("cpu", cpu_ms=5.0),
    "mixed": Work("mixed", io_ms=20.0, cpu_ms=2.0),
    "json": Work("json", size=1024),
    "large": Work("large", size=1 << 20),
    "static": Work("static", size=1 << 16),
    "front-static": Work("front-static", size=1 << 16),
    "path": Work("path", path="/"),
}
MOST_IO_MS, MOST_CPU_MS = 60_000.0, 10_000.0  # the app's own bounds (app/work.py, app/lab.py)
MOST_BYTES: dict[WorkName, int] = {
    "json": 1 << 20, "large": 16 << 20, "static": 1 << 20, "front-static": 1 << 20,
}  # fmt: skip
MOST_RATE = 1_000_000.0
PATH = r"/[A-Za-z0-9._~!$&'()*+;=:@%/?-]{0,2000}"  # RFC 3986, but for the comma, which stands between two kinds of work
EXAMPLES = "greeting, io:20 (ms), cpu:5 (ms), mixed:20+5 (ms), json:1024 (bytes), large:1048576, static:65536"
EXAMPLES_OF_OWN = "path:/products?page=2"


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests per second; or so many times the ceiling, which is known only when it is measured."""

    value: float
    of_ceiling: bool = False

    def per_second(self, ceiling: float) -> float:
        """Times the ceiling: to two digits, as the ceiling is not known any better."""
        if not self.of_ceiling:
            return self.value
        exact = self.value * ceiling
        return round(exact, 1 - math.floor(math.log10(exact)))

    def __str__(self) -> str:
        return f"{self.value:g} of the ceiling" if self.of_ceiling else f"{self.value:g}/s"

    @property
    def typed(self) -> str:
        return f"{self.value:g}{'x' if self.of_ceiling else ''}"


def rate(text: str) -> Rate:
    """`200` or `0.6x`. `LabError` for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)(x?)", text.strip())
    value = float(found[1]) if found else 0.0
    if not found or not 0 < value <= MOST_RATE:
        raise LabError(f'"{text}" is no rate. Write requests per second (200), or times the ceiling (0.6x).')
    return Rate(value, of_ceiling=bool(found[2]))


def work(text: str) -> Work:
    """A work, with its numbers or without. `LabError` for anything else."""
    name, colon, numbers = text.strip().partition(":")
    if name not in DEFAULTS:
        raise LabError(f'"{text}" is no work. There are {", ".join(get_args(WorkName))}: {EXAMPLES}.')
    known = DEFAULTS[name]
    if colon and name == "path":
        return replace(known, path=_path(numbers, text))
    return _with_numbers(known, numbers, text) if colon else known


def typed(it: Work) -> str:
    """The text that gives this work."""
    if it.name == "greeting":
        return "greeting"
    if it.name == "path":
        return f"path:{it.path}"
    if it.name == "mixed":
        return f"mixed:{it.io_ms:g}+{it.cpu_ms:g}"
    return f"{it.name}:{it.size}" if it.size else f"{it.name}:{it.io_ms or it.cpu_ms:g}"


def _path(given: str, text: str) -> str:
    if not re.fullmatch(PATH, given):
        raise LabError(
            f'"{text}": "{given}" is no path of a URL. Write it from its first slash, what is special as %2C: '
            f"{EXAMPLES_OF_OWN}."
        )
    return given


def _with_numbers(known: Work, numbers: str, text: str) -> Work:
    names = [name for name in ("io_ms", "cpu_ms", "size") if getattr(known, name)]
    given = numbers.split("+")
    if not names:
        raise LabError(f'"{text}": {known.name} takes no number. Write {known.name}.')
    if len(given) != len(names):
        needs = "one number" if len(names) == 1 else "two numbers"
        raise LabError(f'"{text}": {known.name} takes {needs}. Write {typed(known)}.')
    values = {name: _number(name, each, known, text) for name, each in zip(names, given, strict=True)}
    return replace(known, **values)  # type: ignore[arg-type]


def _number(name: str, given: str, known: Work, text: str) -> float:
    most = {"io_ms": MOST_IO_MS, "cpu_ms": MOST_CPU_MS}.get(name, MOST_BYTES.get(known.name, 0))
    whole = name == "size"
    if re.fullmatch(r"\d+" if whole else r"\d+(\.\d+)?|\.\d+", given) and 0 < float(given) <= most:
        return int(given) if whole else float(given)
    wanted = f"a whole number of bytes, {most:,} at most" if whole else f"milliseconds, {most:,.0f} at most"
    raise LabError(f'"{text}": "{given}" is not {wanted}. Write {typed(known)}.')
