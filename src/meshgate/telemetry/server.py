"""Serves metrics over HTTP on an address of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from meshgate.telemetry.exposition import CONTENT_TYPE

_log = structlog.get_logger(__name__)
PATHS = ("/metrics", "/stats/prometheus")
REQUEST_DEADLINE_S = 5.0
MAX_HEAD = 16_384


class MetricsServer:
    """`run` it in a task; answers `GET /metrics` with what `produce` gives."""

    def __init__(self, address: str, port: int, produce: Callable[[], Awaitable[str]]) -> None:
        self._address, self._port, self._produce = address, port, produce
        self._one_at_a_time = asyncio.Lock()

    async def run(self) -> None:
        """Serves until cancelled; raises `OSError` where the port cannot be taken."""
        server = await asyncio.start_server(self._serve, self._address, self._port, limit=MAX_HEAD)
        async with server:
            await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_DEADLINE_S):
                head = await reader.readuntil(b"\r\n\r\n")
            status, body = await self._answer(head.split(b"\r\n", 1)[0].decode("latin-1"))
            lines = (
                f"HTTP/1.1 {status}",
                f"Content-Type: {CONTENT_TYPE}",
                f"Content-Length: {len(body)}",
                "Connection: close",
            )
            writer.write("\r\n".join((*lines, "", "")).encode() + body)
            async with asyncio.timeout(REQUEST_DEADLINE_S):
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        except Exception as error:
            _log.error("metrics_failed", error=type(error).__name__)
        finally:
            writer.close()

    async def _answer(self, request: str) -> tuple[str, bytes]:
        method, _, rest = request.partition(" ")
        if method != "GET":
            return "405 Method Not Allowed", b"only GET\n"
        if rest.partition(" ")[0].partition("?")[0] not in PATHS:
            return "404 Not Found", b"metrics are at /metrics\n"
        async with self._one_at_a_time:
            return "200 OK", (await self._produce()).encode()
