"""Draining, against an admin that answers when and what the test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import chain, repeat
from pathlib import Path

import pytest

from meshgate.runtime import envoy_admin
from tests.unit.runtime.tools import run

Answering = Callable[[str], str | None]
"""Path -> body; None for no answer at all."""


@asynccontextmanager
async def admin(socket: Path, answer: Answering) -> AsyncIterator[None]:
    serving: set[asyncio.Future[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            if (body := answer(path)) is None:
                await reader.read()
            else:
                writer.write(f"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}".encode())
        finally:
            writer.close()
            await writer.wait_closed()

    def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.ensure_future(serve(reader, writer)))

    async with await asyncio.start_unix_server(met, str(socket)):
        yield
        await asyncio.gather(*serving, return_exceptions=True)


def counts(requests: int, connections: int = 0) -> str:
    """What Envoy's admin says; the question itself, and what the pod's program asks, count for nothing."""
    return (
        "http.admin.downstream_rq_active: 1\nhttp.admin.downstream_cx_active: 1\n"
        f"http.inbound_8080.downstream_rq_active: {requests}\n"
        f"http.inbound_8080.downstream_cx_active: {connections}\nhttp.outbound.downstream_cx_active: 1\n"
    )


@pytest.mark.parametrize(
    ("said", "looks"),
    [
        pytest.param([(2, 1), (0, 0), (1, 1), (0, 0)], 5, id="twice-nothing-at-all"),
        pytest.param([(0, 1), (0, 1), (0, 1), (0, 0)], 4, id="until-the-last-client-has-gone"),
        pytest.param([(0, 1)], 20, id="a-client-that-stays-is-not-waited-for-for-ever"),
    ],
)
def test_drains_until_no_request_is_in_flight_however_slow_envoy_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[tuple[int, int]], looks: int
) -> None:
    # Whoever asks for a moment only has gone before any answer comes.
    monkeypatch.setattr(envoy_admin, "_DEADLINE_S", 0)
    monkeypatch.setattr(envoy_admin, "_POLL_S", 0)
    asked: list[str] = []
    active = chain(said, repeat(said[-1]))

    def answer(path: str) -> str:
        asked.append(path.partition("?filter")[0])
        return counts(*next(active)) if "filter" in path else "OK\n"

    async def body() -> None:
        async with admin(tmp_path / "s", answer):
            await envoy_admin.drain(tmp_path / "s", 60, close="?graceful")

    run(body())
    assert asked == ["/healthcheck/fail", "/drain_listeners?graceful", *["/stats"] * looks]


def test_waits_no_longer_than_it_may_and_for_nobody_who_is_gone(tmp_path: Path) -> None:
    async def body() -> None:
        await envoy_admin.drain(tmp_path / "s", 60, close="")
        async with admin(tmp_path / "s", lambda path: None):
            await envoy_admin.drain(tmp_path / "s", 0.05, close="")

    run(body())
