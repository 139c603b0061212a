"""Ports of stacks."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from topolab.runtimes import ports


def test_a_free_port_is_none_that_an_outgoing_connection_can_take() -> None:
    """The kernel never gives it away between the choice and the listening."""
    low, high = map(int, ports.EPHEMERAL.read_text().split())
    assert not any(low <= ports.free_port() <= high for _ in range(50))


def test_a_taken_port_is_not_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all ports but two are ephemeral and one of them is taken, it is the other."""
    with socket.socket() as taken:
        one = ports.free_port()
        taken.bind(("127.0.0.1", one))
        ephemeral = tmp_path / "range"
        ephemeral.write_text(f"{one + 2}\t65535\n")
        monkeypatch.setattr(ports, "EPHEMERAL", ephemeral)
        monkeypatch.setattr(ports, "LOWEST", one)
        assert ports.free_port() == one + 1


def test_where_every_port_is_ephemeral_one_is_chosen_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine may have opened its whole range."""
    ephemeral = tmp_path / "range"
    ephemeral.write_text("1024\t65535\n")
    monkeypatch.setattr(ports, "EPHEMERAL", ephemeral)
    assert ports.free_port() > 1023
