"""The stack under test: what listens where."""

from __future__ import annotations

from dataclasses import dataclass

from topolab.instrument.addresses import Address, Listener, TcpAddress


@dataclass(frozen=True, slots=True)
class Stack:
    """The services under test, and the gate. Several apps are instances behind one front."""

    apps: tuple[Address, ...]
    front: TcpAddress | None
    gate: TcpAddress

    @property
    def entry(self) -> TcpAddress:
        """Where the clients go."""
        entry = self.front or self.apps[0]
        assert isinstance(entry, TcpAddress)  # the command line sees to it
        return entry

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """The apps, then the front."""
        apps = tuple(Listener("app", address) for address in self.apps)
        return (*apps, Listener("front", self.front)) if self.front else apps
