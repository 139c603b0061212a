"""What any deployment may show: who served this request, and that the app is up."""

from __future__ import annotations

import os
import platform
import threading

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

blueprint = Blueprint("views", __name__)


def served_by() -> dict[str, object]:
    """Who runs this request: process and thread (a greenlet counts as its own thread under gevent)."""
    return {
        # A CGI variable: a server puts it in the request, or in the process environment, or leaves it out.
        "server": request.environ.get("SERVER_SOFTWARE") or os.environ.get("SERVER_SOFTWARE", "unknown"),
        "pid": os.getpid(),
        "thread": threading.current_thread().name,
        "thread_ident": threading.get_ident(),
    }


@blueprint.get("/")
def greeting() -> ResponseReturnValue:
    return jsonify(message="Hello from Flask.", python=platform.python_version(), served_by=served_by())


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    return jsonify(status="ok", pid=os.getpid())
