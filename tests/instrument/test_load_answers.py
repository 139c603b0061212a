"""When an answer is whole, what it says, and whether its connection is kept."""

from __future__ import annotations

import pytest

from topolab.instrument.answers import Head, Heads, Partial, parse

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Head(200, 43, True)),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length:  5 \r\nConnection: close\r\n\r\n", Head(404, 71, False)),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", Head(200, 38, False)),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", Head(200, 62, True)),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Head(204, 27, True)),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", Head(304, 49, True)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Head(200, -1, True)),
        (b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", Head(200, -2, False)),
    ],
)
def test_heads(head: bytes, expected: Head) -> None:
    """Status, size and fate of the connection follow from the head as RFC 9112 has it."""
    assert parse(head) == expected


@pytest.mark.parametrize("head", [b"\r\n\r\n", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/2 200\r\n\r\n"])
def test_what_is_no_head(head: bytes) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError):
        parse(head)


WHOLE = {
    "length": OK + b"Content-Length: 10\r\n\r\n0123456789",
    "empty": OK + b"Content-Length: 0\r\n\r\n",
    "chunked": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok",
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("piece", [1, 2, 7, 1000])
def test_pieces(name: str, piece: int) -> None:
    """However an answer is cut into pieces, it is whole with its last byte, and not before."""
    answer = WHOLE[name]
    part = Partial(Heads())
    assert part.untouched
    pieces = [answer[at : at + piece] for at in range(0, len(answer), piece)]
    wholes = [part.feed(bytearray(data) + b"of earlier", len(data)) for data in pieces]
    assert wholes == [False] * (len(pieces) - 1) + [True]
    assert part.head is not None
    assert part.head.status == 200
    assert not part.surplus
    assert not part.untouched


@pytest.mark.parametrize("name", WHOLE)
def test_surplus(name: str) -> None:
    """Bytes behind an answer that nobody asked for are noticed: the connection can't be trusted any more."""
    data = bytearray(WHOLE[name] + b"HTTP")
    part = Partial(Heads())
    assert part.feed(data, len(data))
    assert part.surplus


def test_until_closed() -> None:
    """Without length and chunks, the end of the connection is the end of the answer; with either, it is not."""
    endless, cut = Partial(Heads()), Partial(Heads())
    assert not endless.feed(bytearray(OK + b"\r\nsome body"), len(OK) + 11)
    assert endless.closed()
    assert not cut.feed(bytearray(WHOLE["length"]), len(WHOLE["length"]) - 1)
    assert not cut.closed()


def test_an_endless_head() -> None:
    """A head that does not end is given up."""
    with pytest.raises(ValueError):
        Partial(Heads()).feed(bytearray(b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000), 70_017)


def test_whole_in_one_read() -> None:
    """What fills the buffer exactly is an answer; less, more, or an interim answer is not taken for one."""
    heads = Heads()
    buffer = bytearray(WHOLE["length"] + b"of earlier")
    size = len(WHOLE["length"])
    assert heads.whole(buffer, size) == Head(200, size, True)
    assert heads.whole(buffer, size - 1) is None
    assert heads.whole(buffer, size + 1) is None
    assert heads.whole(bytearray(WHOLE["chunked"]), len(WHOLE["chunked"])) is None
    assert heads.whole(bytearray(WHOLE["interim"]), 25) is None
    assert heads.whole(bytearray(b"nonsense\r\n\r\n"), 12) is None


def test_remembered_heads_are_bounded() -> None:
    """Servers that never say the same twice do not fill the memory."""
    heads = Heads()
    for number in range(10_000):
        heads.of(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: %d\r\n\r\n" % number)
    assert len(heads._known) <= 4096
