"""Reads the lab's YAML files; every mistake in one becomes one line that names file, key and value."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from topolab.errors import LabError
from topolab.paths import shown

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same in C, ten times as fast

Model = TypeVar("Model", bound=BaseModel)


def nearest(word: str, known: Iterable[str]) -> str:
    """'Did you mean "x"?' with a blank before it, or what is known, for an error's end."""
    options = sorted(known)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.5)
    return f' Did you mean "{close[0]}"?' if close else f" Known: {', '.join(options)}."


def load(path: Path, model: type[Model]) -> Model:
    """One YAML file as one typed model, or a `LabError`."""
    try:
        data: Any = yaml.load(path.read_text(), Loader=LOADER)
    except OSError as error:
        raise LabError(f"{shown(path)}: can't be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise LabError(f"{shown(path)}{line}: this is not YAML: {problem}.") from error
    if not isinstance(data, dict):
        raise LabError(f"{shown(path)}: holds {type(data).__name__}, not a mapping of keys to values.")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = [_sentence(problem, model) for problem in error.errors()]
        raise LabError(f"{shown(path)}: {lines[0]}", details=tuple(lines[1:])) from error


def _sentence(problem: Any, model: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = model.model_fields if len(problem["loc"]) == 1 else ()
        return f'unknown key "{key}".' + (nearest(key, known) if known else " Remove it, or mend its name.")
    if problem["type"] == "missing":
        return f'the key "{key}" is missing.'
    return f"{key} is {problem['input']!r}: {problem['msg']}."
