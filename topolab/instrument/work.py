"""The requests that ask for each kind of work, as bytes that are ready to send."""

from __future__ import annotations

import json

from topolab.loads import Work

OWN = "/own"  # where the app has mounted a person's own (app/own)
UNCOUNTED = 1_000_000  # the lap of calls that no lap counts: those of a warm-up


def path(work: Work, lap: int) -> str:
    """What to ask for. Views that call downstream say there which lap they are of."""
    return {
        "greeting": "/",
        "io": f"/io?id={lap}&ms={work.io_ms:g}",
        "cpu": f"/cpu?ms={work.cpu_ms:g}",
        "mixed": f"/mixed?id={lap}&io_ms={work.io_ms:g}&cpu_ms={work.cpu_ms:g}",
        "json": "/json",
        "large": f"/large?size={work.size}",
        "static": f"/static?size={work.size}",
        "front-static": f"/front-static/{work.size}.bin",
        "path": f"{OWN}{work.path}",
    }[work.name]


def request(work: Work, lap: int, host: str, *, keepalive: bool) -> bytes:
    """All of it, body included. HTTP/1.1 keeps connections unless told not to."""
    lines = [f"{'POST' if work.name == 'json' else 'GET'} {path(work, lap)} HTTP/1.1", f"Host: {host}"]
    if not keepalive:
        lines.append("Connection: close")
    body = document(work.size) if work.name == "json" else b""
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def document(size: int) -> bytes:
    """JSON of that size: small records, and padding for what is missing; at least the 27 bytes of an empty one."""
    records: list[dict[str, object]] = []
    left = size - len(_compact({"padding": "", "records": []}))
    while True:
        record = {"id": len(records), "name": f"record {len(records)}", "price": 9.5, "tags": ["a", "b"], "sold": False}
        taken = len(_compact(record)) + (1 if records else 0)  # with its comma
        if taken > left:
            return _compact({"padding": "x" * max(0, left), "records": records})
        left -= taken
        records.append(record)


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
