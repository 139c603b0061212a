"""Where services listen: `127.0.0.1:8000`, `unix:/run/app.sock` or `unix:/run/wsgi.*.sock`."""

from __future__ import annotations

import functools
import re
import socket
from dataclasses import dataclass

from topolab.ledger import Service


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """An IPv4 address in numbers, and a port."""

    host: str
    port: int

    @property
    def pair(self) -> tuple[str, int]:
        return self.host, self.port

    @property
    def key(self) -> bytes:
        """As the kernel has it: address and port in network byte order."""
        return socket.inet_aton(self.host) + self.port.to_bytes(2, "big")

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The path that the server gave to bind(). A `*` in its file name stands for what only the server knows (a pid)."""

    path: str

    def matches(self, name: str) -> bool:
        """Whether a socket of this name, as the kernel has it, is meant."""
        return name == self.path or bool(_pattern(self.path).fullmatch(name))

    def __str__(self) -> str:
        return f"unix:{self.path}"


@functools.cache
def _pattern(path: str) -> re.Pattern[str]:
    folder, slash, name = path.rpartition("/")
    return re.compile(re.escape(folder + slash) + re.escape(name).replace(r"\*", "[^/]*"))


Address = TcpAddress | UnixAddress


@dataclass(frozen=True, slots=True)
class Listener:
    """A service of the stack and where it listens, or where one of its instances does."""

    service: Service
    address: Address

    def __str__(self) -> str:
        return f"{self.service}={self.address}"


def parse_tcp(text: str) -> TcpAddress:
    """`HOST:PORT`; ValueError says what is wrong. A wildcard is reached by way of loopback."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f'"{text}" is not HOST:PORT, as in 127.0.0.1:8000')
    host = {"localhost": "127.0.0.1", "0.0.0.0": "127.0.0.1", "": "127.0.0.1"}.get(host, host)
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        raise ValueError(f'"{host}" is not an IPv4 address in numbers, as in 127.0.0.1') from None
    return TcpAddress(host, int(port))


def parse_listener(text: str) -> Listener:
    """`app=HOST:PORT`, `front=HOST:PORT` or `app=unix:PATH`; ValueError says what is wrong."""
    service, equals, address = text.partition("=")
    if not equals or service not in ("app", "front"):
        raise ValueError(f'"{text}" is not app=ADDRESS or front=ADDRESS')
    name: Service = "app" if service == "app" else "front"
    if address.startswith("unix:"):
        return Listener(name, UnixAddress(address.removeprefix("unix:")))
    return Listener(name, parse_tcp(address))
