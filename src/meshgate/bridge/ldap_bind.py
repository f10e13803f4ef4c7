"""Asks a directory whether a password is right: one bind (LDAPv3, RFC 4511) on a connection of its own.

A bind is a question of four fields and an answer of which one counts, so no library stands between.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from meshgate.core.secret import Secret

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._@")
MAX_ANSWER_BYTES = 64 * 1024

_SEQUENCE, _INTEGER, _OCTETS, _ENUMERATED = 0x30, 0x02, 0x04, 0x0A
_BIND, _BIND_ANSWER, _UNBIND = 0x60, 0x61, 0x42
_EXTENDED, _EXTENDED_ANSWER = 0x77, 0x78
_SIMPLE, _REQUEST_NAME = 0x80, 0x80
_START_TLS = b"1.3.6.1.4.1.1466.20037"
_SUCCESS = 0


class DirectoryError(Exception):
    """The directory could not be asked; the message has nothing of the question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a directory is, and how it is spoken to."""

    address: str
    port: int
    name: str
    """What its certificate must be for."""
    ldaps: bool = False
    start_tls: bool = False
    verify: bool = False
    timeout_s: float = 10.0


def escaped(value: str) -> str:
    """A value for a distinguished name, whatever is in it: all but the plainest characters as `\\XX`
    (RFC 4514, 2.4)."""
    return "".join(c if c in _PLAIN else "".join(f"\\{b:02x}" for b in c.encode()) for c in value)


async def binds(place: Place, name: str, password: Secret) -> bool:
    """Whether the directory lets in by that name and password. Raises `DirectoryError`.

    An empty password would ask for nothing (RFC 4513, 5.1.2) and succeed, so it is refused here.
    """
    if not password.reveal():
        return False
    try:
        async with asyncio.timeout(place.timeout_s):
            return await _ask(place, name.encode(), password.reveal())
    except TimeoutError:
        raise DirectoryError("does not answer in time") from None
    except (OSError, EOFError) as error:
        raise DirectoryError(type(error).__name__) from None


async def _ask(place: Place, name: bytes, password: bytes) -> bool:
    tls = _context(place) if place.ldaps or place.start_tls else None
    reader, writer = await asyncio.open_connection(
        place.address,
        place.port,
        ssl=tls if place.ldaps else None,
        server_hostname=place.name if place.ldaps else None,
    )
    try:
        if place.start_tls and tls is not None:
            wanted = _tlv(_EXTENDED, _tlv(_REQUEST_NAME, _START_TLS))
            if await _exchange(reader, writer, wanted, _EXTENDED_ANSWER) != _SUCCESS:
                raise DirectoryError("refuses StartTLS")
            await writer.start_tls(tls, server_hostname=place.name)
        bind = _tlv(_BIND, _tlv(_INTEGER, b"\x03") + _tlv(_OCTETS, name) + _tlv(_SIMPLE, password))
        code = await _exchange(reader, writer, bind, _BIND_ANSWER)
        writer.write(_message(_tlv(_UNBIND, b"")))
        return code == _SUCCESS
    finally:
        writer.close()


def _context(place: Place) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not place.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, operation: bytes, wanted: int
) -> int:
    """Sends an operation, and gives the result code of its answer."""
    writer.write(_message(operation))
    tag, body = await _read(reader)
    if tag != _SEQUENCE:
        raise DirectoryError("does not speak LDAP")
    fields = _fields(body)
    if len(fields) < 2 or fields[0][0] != _INTEGER or fields[1][0] != wanted:
        raise DirectoryError("answers something else")
    result = _fields(fields[1][1])
    if not result or result[0][0] != _ENUMERATED:
        raise DirectoryError("answers something else")
    return int.from_bytes(result[0][1], "big")


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One element with its tag."""
    tag, length = await reader.readexactly(2)
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(await reader.readexactly(count), "big") if 0 < count <= 4 else -1
    if not 0 <= length <= MAX_ANSWER_BYTES:
        raise DirectoryError("answers too much")
    return tag, await reader.readexactly(length)


def _fields(body: bytes) -> list[tuple[int, bytes]]:
    """The elements in an element (BER with lengths of a kind that are known beforehand)."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at + 2 <= len(body):
        tag, length = body[at], body[at + 1]
        at += 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(body[at : at + count], "big")
            at += count
        if at + length > len(body):
            raise DirectoryError("answers something else")
        found.append((tag, body[at : at + length]))
        at += length
    return found


def _message(operation: bytes) -> bytes:
    # One question at a time: the number of a message need not change.
    return _tlv(_SEQUENCE, _tlv(_INTEGER, b"\x01") + operation)


def _tlv(tag: int, body: bytes) -> bytes:
    length = len(body)
    if length < 0x80:
        return bytes((tag, length)) + body
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + body
