"""Loads the project's own Ansible modules as Ansible does, with its module_utils beside Ansible's."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any

import ansible.module_utils
from topolab import paths

UTILS = str(paths.HOME / "ansible/module_utils")


def load(name: str) -> Any:
    """A module of ansible/library."""
    if UTILS not in ansible.module_utils.__path__:
        ansible.module_utils.__path__.append(UTILS)
    spec = importlib.util.spec_from_file_location(name, paths.HOME / f"ansible/library/{name}.py")
    assert spec
    assert spec.loader
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
