"""Work to ask for under load, the same behind every server: I/O, CPU, both, JSON, a large answer, a file.

The routes exist only where `TOPOLAB_LAB_ROUTES=1`, and all of them are bounded.
"""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
import threading
from pathlib import Path

from flask import Blueprint, Response, abort, current_app, jsonify, request, send_file
from flask.typing import ResponseReturnValue

from . import gate
from .lab import MAX_CPU_MS, burn
from .query import bounded, whole
from .views import served_by

MAX_IO_MS = 60_000.0
MAX_JSON_BYTES = 1 << 20
MAX_LARGE_BYTES = 16 << 20
MAX_FILE_BYTES = 1 << 20
FOLDER = "topolab-static"
MAX_FILES = 32  # all of them fit into a stack's run directory, which is memory

blueprint = Blueprint("work", __name__)


@blueprint.get("/io")
def io() -> ResponseReturnValue:
    """Wait `ms` milliseconds for the downstream service, which answers by its timer; `id` says on whose behalf."""
    request_id, milliseconds = whole("id"), bounded("ms", default=10.0, high=MAX_IO_MS)
    _wait(request_id, milliseconds)
    return jsonify(waited_ms=milliseconds, served_by=served_by())


@blueprint.get("/async/io")
async def io_async() -> ResponseReturnValue:
    """The same as an `async def` view."""
    request_id, milliseconds = whole("id"), bounded("ms", default=10.0, high=MAX_IO_MS)
    try:
        await gate.wait_async(current_app.config["GATE"], request_id, milliseconds)
    except gate.GateUnavailable as error:
        abort(503, description=str(error))
    return jsonify(waited_ms=milliseconds, served_by=served_by())


@blueprint.get("/mixed")
def mixed() -> ResponseReturnValue:
    """Wait `io_ms` milliseconds as /io does, then burn `cpu_ms` as /cpu does."""
    request_id = whole("id")
    io_ms = bounded("io_ms", default=10.0, high=MAX_IO_MS)
    cpu_ms = bounded("cpu_ms", default=1.0, high=MAX_CPU_MS)
    _wait(request_id, io_ms)
    return jsonify(waited_ms=io_ms, burned_ms=burn(cpu_ms), served_by=served_by())


@blueprint.post("/json")
def json() -> ResponseReturnValue:
    """Parse the JSON that came, and send it back."""
    request.max_content_length = MAX_JSON_BYTES
    return jsonify(request.get_json())


@blueprint.get("/large")
def large() -> ResponseReturnValue:
    """An answer of `size` bytes, ready in memory."""
    size = whole("size", low=1, high=MAX_LARGE_BYTES)
    return Response(_filler(size), mimetype="application/octet-stream")


@blueprint.get("/static")
def static() -> ResponseReturnValue:
    """A file of `size` bytes, sent by the app. A front that shares RUN_DIR sends the same as /front-static/SIZE.bin."""
    return send_file(_file(whole("size", low=1, high=MAX_FILE_BYTES)))


def _wait(request_id: int, milliseconds: float) -> None:
    try:
        gate.wait(current_app.config["GATE"], request_id, milliseconds)
    except gate.GateUnavailable as error:
        abort(503, description=str(error))


@functools.lru_cache(maxsize=4)
def _filler(size: int) -> bytes:
    line = b"0123456789abcdef" * 3 + b"0123456789abcde\n"
    return (line * (size // len(line) + 1))[:size]


@functools.lru_cache(maxsize=MAX_FILES)
def _file(size: int) -> Path:
    """Made when it is first asked for, by whichever process is first."""
    folder = _folder()
    path = folder / f"{size}.bin"
    if not path.exists():
        if sum(1 for _ in folder.glob("*.bin")) >= MAX_FILES:
            abort(400, description=f"There are {MAX_FILES} files of other sizes already. Ask for one of those.")
        part = folder / f"{size}.{os.getpid()}.{threading.get_ident()}"
        part.write_bytes(_filler(size))
        part.replace(path)
    return path


def _folder() -> Path:
    """In RUN_DIR; where there is none, or it is not ours to write to, in the folder for temporary files."""
    if run_dir := current_app.config["RUN_DIR"]:
        with contextlib.suppress(PermissionError):
            folder = Path(run_dir, FOLDER)
            folder.mkdir(exist_ok=True)
            return folder
    folder = Path(tempfile.gettempdir(), f"{FOLDER}-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
