"""The lab's routes: they hold, sleep, burn or crash on request, all of it bounded. Never for a public address.

They exist only where `TOPOLAB_LAB_ROUTES=1`.
"""

from __future__ import annotations

import asyncio
import os
import resource
import time

from flask import Blueprint, abort, current_app, jsonify
from flask.typing import ResponseReturnValue

from . import gate
from .query import bounded, choice, whole
from .views import served_by

MAX_SLEEP_S = 300.0
MAX_CPU_MS = 10_000.0
WAITS = ("gate", "sleep")

blueprint = Blueprint("lab", __name__)


@blueprint.get("/hold")
def hold() -> ResponseReturnValue:
    """Wait for the gate, as a handler waits for a database; or announce itself there and sleep."""
    request_id, wait, seconds = _hold_arguments()
    try:
        if wait == "gate":
            gate.hold(current_app.config["GATE"], request_id)
        else:
            gate.announce(current_app.config["GATE"], request_id)
            time.sleep(seconds)
    except gate.GateUnavailable as error:
        abort(503, description=str(error))
    return jsonify(id=request_id, served_by=served_by())


@blueprint.get("/async/hold")
async def hold_async() -> ResponseReturnValue:
    """The same as an `async def` view, which Flask runs on an event loop of its own in a thread of its own."""
    request_id, wait, seconds = _hold_arguments()
    try:
        if wait == "gate":
            await gate.hold_async(current_app.config["GATE"], request_id)
        else:
            await gate.announce_async(current_app.config["GATE"], request_id)
            await asyncio.sleep(seconds)
    except gate.GateUnavailable as error:
        abort(503, description=str(error))
    return jsonify(id=request_id, served_by=served_by())


@blueprint.get("/sleep")
def sleep() -> ResponseReturnValue:
    """Sleep for `seconds` without calling anybody."""
    seconds = bounded("seconds", default=1.0, high=MAX_SLEEP_S)
    time.sleep(seconds)
    return jsonify(slept_s=seconds, served_by=served_by())


@blueprint.get("/cpu")
def cpu() -> ResponseReturnValue:
    """Burn `ms` milliseconds of this thread's CPU time, in Python code that holds the interpreter's lock."""
    return jsonify(burned_ms=burn(bounded("ms", default=10.0, high=MAX_CPU_MS)), served_by=served_by())


def burn(milliseconds: float) -> float:
    """Burn so much of this thread's CPU time; return how much it was."""
    began = time.thread_time()
    while (burned := (time.thread_time() - began) * 1000) < milliseconds:
        sum(range(1000))
    return burned


@blueprint.get("/crash")
def crash() -> ResponseReturnValue:
    """End this process at once, as a fault in C code would: only the process that is named, and without a core."""
    pid = whole("pid", low=1)
    if pid != os.getpid():
        return jsonify(error=f"this is process {os.getpid()}, not {pid}", pid=os.getpid()), 409
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    os.abort()


def _hold_arguments() -> tuple[int, str, float]:
    """id, wait and seconds, all checked before the gate hears of the request."""
    return whole("id"), choice("wait", WAITS), bounded("seconds", default=1.0, high=MAX_SLEEP_S)
