"""Werkzeug's development server, as `app.run()` starts it. Not for production: Werkzeug says so itself.

`make_server` rather than `run_simple`: no reloader, no debugger, and the server object at hand for a clean stop.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.utils import import_string


class QuietHandler(WSGIRequestHandler):
    """One line per request on stderr would be most of the work under load; errors still show."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def main() -> None:
    threaded = os.environ["THREADED"] == "true"
    processes = int(os.environ["PROCESSES"])
    if threaded and processes > 1:
        sys.exit(f"werkzeug: threaded=true cannot go with processes={processes}. Set threaded=false or processes=1.")
    host, port = listen_address(os.environ["BIND"])
    server = make_server(
        host, port, import_string(os.environ["APP"]), threaded, processes, request_handler=QuietHandler
    )
    parent = os.getpid()

    def stop(signum: int, frame: FrameType | None) -> None:
        # The parent of forks waits for them before it ends, so they have to go first.
        if os.getpid() == parent:
            for child in getattr(server, "active_children", None) or ():
                os.kill(child, signal.SIGTERM)
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"{server._server_version} listens on {os.environ['BIND']}", file=sys.stderr)
    server.serve_forever()


def listen_address(bind: str) -> tuple[str, int]:
    """`host:port`, or `unix:/path` in the form that Werkzeug takes: `unix:///path`."""
    if bind.startswith("unix:"):
        return "unix://" + bind.removeprefix("unix:"), 0
    host, _, port = bind.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    main()
