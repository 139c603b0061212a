"""The Ansible roles: what their specs say is what they have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from topolab import paths

ROLES = sorted((paths.HOME / "ansible/roles").glob("*"))
PLAYBOOKS = [*(paths.HOME / "ansible").glob("*.yml"), *(paths.HOME / "ansible/tasks").glob("*.yml")]


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text()) if path.exists() else None


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_defaults_equal_their_specification(role: Path) -> None:
    """Every variable of a role is specified, and with the default that it has; the required ones have none."""
    defaults = read(role / "defaults/main.yml") or {}
    options = read(role / "meta/argument_specs.yml")["argument_specs"]["main"].get("options") or {}
    assert defaults == {name: option["default"] for name, option in options.items() if not option.get("required")}
    assert all(name.startswith(f"{role.name}_") for name in options)
    assert all(option["description"] for option in options.values())


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_has_the_parts_that_it_names(role: Path) -> None:
    """A role's main tasks are made of the files beside them, and none is left out."""
    parts = {path.stem for path in (role / "tasks").glob("*.yml")} - {"main"}
    text = "".join(path.read_text() for path in (role / "tasks").glob("*.yml"))
    users = "".join(path.read_text() for path in PLAYBOOKS)
    unused = {part for part in parts if f"{part}.yml" not in text and f"tasks_from: {part}" not in users + text}
    assert not unused
