"""gRPC: every method of every service gets its own messages back; health checks hear SERVING.

A message that comes back as it was is a valid answer wherever the two types have like fields, and an
answer whose fields are unknown to the client where they have not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from meshgate.standins.identity import Identity
from meshgate.standins.stream import Stream

_HEALTH = "/grpc.health.v1.Health/"
_SERVING = b"\x08\x01"
"""HealthCheckResponse with `status: SERVING`."""
_REFLECTION = "/grpc.reflection."
_MESSAGE_LIMIT = 4 << 20
_OK, _RESOURCE_EXHAUSTED, _UNIMPLEMENTED, _INTERNAL = 0, 8, 12, 13


class _Refused(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


async def serve(stream: Stream, identity: Identity) -> None:
    """One call."""
    method = stream.header(":path")
    head = (
        (":status", "200"),
        ("content-type", stream.header("content-type")),
        ("x-stand-in", identity.header),
        *((("x-stand-in-version", identity.version),) if identity.version else ()),
    )
    if (encoding := stream.header("grpc-encoding")) not in ("", "identity"):
        head = (*head, ("grpc-encoding", encoding))
    await stream.send_headers(head)
    status, why = _OK, ""
    try:
        if method.startswith(_REFLECTION):
            raise _Refused(_UNIMPLEMENTED, "a stand-in knows no services: name the .proto file")
        async for message in _messages(stream):
            if method.startswith(_HEALTH):
                message = b"\0" + len(_SERVING).to_bytes(4) + _SERVING
            await stream.send_data(message)
            if method == f"{_HEALTH}Check":
                break
    except _Refused as refused:
        status, why = refused.status, refused.why
    print(f"{method!a} grpc-status {status}", flush=True)
    trailers = (("grpc-status", str(status)), *((("grpc-message", why),) if why else ()))
    await stream.send_headers(trailers, ends=True)


async def _messages(stream: Stream) -> AsyncIterator[bytes]:
    """Each with its prefix, compressed or not."""
    waiting = bytearray()
    async for part in stream.chunks():
        waiting += part
        while len(waiting) >= 5:
            size = int.from_bytes(waiting[1:5])
            if size > _MESSAGE_LIMIT:
                raise _Refused(_RESOURCE_EXHAUSTED, "the message is longer than 4 MiB")
            if len(waiting) < 5 + size:
                break
            yield bytes(waiting[: 5 + size])
            del waiting[: 5 + size]
    if waiting:
        raise _Refused(_INTERNAL, "the last message is cut off")
