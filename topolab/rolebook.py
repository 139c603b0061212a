"""A role's README.md, from the argument specs that Ansible checks its variables with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

NOTE = "Made by `make docs` from meta/argument_specs.yml, which Ansible holds the variables to."


def readme(role: Path) -> str:
    """The page, as Markdown."""
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]
    return "\n".join([*_head(role.name, specs), *_options(specs.get("options") or {})])


def _head(name: str, specs: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {name}\n\n{_line(specs['short_description'])}\n"
    description = specs.get("description") or []
    for paragraph in [description] if isinstance(description, str) else description:
        yield f"- {_line(paragraph)}"
    yield f"\n{NOTE}\n"


def _options(options: Mapping[str, Any]) -> Iterator[str]:
    if not options:
        return
    yield "| variable | type | default | what it is |\n| --- | --- | --- | --- |"
    for name, option in options.items():
        kind = option.get("type", "str") + (f" of {option['elements']}" if "elements" in option else "")
        default = "required" if option.get("required") else f"`{json.dumps(option.get('default'))}`"
        description = option["description"]
        text = description if isinstance(description, str) else " ".join(description)
        keys = option.get("options") or {}
        if keys:
            text += " Keys: " + "; ".join(f"`{key}`: {_line(str(keys[key]['description']))}" for key in keys)
        cells = [_line(cell).replace("|", "\\|") for cell in (f"`{name}`", kind, default, text)]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _line(text: str) -> str:
    return " ".join(text.split())
