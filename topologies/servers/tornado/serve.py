"""A WSGI app on Tornado's HTTP server, as the documentation of WSGIContainer starts it: there is no command for it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import signal
import sys
from types import FrameType

import tornado
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets, bind_unix_socket
from tornado.wsgi import WSGIContainer
from werkzeug.utils import import_string


async def main() -> None:
    threads = int(os.environ["EXECUTOR_THREADS"])
    executor = concurrent.futures.ThreadPoolExecutor(threads) if threads else None
    server = HTTPServer(WSGIContainer(import_string(os.environ.get("APP", "app.wsgi:application")), executor))
    bind, backlog = os.environ["BIND"], int(os.environ["BACKLOG"])
    if bind.startswith("unix:"):
        server.add_socket(bind_unix_socket(bind.removeprefix("unix:"), backlog=backlog))
    else:
        host, _, port = bind.rpartition(":")
        server.add_sockets(bind_sockets(int(port), host, backlog=backlog))
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"tornado {tornado.version} listens on {bind}", file=sys.stderr)
    await asyncio.Event().wait()


def stop(signum: int, frame: FrameType | None) -> None:
    # An end that waits for the executor would wait for requests that are held.
    os._exit(0)


if __name__ == "__main__":
    # The WSGI environment has no SERVER_SOFTWARE here, so the process environment says it.
    os.environ["SERVER_SOFTWARE"] = f"tornado/{tornado.version}"
    asyncio.run(main())
