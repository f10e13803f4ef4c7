"""What the tests of this room share: a clock that stands still, and Envoy's side of the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from envoy.service.ratelimit.v3 import rls_pb2

from meshgate.ratelimit.descriptors import DOMAIN
from meshgate.ratelimit.server import SERVICE

DEADLINE_S = 15.0
"""How long a test waits for what must come."""

NOON = datetime(2026, 3, 31, 12, 30, 15, 250_000, tzinfo=UTC)


class StillClock:
    """Time that moves when it is told to."""

    def __init__(self, now: datetime = NOON) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def advance(self, **span: float) -> None:
        self.time += timedelta(**span)


def request(*descriptors: dict[str, str]) -> bytes:
    """A serialised RateLimitRequest with these descriptors."""
    message = rls_pb2.RateLimitRequest(domain=DOMAIN)
    for entries in descriptors:
        descriptor = message.descriptors.add()
        for key, value in entries.items():
            descriptor.entries.add(key=key, value=value)
    serialised: bytes = message.SerializeToString()
    return serialised


def read(answer: bytes) -> tuple[bool, dict[str, str]]:
    """Whether the request passes, and the response headers."""
    message = rls_pb2.RateLimitResponse.FromString(answer)
    headers = {header.key: header.value for header in message.response_headers_to_add}
    return message.overall_code == rls_pb2.RateLimitResponse.OK, headers


Ask = Callable[..., Awaitable[tuple[bool, dict[str, str]]]]


@asynccontextmanager
async def asking(socket: Path) -> AsyncIterator[Ask]:
    """A function that asks the service at this socket about one request."""
    # A pool of its own: gRPC otherwise shares one connection between all channels of a process.
    options = (("grpc.use_local_subchannel_pool", 1),)
    async with grpc.aio.insecure_channel(f"unix:{socket}", options=options) as channel:
        call = channel.unary_unary(f"/{SERVICE}/ShouldRateLimit", bytes, bytes)

        async def ask(**entries: str) -> tuple[bool, dict[str, str]]:
            return read(await call(request(entries), timeout=DEADLINE_S, wait_for_ready=True))

        yield ask


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Returns once the condition holds; fails after the deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while not await condition():
            await asyncio.sleep(0.01)


async def refusal(asked: Awaitable[object]) -> grpc.StatusCode:
    """The gRPC status of a call that must fail."""
    try:
        await asked
    except grpc.aio.AioRpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    raise AssertionError("the call did not fail")
