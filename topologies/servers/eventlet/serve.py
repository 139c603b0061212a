"""Eventlet's WSGI server in one process, as its documentation starts it: there is no command for it."""

import eventlet

eventlet.monkey_patch()

import os  # noqa: E402 - what is imported before the patch keeps blocking
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
from types import FrameType  # noqa: E402

from eventlet import wsgi  # noqa: E402
from werkzeug.utils import import_string  # noqa: E402


def main() -> None:
    application = import_string(os.environ.get("APP", "app.wsgi:application"))
    listening = listener(os.environ["BIND"], int(os.environ["BACKLOG"]))
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"eventlet {eventlet.__version__} listens on {os.environ['BIND']}", file=sys.stderr)
    wsgi.server(
        listening,
        application,
        environ={"SERVER_SOFTWARE": f"eventlet/{eventlet.__version__}"},
        max_size=int(os.environ["MAX_SIZE"]),
        log_output=False,  # one line per request would be most of the work under load
    )


def listener(bind: str, backlog: int) -> socket.socket:
    """A listening socket on `host:port` or `unix:/path`.

    Eventlet would share a TCP port with any other program that asks for it (SO_REUSEPORT): not here.
    """
    if bind.startswith("unix:"):
        return eventlet.listen(bind.removeprefix("unix:"), family=socket.AF_UNIX, backlog=backlog)
    host, _, port = bind.rpartition(":")
    return eventlet.listen((host, int(port)), backlog=backlog, reuse_port=False)


def stop(signum: int, frame: FrameType | None) -> None:
    # An exception would make the server wait for requests that are held.
    os._exit(0)


if __name__ == "__main__":
    main()
