"""Asks the process that keeps answers what it holds, and tells it what to forget."""

from __future__ import annotations

import json
from pathlib import Path

import grpc

from meshgate.bridge.cache.service import CACHE
from meshgate.sources.backend import AdminError, JsonObject

DEADLINE_S = 5.0


async def purge(socket: Path, selector: JsonObject) -> JsonObject:
    """Forgets what the selector means: `{"purged": COUNT}`. Raises `AdminError`."""
    return await _call(socket, "Purge", selector)


async def stats(socket: Path) -> JsonObject:
    """What it holds and did. Raises `AdminError`."""
    return await _call(socket, "Stats", {})


async def _call(socket: Path, method: str, query: JsonObject) -> JsonObject:
    if not socket.exists():
        raise AdminError(
            "not_found", "no route here keeps answers", "name a KongPlugin with plugin: proxy-cache on one"
        )
    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
        call = channel.unary_unary(f"/{CACHE}/{method}", _same, _same)
        try:
            answer = await call(json.dumps(query).encode(), timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise AdminError(
                "unavailable",
                f"the cache does not answer ({error.code().name})",
                "`meshgate logs meshgate-cache` may say why; try again",
            ) from error
    found = json.loads(answer)
    assert isinstance(found, dict)
    return found


def _same(message: bytes) -> bytes:
    return message
