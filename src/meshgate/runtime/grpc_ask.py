"""grpc.health.v1.Health/Check over an open connection, for probes.

The two messages are small enough to be written by hand. A process with gRPC's own library for each
question would cost half a second of a core, which a dozen pods ask for several times in a second.
"""

from __future__ import annotations

import asyncio

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import ProtocolError

from meshgate.runtime.http_ask import BadAnswer

_SERVING = b"\0\0\0\0\x02\x08\x01"
"""A message, not compressed: HealthCheckResponse with status 1."""
_MOST = 1024
"""Bytes of an answer; a longer one is none of a health check."""


class _Answer:
    """What has come of it."""

    def __init__(self) -> None:
        self.body = b""
        self.http_status = self.grpc_status = ""
        self.ended = False

    def take(self, event: Event) -> None:
        match event:
            case DataReceived(data=bytes(data)):
                self.body += data
            case ResponseReceived(headers=headers) | TrailersReceived(headers=headers):
                found = {bytes(name): bytes(value).decode("latin-1") for name, value in headers or ()}
                self.http_status = found.get(b":status", self.http_status)
                self.grpc_status = found.get(b"grpc-status", self.grpc_status)
            case StreamEnded():
                self.ended = True
            case StreamReset():
                raise BadAnswer("the call was reset")
            case _:
                pass
        if len(self.body) > _MOST:
            raise BadAnswer("the answer is no health check's")


async def health(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], host: str, service: str) -> str:
    """Why it does not serve; empty where it does. Closes; the caller sets the deadline.

    Raises `OSError` or `BadAnswer`.
    """
    reader, writer = streams
    connection = H2Connection(H2Configuration(client_side=True, header_encoding=None))
    answer = _Answer()
    try:
        connection.initiate_connection()
        connection.send_headers(1, _head(host))
        connection.send_data(1, _message(service), end_stream=True)
        while not answer.ended:
            writer.write(connection.data_to_send())
            await writer.drain()
            data = await reader.read(65536)
            if not data:
                raise BadAnswer("the connection ended before an answer")
            if data.startswith(b"HTTP/"):
                raise BadAnswer("no HTTP/2")  # as a frame it would only be one that takes long to come
            for event in connection.receive_data(data):
                answer.take(event)
    except ProtocolError as error:
        raise BadAnswer("no HTTP/2") from error
    finally:
        writer.close()
    if answer.http_status != "200":
        return f"HTTP status {answer.http_status}"
    if answer.grpc_status != "0":
        return f"gRPC status {answer.grpc_status or 'missing'}"
    return "" if answer.body == _SERVING else "it does not say SERVING"


def _head(host: str) -> list[tuple[str, str]]:
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", host),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "meshgate-probe"),
    ]


def _message(service: str) -> bytes:
    """HealthCheckRequest with its prefix."""
    name = service.encode()
    length, size = b"", len(name)
    while size > 0x7F:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    message = b"\x0a" + length + bytes([size]) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message
