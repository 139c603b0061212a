"""Just enough HTTP/1.1 for one request per connection."""

from __future__ import annotations

from topolab.instrument.board import Fate

BODY = b"\r\n\r\n"


def request(path: str, host: str) -> bytes:
    """A GET that asks the server to close the connection after its answer."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


def with_id(path: str, request_id: str) -> str:
    """The path that names its request to the handler."""
    return f"{path}{'&' if '?' in path else '?'}id={request_id}"


def outcome(received: bytes, *, closed: bool) -> Fate | None:
    """ANSWERED, ERROR (status 400 or more) or CLOSED (too early); None while more has to come."""
    head, found, body = received.partition(BODY)
    if found:
        headers = head.lower().split(b"\r\n")
        length = next((line[15:] for line in headers if line.startswith(b"content-length:")), b"").strip()
        chunked = any(line.startswith(b"transfer-encoding:") and line.endswith(b"chunked") for line in headers)
        if chunked:
            complete = body.endswith(b"0\r\n\r\n")
        elif length.isdigit():
            complete = len(body) >= int(length)
        else:
            complete = closed
        if complete:
            return Fate.ANSWERED if 0 < status(received) < 400 else Fate.ERROR
    return Fate.CLOSED if closed else None


def status(received: bytes) -> int:
    """Of an answer; 0 where it has none."""
    word = received[:64].split(b" ")[1:2]
    return int(word[0][:3]) if word and word[0][:3].isdigit() else 0


def keeps_open(received: bytes) -> bool:
    """Whether the server says that it keeps the connection after this answer."""
    head = received.partition(BODY)[0].lower()
    connection = [line.partition(b":")[2].strip() for line in head.split(b"\r\n") if line.startswith(b"connection:")]
    return b"close" not in connection and (head.startswith(b"http/1.1") or b"keep-alive" in connection)
