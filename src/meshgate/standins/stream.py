"""One request of an HTTP/2 connection, as those who answer it see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from meshgate.standins.wire import IDLE_S

Header = tuple[str, str]


class StreamGone(Exception):
    """The client has given the request up."""


class Sender(Protocol):
    """The connection."""

    async def grant(self, stream: Stream, size: int) -> None: ...
    async def send_headers(self, stream: Stream, headers: tuple[Header, ...], *, ends: bool) -> None: ...
    async def send_data(self, stream: Stream, data: bytes, *, ends: bool) -> None: ...


class Stream:
    """Its headers, its body as it comes, and the way back."""

    task: asyncio.Task[None]
    """Who answers it."""

    def __init__(self, number: int, headers: tuple[Header, ...], sender: Sender) -> None:
        self.number, self.headers, self._sender = number, headers, sender
        self.ended = False
        """The client has sent all."""
        self.gone = False
        self._waiting: asyncio.Queue[tuple[bytes, int]] = asyncio.Queue()

    def header(self, name: str) -> str:
        """Its first value; empty where there is none."""
        return next((value for key, value in self.headers if key == name), "")

    def take(self, data: bytes, size: int) -> None:
        """The next part of the body; `size` is what it took of the window, by which the queue is bounded."""
        self._waiting.put_nowait((data, size))

    def end(self) -> None:
        """No more comes."""
        self.ended = True
        self._waiting.put_nowait((b"", 0))

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body. The client may send more only when a part has been taken here."""
        while not (self.ended and self._waiting.empty()):
            async with asyncio.timeout(IDLE_S):
                data, size = await self._waiting.get()
            if size:
                await self._sender.grant(self, size)
            if data:
                yield data

    async def send_headers(self, headers: tuple[Header, ...], *, ends: bool = False) -> None:
        """Headers or trailers."""
        await self._sender.send_headers(self, headers, ends=ends)

    async def send_data(self, data: bytes, *, ends: bool = False) -> None:
        """A part of the answer; raises `StreamGone` where nobody wants it any more."""
        await self._sender.send_data(self, data, ends=ends)
