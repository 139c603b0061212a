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
from topolab.settings import shortened

LARGEST = 262_144  # bytes
MOST_ALIASES = 40  # so that aliases of aliases can't grow without bound
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same in C, ten times as fast

Model = TypeVar("Model", bound=BaseModel)


class _Loader(LOADER):  # type: ignore[misc,valid-type]  # which of the two it is, is known at run time only
    """Refuses a key that stands twice, which YAML would silently take the last of; says where a tag does not fit."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode):
                problem = "a key is a word, not a list or a mapping (a template's {{ ... }} has to be filled in first)"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f'"{key.value}" stands twice', key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (LookupError, ValueError, TypeError, AttributeError) as error:  # as PyYAML has it: `!!bool maybe`, say
            problem = f"{shortened(repr(node.value))} is no {node.tag.replace('tag:yaml.org,2002:', '!!')}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error


def nearest(word: str, known: Iterable[str]) -> str:
    """'Did you mean "x"?' with a blank before it, or what is known, for an error's end."""
    options = sorted(known)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.5)
    if close:
        return f' Did you mean "{close[0]}"?'
    return f" Known: {', '.join(options)}." if options else " There are none."


def load(path: Path, model: type[Model]) -> Model:
    """One YAML file as one typed model, or a `LabError`."""
    try:
        if path.stat().st_size > LARGEST:
            raise LabError(f"{shown(path)}: has {path.stat().st_size} bytes. Such a file has at most {LARGEST}.")
        text = path.read_text(encoding="utf-8")
        if sum(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, Loader=LOADER)) > MOST_ALIASES:
            raise LabError(f"{shown(path)}: uses more than {MOST_ALIASES} aliases (*name). Write the values out.")
        data: Any = yaml.load(text, Loader=_Loader)
    except OSError as error:
        raise LabError(f"{shown(path)}: can't be read: {error.strerror}.") from error
    except RecursionError as error:
        raise LabError(f"{shown(path)}: is nested too deeply.") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise LabError(f"{shown(path)}{line}: this is not YAML: {problem}.") from error
    if not isinstance(data, dict):
        kind = "nothing" if data is None else f"a {type(data).__name__}"
        raise LabError(f"{shown(path)}: holds {kind}, not a mapping of keys to values.")
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
    return f"{key} is {shortened(repr(problem['input']))}: {problem['msg']}."
