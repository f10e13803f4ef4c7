"""One connection's bytes, with bounds and deadlines."""

from __future__ import annotations

import asyncio
import contextlib

IDLE_S = 3600.0
"""How long a connection may be silent."""
_CHUNK = 65536
_LINGER_BYTES, _LINGER_S = 8 << 20, 5.0


class Wire:
    """Reads ahead as far as somebody must look to know what a connection speaks."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, *, tls: bool
    ) -> None:
        self._reader, self._writer = reader, writer
        self.port, self.tls = port, tls
        self.buffer = bytearray()
        """What was read and not taken yet."""

    async def more(self) -> bool:
        """Reads some more into the buffer; False at the end of what comes."""
        async with asyncio.timeout(IDLE_S):
            data = await self._reader.read(_CHUNK)
        self.buffer += data
        return bool(data)

    def put_back(self, data: bytes) -> None:
        """What was taken and belongs to somebody else."""
        self.buffer[:0] = data

    async def some(self, limit: int = _CHUNK) -> bytes:
        """What is there, at most `limit`; empty at the end."""
        if not self.buffer and not await self.more():
            return b""
        return self._take(min(limit, len(self.buffer)))

    def _take(self, count: int) -> bytes:
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    async def send(self, data: bytes) -> None:
        """Returns when the other side has taken enough of what was sent."""
        self._writer.write(data)
        async with asyncio.timeout(IDLE_S):
            await self._writer.drain()

    async def linger(self) -> None:
        """Passes over what still comes, up to a bound.

        A socket that is closed before would take back the answer that was sent (RFC 9112, 9.6).
        """
        if self._writer.can_write_eof():
            self._writer.write_eof()
        left = _LINGER_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while left > 0 and (data := await self._reader.read(_CHUNK)):
                    left -= len(data)

    def close(self) -> None:
        """Sends what is left, then ends it."""
        self._writer.close()
