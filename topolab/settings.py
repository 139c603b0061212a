"""One knob of a server: its type, bounds, default, and how a value is read and checked."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from topolab.errors import LabError
from topolab.results import SettingValue

_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def shortened(text: str, most: int = 80) -> str:
    """A text for an error's line: what a person wrote may be of any length."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


class Strict(BaseModel):
    """What every YAML file of the lab is read into: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Setting(Strict):
    """A setting as server.yaml describes it."""

    type: Literal["int", "bool", "choice", "str", "range"]
    default: SettingValue
    min: int | None = None
    max: int | None = None
    choices: tuple[str, ...] = ()
    help: str
    source: str  # where the default or the meaning comes from: file and line of the release, or page

    @model_validator(mode="after")
    def _default_is_allowed(self) -> Self:
        problem = self.problem_with(self.default)
        if problem:
            raise ValueError(f"the default {self.default!r} is not allowed: {problem}")
        return self

    def expected(self) -> str:
        """What a person should write: "a whole number, 1 to 512"."""
        if self.type == "choice":
            return "one of " + ", ".join(self.choices)
        if self.type == "bool":
            return "true or false"
        if self.type == "str":
            return "a text"
        if self.type == "range":
            return f'two whole numbers of {self.min} to {self.max}, the lower first: "{self.default}"'
        if self.min is not None and self.max is not None:
            return f"a whole number, {self.min} to {self.max}"
        if self.min is not None:
            return f"a whole number, {self.min} or more"
        return "a whole number"

    def problem_with(self, value: object) -> str | None:
        """None when the value is allowed, otherwise what to write instead."""
        fits = {
            "int": isinstance(value, int) and not isinstance(value, bool),
            "bool": isinstance(value, bool),
            "choice": value in self.choices,
            "str": isinstance(value, str) and value.isprintable(),  # an environment file holds one line each
            "range": self._is_range(value),
        }[self.type]
        if fits and self.type == "int":
            assert isinstance(value, int)
            fits = (self.min is None or value >= self.min) and (self.max is None or value <= self.max)
        return None if fits else f"Write {self.expected()}."

    def _is_range(self, value: object) -> bool:
        parts = value.split() if isinstance(value, str) else []
        if len(parts) != 2 or not all(part.isdecimal() for part in parts):
            return False
        low, high = int(parts[0]), int(parts[1])
        return (self.min or 0) <= low < high <= (self.max or high)

    def checked(self, value: object, *, where: str) -> SettingValue:
        """The value, or a `LabError` that names the place (`where`), the value and what to write."""
        problem = self.problem_with(value)
        if problem:
            shown = f'"{value}"' if isinstance(value, str) else repr(value)
            raise LabError(f"{where} is {shortened(shown)}. {problem}")
        assert isinstance(value, (int, bool, str))
        return value

    def parsed(self, text: str, *, where: str) -> SettingValue:
        """A value from the command line."""
        value: object = text
        if self.type == "int" and re.fullmatch(r"-?[0-9]{1,18}", text):
            value = int(text)
        elif self.type == "bool":
            value = _BOOLEANS.get(text.lower(), text)
        return self.checked(value, where=where)
