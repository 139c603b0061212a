"""The app's side of the gate: a plain TCP service that a handler calls, and that answers when it wants to.

One connection per held request: the handler sends one line, `HOLD <id> <pid> <thread-ident>`, and waits for
`GO`. A handler that only announces itself sends `SLEEP ...` instead and hangs up. `WAIT <id> <milliseconds>` is
answered with `GO` after so long, by the gate's timer.

The blocking half uses `socket.create_connection`, so threads, forks and gevent's patched sockets all work, and
a hold costs one descriptor. The asyncio half is for `async def` views.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading

# A gate that is up answers at once; this covers dropped handshakes, which the kernel retries every second.
CONNECT_TIMEOUT_S = 10.0
GO = b"GO\n"


class GateUnavailable(Exception):
    """The gate could not be reached, or hung up without an answer. The text says which."""


def hold(address: str, request_id: int) -> None:
    """Block until the gate lets this request go."""
    _call(address, _line("HOLD", request_id))


def wait(address: str, request_id: int, milliseconds: float) -> None:
    """Block until the gate answers, after so long."""
    _call(address, _wait_line(request_id, milliseconds))


def _call(address: str, line: bytes) -> None:
    try:
        with socket.create_connection(_host_and_port(address), timeout=CONNECT_TIMEOUT_S) as connection:
            connection.settimeout(None)
            connection.sendall(line)
            answer = b""
            while len(answer) < len(GO) and (chunk := connection.recv(len(GO) - len(answer))):
                answer += chunk
    except OSError as error:
        raise GateUnavailable(f"gate {address}: {error}") from error
    _check(address, answer)


def announce(address: str, request_id: int) -> None:
    """Say that this request is in its handler, and hang up: the descriptor is free again."""
    try:
        with socket.create_connection(_host_and_port(address), timeout=CONNECT_TIMEOUT_S) as connection:
            connection.sendall(_line("SLEEP", request_id))
    except OSError as error:
        raise GateUnavailable(f"gate {address}: {error}") from error


async def hold_async(address: str, request_id: int) -> None:
    """`hold` for an event loop."""
    await _call_async(address, _line("HOLD", request_id))


async def wait_async(address: str, request_id: int, milliseconds: float) -> None:
    """`wait` for an event loop."""
    await _call_async(address, _wait_line(request_id, milliseconds))


async def _call_async(address: str, line: bytes) -> None:
    host, port = _host_and_port(address)
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), CONNECT_TIMEOUT_S)
        try:
            writer.write(line)
            answer = await reader.readline()
        finally:
            writer.close()
    except OSError as error:
        raise GateUnavailable(f"gate {address}: {error or 'no answer to the handshake'}") from error
    _check(address, answer)


async def announce_async(address: str, request_id: int) -> None:
    """`announce` for an event loop."""
    host, port = _host_and_port(address)
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), CONNECT_TIMEOUT_S)
        writer.write(_line("SLEEP", request_id))
        writer.close()
        await writer.wait_closed()
    except OSError as error:
        raise GateUnavailable(f"gate {address}: {error or 'no answer to the handshake'}") from error


def _line(word: str, request_id: int) -> bytes:
    return f"{word} {request_id} {os.getpid()} {threading.get_ident()}\n".encode()


def _wait_line(request_id: int, milliseconds: float) -> bytes:
    return f"WAIT {request_id} {milliseconds:g}\n".encode()


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise GateUnavailable(f'GATE is "{address}". Set it to host:port.')
    return host, int(port)


def _check(address: str, answer: bytes) -> None:
    if answer != GO:
        raise GateUnavailable(f"gate {address}: hung up without letting the request go")
