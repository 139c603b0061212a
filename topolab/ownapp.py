"""A person's own app: what `--app FOLDER:MODULE:NAME` names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from topolab.errors import LabError

ONLY_HERE = "your own app is measured on this machine, in the process runtime"
EXAMPLE = "--app ~/shop:shop.wsgi:app, or --app '~/shop:shop:create_app()' for a factory"
IDENTIFIER = r"[^\W\d]\w*"


@dataclass(frozen=True, slots=True)
class OwnApp:
    """The folder that its server is started in, the module as that imports it, and the WSGI application in the module.

    `name()` is a factory that takes nothing.
    """

    folder: Path
    module: str
    name: str

    @classmethod
    def typed(cls, text: str) -> OwnApp:
        """As a person types it, the folder made absolute. `LabError` for what can't be one."""
        folder, _, rest = text.rpartition(":")
        folder, _, module = folder.rpartition(":")
        if not folder:
            raise LabError(f'--app "{text}" is not FOLDER:MODULE:NAME. Write, for instance, {EXAMPLE}.')
        try:
            path = Path(folder).expanduser().resolve()
        except RuntimeError as error:  # no such user; symlinks in a circle
            why = str(error).rstrip(".")
            raise LabError(f'--app "{text}": {folder} leads nowhere: {why}. Write the whole path.') from error
        if not path.is_dir():
            raise LabError(f'--app "{text}": there is no folder {path}. Write the one that its server is started in.')
        if not re.fullmatch(rf"{IDENTIFIER}(\.{IDENTIFIER})*", module):
            raise LabError(
                f'--app "{text}": "{module}" is no module. Write it as Python imports it: shop.wsgi, not shop/wsgi.py.'
            )
        if not re.fullmatch(rf"{IDENTIFIER}(\(\))?", rest):
            raise LabError(
                f'--app "{text}": "{rest}" names nothing in {module}. Write the WSGI application (app), or a factory '
                "that takes nothing (create_app())."
            )
        return cls(path, module, rest)

    @classmethod
    def read(cls, text: str) -> OwnApp:
        """From what `str` gave."""
        folder, module, name = text.rsplit(":", 2)
        return cls(Path(folder), module, name)

    def __str__(self) -> str:
        return f"{self.folder}:{self.module}:{self.name}"
