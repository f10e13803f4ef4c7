"""One small HTTP/1.1 question over an open connection, for probes and Envoy's admin."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

_MAX_BODY = 1 << 20


class BadAnswer(Exception):
    """What came back is not HTTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status and a body, cut where it is too long."""

    status: int
    body: bytes


async def ask(
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    method: str,
    path: str,
    headers: tuple[tuple[str, str], ...],
    max_body: int = _MAX_BODY,
) -> Answer:
    """Sends the request, reads the answer and closes; the caller sets the deadline.

    Raises `OSError` or `BadAnswer`.
    """
    reader, writer = streams
    names = {name.lower() for name, _ in headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    lines += [f"{name}: {value}" for name, value in _DEFAULTS if name.lower() not in names]
    try:
        writer.write("\r\n".join((*lines, "", "")).encode())
        await writer.drain()
        head, _, rest = (await _read(reader, max_body)).partition(b"\r\n\r\n")
    finally:
        writer.close()
    return _parse(head, rest)


_DEFAULTS = (
    ("Host", "localhost"),
    ("User-Agent", "meshgate-probe"),
    ("Accept", "*/*"),
    ("Content-Length", "0"),
    ("Connection", "close"),
)


async def _read(reader: asyncio.StreamReader, most: int) -> bytes:
    data = bytearray()
    while len(data) < most:
        part = await reader.read(65536)
        if not part:
            break
        data += part
    return bytes(data)


def _parse(head: bytes, rest: bytes) -> Answer:
    status_line, *fields = head.split(b"\r\n")
    parts = status_line.split(b" ", 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
        raise BadAnswer("no HTTP/1.1 status line")
    chunked = any(line.lower().replace(b" ", b"") == b"transfer-encoding:chunked" for line in fields)
    return Answer(status=int(parts[1]), body=_join_chunks(rest) if chunked else rest)


def _join_chunks(data: bytes) -> bytes:
    body, at = bytearray(), 0
    while at < len(data):
        end = data.find(b"\r\n", at)
        try:
            size = int(data[at:end].partition(b";")[0], 16)
        except ValueError:
            break
        if size == 0 or end < 0:
            break
        body += data[end + 2 : end + 2 + size]
        at = end + 4 + size
    return bytes(body)
