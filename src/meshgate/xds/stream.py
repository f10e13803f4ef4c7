"""One open stream: reads requests, writes responses, and keeps both within bounds."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, Protocol, TypeVar

import grpc
from envoy.service.discovery.v3 import discovery_pb2 as discovery
from google.protobuf.message import DecodeError

from meshgate.xds.resource import Response
from meshgate.xds.session import Session
from meshgate.xds.status import Liveness, SessionStatus
from meshgate.xds.view import View

P = TypeVar("P")

_EOF: Final[object] = grpc.aio.EOF  # type: ignore[attr-defined]  # missing in grpc-stubs 1.53
_OUTBOX: Final = 64
"""Responses not yet written at which no more requests are read. An honest client never gets there:
it has at most one unanswered response per type."""


class Wire(Protocol):
    """The part of grpc.aio's context that a stream uses; messages are raw bytes."""

    async def read(self) -> object:
        """The next request's bytes, or `grpc.aio.EOF`."""
        ...

    async def write(self, message: bytes) -> None:
        """Send one response; waits while the peer's flow control is closed."""
        ...


class BadRequest(Exception):
    """The peer sent what is not a delta discovery request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Spans of time, in seconds."""

    quiet_s: float = 0.010
    """A configuration change is published once none came for this long."""
    longest_s: float = 0.100
    """A configuration change is published after this long at the latest."""
    first_request_s: float = 10.0
    """A stream that says nothing for this long is closed."""
    write_s: float = 30.0
    """A peer that does not read for this long is closed; Envoy reconnects by itself."""
    idle_s: float = 0.100
    """A reconnected proxy that is silent for this long has told all that it holds."""
    hold_s: float = 5.0
    """Routes wait for new clusters at most this long (make before break)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStatus:
    """One connected proxy, for `meshgate status`."""

    node_id: str
    connected_since: datetime
    requests: int
    responses: int
    session: SessionStatus


class Stream(Generic[P]):
    """Drives a `Session` over a `Wire`; ends when the peer does."""

    def __init__(self, node_id: str, view: View[P], timing: Timing, since: datetime) -> None:
        self.node_id = node_id
        self.view = view
        self.progressed: Callable[[], None] = lambda: None
        """Called after anything that may have changed `liveness`."""
        self._session = Session(view.proxy, view)
        self._timing = timing
        self._since = since
        self._outbox: deque[Response] = deque()
        self._wake = asyncio.Event()
        self._drained = asyncio.Event()
        self._held_since: float | None = None
        self._requests = 0
        self._responses = 0

    def wake(self) -> None:
        """Have the writer look at what changed; many calls before it runs count as one."""
        self._wake.set()

    def liveness(self) -> Liveness:
        """Whether the proxy acknowledged the newest of everything it asked for."""
        if self._outbox or self.view.is_touched():
            return Liveness.PENDING
        return self._session.liveness()

    def status(self) -> StreamStatus:
        """A snapshot for people."""
        return StreamStatus(
            node_id=self.node_id,
            connected_since=self._since,
            requests=self._requests,
            responses=self._responses,
            session=self._session.status(),
        )

    async def run(self, wire: Wire, first: discovery.DeltaDiscoveryRequest) -> None:
        """Serve until the peer closes the stream; raises `BadRequest`, `TimeoutError` and what bugs raise."""
        self._receive(first)
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(self._write(wire))
                await self._read(wire)
                writer.cancel()
        except* Exception as group:
            raise _first(group) from None

    async def _read(self, wire: Wire) -> None:
        # No deadline: a proxy with nothing to say is silent for days. gRPC's keepalive finds dead peers.
        while (raw := await wire.read()) is not _EOF:
            self._receive(parse(raw))
            while len(self._outbox) >= _OUTBOX:
                self._drained.clear()
                await self._drained.wait()

    def _receive(self, request: discovery.DeltaDiscoveryRequest) -> None:
        self._requests += 1
        self._outbox.extend(self._session.receive(request))
        self._wake.set()
        self.progressed()

    async def _write(self, wire: Wire) -> None:
        while True:
            await self._wait()
            if self.view.is_touched():
                self._outbox.extend(self._session.refresh(self.view.changes()))
            while self._outbox:
                message = self._outbox.popleft().encode()
                async with asyncio.timeout(self._timing.write_s):
                    await wire.write(message)
                self._responses += 1
            self._drained.set()
            self.progressed()

    async def _wait(self) -> None:
        """Until woken, or until the session should be told that time has passed."""
        now = asyncio.get_running_loop().time()
        self._held_since = (self._held_since or now) if self._session.holding else None
        deadline: float | None = None
        if self._session.resuming:
            deadline = now + self._timing.idle_s
        elif self._held_since is not None:
            deadline = self._held_since + self._timing.hold_s
        try:
            async with asyncio.timeout_at(deadline):
                await self._wake.wait()
        except TimeoutError:
            responses = self._session.idle() if self._session.resuming else self._session.release_holds()
            self._outbox.extend(responses)
        self._wake.clear()


def parse(raw: object) -> discovery.DeltaDiscoveryRequest:
    """A request of its bytes; `BadRequest` for anything else."""
    if not isinstance(raw, bytes):
        raise BadRequest("not a message")
    try:
        request = discovery.DeltaDiscoveryRequest.FromString(raw)
    except DecodeError:
        raise BadRequest("not a DeltaDiscoveryRequest") from None
    if not request.type_url:
        raise BadRequest("a request without type_url")
    return request


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    """One of the exceptions of a group, without the group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Exception)
    return error
