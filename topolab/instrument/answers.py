"""Just enough of HTTP/1.1 to know when an answer is whole, what its status is, and whether its connection is kept.

Heads are parsed once: servers repeat them, but for a date that changes once a second.
"""

from __future__ import annotations

from typing import NamedTuple

END = b"\r\n\r\n"
MOST_HEADS = 4096  # remembered
HEAD_BYTES = 65536  # a longer one is none

CHUNKED = -1
UNTIL_CLOSED = -2


class Head(NamedTuple):
    """What an answer's head says. `size`: bytes of head and body together, or CHUNKED, or UNTIL_CLOSED."""

    status: int
    size: int
    keeps: bool  # the server keeps the connection


def parse(head: bytes) -> Head:
    """A head up to and with its empty line. ValueError where that is no HTTP/1."""
    lines = head[: -len(END)].lower().split(b"\r\n")
    version, _, rest = lines[0].partition(b" ")
    if version not in (b"http/1.1", b"http/1.0"):
        raise ValueError(f"{lines[0][:40]!r} is no answer")
    status = int(rest[:3])
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
    connection = fields.get(b"connection", b"")
    keeps = b"keep-alive" in connection if version == b"http/1.0" else b"close" not in connection
    if status < 200 or status in (204, 304):
        return Head(status, len(head), keeps)
    if fields.get(b"transfer-encoding", b"").endswith(b"chunked"):
        return Head(status, CHUNKED, keeps)
    if (length := fields.get(b"content-length")) is not None:
        return Head(status, len(head) + int(length), keeps)
    return Head(status, UNTIL_CLOSED, False)


class Heads:
    """Parses a head when it is new."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}

    def of(self, head: bytes) -> Head:
        """ValueError where it is no HTTP/1."""
        found = self._known.get(head)
        if found is None:
            if len(self._known) >= MOST_HEADS:
                self._known.clear()
            found = self._known[head] = parse(head)
        return found

    def whole(self, buffer: bytearray, size: int) -> Head | None:
        """The head of the answer that fills the buffer's first `size` bytes exactly; None where none does."""
        end = buffer.find(END, 0, size)
        if end < 0:
            return None
        try:
            head = self.of(bytes(buffer[: end + len(END)]))
        except ValueError:
            return None
        return head if head.size == size and head.status >= 200 else None


class Partial:
    """An answer that comes in pieces. Only its head is kept; of its body, how much is still to come."""

    def __init__(self, heads: Heads) -> None:
        self._heads = heads
        self._text = b""  # of the head, later of a chunk's size line
        self._left = 0  # bytes of the body, or of the chunk with its line end
        self._last = False  # the chunk of size 0 has come: trailers, then the end
        self.head: Head | None = None
        self.surplus = False  # bytes came behind its end: nobody asked for them

    def feed(self, buffer: bytearray, size: int) -> bool:
        """Takes the buffer's first `size` bytes; whether the answer is whole. ValueError where it is none."""
        if self.head is not None and self.head.size >= 0:
            return self._count(size)
        data = self._text + buffer[:size]
        if self.head is not None:
            return self._body(data)
        while (end := data.find(END)) >= 0:
            end += len(END)
            head, data = self._heads.of(bytes(data[:end])), data[end:]
            if head.status >= 200:  # or else an interim answer: the answer follows
                self.head, self._text, self._left = head, b"", max(0, head.size - end)
                return self._body(data)
        self._text = data
        if len(data) > HEAD_BYTES:
            raise ValueError("its head has no end")
        return False

    def _body(self, data: bytes) -> bool:
        assert self.head
        if self.head.size == UNTIL_CLOSED:
            return False
        return self._chunks(data) if self.head.size == CHUNKED else self._count(len(data))

    def _count(self, size: int) -> bool:
        self._left -= size
        self.surplus = self._left < 0
        return self._left <= 0

    @property
    def left(self) -> int:
        """How many bytes make it whole; 0 where that is not known yet."""
        return self._left if self.head is not None and self.head.size >= 0 else 0

    @property
    def untouched(self) -> bool:
        """Whether nothing of it has come."""
        return self.head is None and not self._text

    def closed(self) -> bool:
        """Whether the end of the connection makes it whole."""
        return self.head is not None and self.head.size == UNTIL_CLOSED

    def _chunks(self, data: bytes) -> bool:
        self._text = b""
        while data:
            if self._left:  # of a chunk, and of the line's end behind it
                taken = min(self._left, len(data))
                self._left -= taken
                data = data[taken:]
                continue
            line, found, rest = data.partition(b"\r\n")
            if not found:
                self._text = data
                return False
            data = rest
            if not self._last:
                size = int(line.partition(b";")[0], 16)
                self._last = size == 0
                self._left = size + 2 if size else 0
            elif not line:  # behind the trailers
                self.surplus = bool(data)
                return True
        return False
