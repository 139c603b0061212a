"""Whether a person's own app can be imported where a server will import it."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from topolab import paths
from topolab.errors import LabError
from topolab.ownapp import OwnApp
from topolab.runtimes.programs import Programs

IMPORT_S = 30.0  # as long as a server may take to start
FOLDER = paths.HOME / "app" / "own"  # of topolab_own.py: for PYTHONPATH, in place of the lab's home
BARE = {  # what every process finds of the machine: nothing of the person's own shell
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_importable: set[tuple[Path, OwnApp]] = set()  # a lab looks once; an error is not kept


def check(venv: Path, own: OwnApp, programs: Programs | None = None) -> None:
    """Imports it in that virtualenv, in a process of its own that patches nothing. A `LabError` has what it says."""
    if (venv, own) in _importable:
        return
    programs = programs or Programs()
    with tempfile.TemporaryDirectory(prefix="topolab-") as folder:
        said = Path(folder, "stderr")  # no pipe: whatever the app may start would keep it open
        with said.open("wb") as file:
            try:
                ended = programs.run(
                    [f"{venv}/bin/python", str(FOLDER / "topolab_own.py")], timeout_s=IMPORT_S, cwd=folder,
                    stdout=subprocess.DEVNULL, stderr=file,
                    env={**BARE, "HOME": folder, "RUN_DIR": folder, "TOPOLAB_LAB_ROUTES": "1", "OWN_APP": str(own)},
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                raise LabError(
                    f"--app {own}: its import did not end within {IMPORT_S:.0f} s. What does it wait for? Its "
                    f"variables can stand in {own.folder}/.env."
                ) from None
        if ended.returncode:
            raise _told(own, said.read_text(errors="replace"))
    _importable.add((venv, own))


def _told(own: OwnApp, said: str) -> LabError:
    """The last line of its traceback, where that was in the person's own files, and what to do."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = lines[-1] if lines else "it ended without a word"
    frames = [(Path(file), line) for file, line in re.findall(r'File "(.+?)", line (\d+)', said)]
    mine = [f" ({file.relative_to(own.folder)} line {line})" for file, line in frames if own.folder in file.parents]
    where = mine[-1] if mine else ""
    if last.startswith("ModuleNotFoundError"):
        remedy = f"What it needs belongs into {own.folder}/requirements.txt, what is its own into {own.folder}."
    elif where:
        remedy = f"It has to be importable as it is; its variables can stand in {own.folder}/.env."
    elif "the lab's app" in last:
        remedy = f"Its requirements are {own.folder}/requirements.txt."
    elif ".env line " in last:
        remedy = "Correct it there."
    else:
        remedy = (
            "Name the WSGI application in that module, or a factory that takes nothing: --app FOLDER:MODULE:NAME()."
        )
    return LabError(f"--app {own} can't be imported: {last.rstrip('.')}{where}. {remedy}")
