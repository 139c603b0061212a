"""Keeps the processes of one stack: starts them, stops all when one dies, leaves none behind.

`python -m topolab.runtimes.supervisor DIRECTORY` reads DIRECTORY/services.json, and writes DIRECTORY/exit.json
when it ends. It runs in a session of its own. With `"temporary": true` its standard input is a pipe from the lab:
when the lab has gone, however it went, the stack goes too.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1  # prctl(2): the kernel sends this signal to the child when its parent dies
REPEAT_S = 0.1

_libc = ctypes.CDLL(None, use_errno=True)


def main(directory: Path) -> int:
    """Runs until a service dies, a signal arrives or the lab goes; then stops everything."""
    spec = json.loads((directory / "services.json").read_text())
    wakeup = _signals_as_bytes()
    services: dict[str, subprocess.Popen[bytes]] = {}
    reason: dict[str, Any] = {}
    try:
        for service in spec["services"]:
            services[service["name"]] = _start(service, spec["limits"], spec["cpus"], directory)
        reason = _wait(services, wakeup, watch_stdin=spec["temporary"])
    except OSError as error:
        reason = {"problem": f"{service['cwd']}/run can't be started: {error.strerror}"}
    finally:
        _stop(services, spec["grace_s"])
        part = directory / "exit.json.part"
        part.write_text(json.dumps(reason) + "\n")
        part.replace(directory / "exit.json")
    return 0


def _start(
    service: dict[str, Any], limits: dict[str, int], cpus: list[int], directory: Path
) -> subprocess.Popen[bytes]:
    def in_child() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # below `nohup` it is ignored, and would stay so
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if cpus:
            with contextlib.suppress(OSError):  # what came of it is read back from the server
                os.sched_setaffinity(0, cpus)
        for limit, value in limits.items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{limit.upper()}"), (value, value))

    with (directory / f"{service['name']}.log").open("ab") as log:
        return subprocess.Popen(
            service["command"], cwd=service["cwd"], env=service["environment"], stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, process_group=0, preexec_fn=in_child,
        )  # fmt: skip


def _signals_as_bytes() -> int:
    """A descriptor that becomes readable at SIGTERM, SIGINT and SIGCHLD."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    os.set_blocking(read, False)
    signal.set_wakeup_fd(write)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return read


def _wait(services: dict[str, subprocess.Popen[bytes]], wakeup: int, *, watch_stdin: bool) -> dict[str, Any]:
    """Why the stack must end."""
    with selectors.DefaultSelector() as selector:
        selector.register(wakeup, selectors.EVENT_READ)
        if watch_stdin:
            selector.register(0, selectors.EVENT_READ)
        while True:
            for name, process in services.items():
                if process.poll() is not None:
                    return {"service": name, "returncode": process.returncode}
            for key, _ in selector.select():
                received = os.read(key.fd, 4096)
                if key.fd == 0 and not received:
                    return {"reason": "the lab has gone"}
                if key.fd == wakeup and set(received) & {signal.SIGTERM, signal.SIGINT}:
                    return {"reason": "asked to stop"}


def _stop(services: dict[str, subprocess.Popen[bytes]], grace_s: float) -> None:
    """SIGINT to each main process, front first, until it ends; what is left of the groups after the grace is killed.

    SIGINT is the quick stop of every server here; SIGTERM may wait for requests that never end (gunicorn sync:
    graceful_timeout). It is repeated because uWSGI's master looks once a second, but at a second signal at once.
    Without a grace they are killed at once: gunicorn, for one, would take half a second.
    """
    deadline = time.monotonic() + grace_s
    while (
        left := [process for process in services.values() if process.poll() is None]
    ) and time.monotonic() < deadline:
        for process in reversed(left):
            process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            left[0].wait(REPEAT_S)
    for process in services.values():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
