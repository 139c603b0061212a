"""Ports on 127.0.0.1: a free one, or whose one is."""

from __future__ import annotations

import errno
import random
import socket
from pathlib import Path

import psutil

from topolab.errors import LabError

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST = 12_000  # below are the ports that people give by hand


def free_port() -> int:
    """A port that nobody has now, and that the kernel gives to no outgoing connection before it is listened on."""
    low, high = map(int, EPHEMERAL.read_text().split())
    outside: list[int] = [*range(LOWEST, low), *range(high + 1, 65536)]
    for port in random.sample(outside, min(100, len(outside))):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    with socket.socket() as probe:  # the range leaves nothing out
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def choose(port: int | None) -> int:
    """The port that was asked for, if it is free; any free one for None."""
    if port is None:
        return free_port()
    require_free(port)
    return port


def require_free(port: int) -> None:
    """A `LabError` that names who has the port, and what to type instead."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except PermissionError as error:
            raise LabError(f"port {port} needs root. Choose one above 1023: --port 8000 (make: PORT=8000).") from error
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise LabError(f"port {port} can't be used: {error.strerror}.") from error
            raise LabError(
                f"port {port} is in use by {_holder(port)}. Choose another: --port {_next_free(port)} "
                f"(make: PORT={_next_free(port)}), or stop that program."
            ) from error


def _holder(port: int) -> str:
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        connections = []
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            if connection.pid is None:
                break
            return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another user's program"


def _next_free(port: int) -> int:
    for candidate in range(port + 1, min(port + 100, 65536)):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", candidate)):
                return candidate
    return free_port()
