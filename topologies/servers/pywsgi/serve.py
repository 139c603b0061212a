"""gevent's WSGIServer in one process, as its documentation starts it: there is no command for it."""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402 - what is imported before the patch keeps blocking
import signal  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402
from gevent import socket  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402
from werkzeug.utils import import_string  # noqa: E402


def main() -> None:
    spawn = int(os.environ["SPAWN"])
    server = WSGIServer(
        listener(os.environ["BIND"], int(os.environ["BACKLOG"])),
        import_string(os.environ.get("APP", "app.wsgi:application")),
        spawn=spawn or "default",
        log=None,  # one line per request would be most of the work under load; errors still show
    )
    # Not server.stop(): with a pool it waits for requests that are held.
    gevent.signal_handler(signal.SIGTERM, os._exit, 0)
    gevent.signal_handler(signal.SIGINT, os._exit, 0)
    print(f"gevent.pywsgi {gevent.__version__} listens on {os.environ['BIND']}", file=sys.stderr)
    server.serve_forever()


def listener(bind: str, backlog: int) -> socket.socket:
    """A listening socket on `host:port` or `unix:/path`: WSGIServer itself makes TCP ones only."""
    if bind.startswith("unix:"):
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(bind.removeprefix("unix:"))
    else:
        host, _, port = bind.rpartition(":")
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, int(port)))
    listening.listen(backlog)
    listening.setblocking(False)
    return listening


if __name__ == "__main__":
    main()
