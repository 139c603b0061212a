"""Cheroot's WSGI server, as CherryPy starts it: its command has no option for half of these settings."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from cheroot import wsgi
from werkzeug.utils import import_string


def main() -> None:
    server = wsgi.Server(
        listen_address(os.environ["BIND"]),
        import_string(os.environ.get("APP", "app.wsgi:application")),
        numthreads=int(os.environ["NUMTHREADS"]),
        max=int(os.environ["MAX"]),
        request_queue_size=int(os.environ["REQUEST_QUEUE_SIZE"]),
        timeout=int(os.environ["TIMEOUT"]),
        accepted_queue_size=int(os.environ["ACCEPTED_QUEUE_SIZE"]),
        accepted_queue_timeout=int(os.environ["ACCEPTED_QUEUE_TIMEOUT"]),
    )

    def stop(signum: int, frame: FrameType | None) -> None:
        # server.stop() would wait shutdown_timeout seconds for threads whose requests are held.
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"{server.software or server.version} listens on {os.environ['BIND']}", file=sys.stderr)
    server.start()


def listen_address(bind: str) -> str | tuple[str, int]:
    """`host:port`, or `unix:/path`."""
    if bind.startswith("unix:"):
        return bind.removeprefix("unix:")
    host, _, port = bind.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    main()
