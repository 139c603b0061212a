"""What a request can tell of who serves it, and of what stays its own while others are served: the views of the lab's
experiments on identity and isolation, and everything that a request might share with another."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
import os
import threading
import time
import uuid
from collections.abc import Iterator

from flask import Blueprint, Flask, current_app, g, jsonify, request, session
from flask.typing import ResponseReturnValue
from werkzeug.local import Local, LocalStack

from .query import bounded, choice, whole

MAX_WAIT_MS = 10_000.0
WAYS = ("await", "block")

blueprint = Blueprint("witness", __name__)

_mine = threading.local()  # one for each thread; under gevent and eventlet, for each greenlet
_serial = itertools.count(1)  # of this process: another process counts for itself

# Where an id is kept while a request waits. Only the last two belong to more than one request at a time.
werkzeug_local = Local()
werkzeug_stack: LocalStack[int] = LocalStack()
context_variable: contextvars.ContextVar[int] = contextvars.ContextVar("context_variable")
app_name: contextvars.ContextVar[str] = contextvars.ContextVar("app_name")
thread_local = threading.local()
module_global = 0

another_app = Flask("another")


@blueprint.get("/whoami")
def whoami() -> ResponseReturnValue:
    """Who runs this request, from when to when on the machine's monotonic clock; takes `ms` milliseconds."""
    began = time.monotonic_ns()
    time.sleep(bounded("ms", default=0.0, high=MAX_WAIT_MS) / 1000)
    return _witness(began)


@blueprint.get("/async/whoami")
async def whoami_async() -> ResponseReturnValue:
    """The same as an `async def` view, which awaits its `ms` milliseconds, or blocks for them."""
    began = time.monotonic_ns()
    seconds = bounded("ms", default=0.0, high=MAX_WAIT_MS) / 1000
    if choice("how", WAYS) == "await":
        await asyncio.sleep(seconds)
    else:
        time.sleep(seconds)
    return _witness(began)


def _witness(began: int) -> ResponseReturnValue:
    token = getattr(_mine, "token", None)
    if token is None:
        token = _mine.token = uuid.uuid4().hex[:12]
    return jsonify(
        pid=os.getpid(),
        native=threading.get_native_id(),  # the kernel's thread: one for all greenlets of a process
        token=token,  # of the thread or greenlet: another one when it is a new one, even under an old one's name
        thread=threading.current_thread().name,
        serial=next(_serial),
        began_ns=began,
        ended_ns=time.monotonic_ns(),
    )


@blueprint.get("/isolation")
def isolation() -> ResponseReturnValue:
    """Leaves its id wherever one can leave something, waits `ms` milliseconds, and says where it still is.

    The first half of them inside of a context of another app, so that others find both apps' contexts pushed.
    """
    mine, half_s = whole("id"), bounded("ms", default=20.0, high=MAX_WAIT_MS) / 2000
    began = time.monotonic_ns()
    _leave(mine)
    with _in_another_app(mine) as found:
        time.sleep(half_s)
    time.sleep(half_s)
    return _told(mine, began, nested=all(found))


@blueprint.get("/async/isolation")
async def isolation_async() -> ResponseReturnValue:
    """The same as an `async def` view."""
    mine, half_s = whole("id"), bounded("ms", default=20.0, high=MAX_WAIT_MS) / 2000
    began = time.monotonic_ns()
    _leave(mine)
    with _in_another_app(mine) as found:
        await asyncio.sleep(half_s)
    await asyncio.sleep(half_s)
    return _told(mine, began, nested=all(found))


def _leave(mine: int) -> None:
    global module_global
    g.mine = session["mine"] = thread_local.mine = werkzeug_local.mine = module_global = mine
    werkzeug_stack.push(mine)
    context_variable.set(mine)
    app_name.set(current_app.name)


@contextlib.contextmanager
def _in_another_app(mine: int) -> Iterator[list[bool]]:
    """Inside of a context of another app: whether that app and its `g` are found, and then the first's again."""
    found: list[bool] = []
    with another_app.app_context():
        g.mine = -mine
        yield found
        found.append(current_app.name == another_app.name and g.mine == -mine)
    found.append(current_app.name == app_name.get() and g.mine == mine)


def _told(mine: int, began: int, *, nested: bool) -> ResponseReturnValue:
    kept = {
        "request": request.args.get("id") == str(mine),
        "g": g.mine == mine,
        "session": session["mine"] == mine,
        "current_app": current_app.name == app_name.get(),
        "nested_app": nested,
        "local": werkzeug_local.mine == mine,
        "local_stack": werkzeug_stack.top == mine,
        "contextvar": context_variable.get() == mine,
        "thread_local": thread_local.mine == mine,
        "module_global": module_global == mine,
    }
    werkzeug_stack.pop()
    return jsonify(
        id=mine, pid=os.getpid(), kept=kept, serial=next(_serial), began_ns=began, ended_ns=time.monotonic_ns()
    )
