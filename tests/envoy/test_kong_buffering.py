"""Kong's `request-buffering` and `response-buffering` on a real Envoy: what is held back, and what passes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.envoy.kong_edge import Ask, gateway, route, send
from tests.simulate.live import Serving

HELD = route("in", annotations={"konghq.com/request-buffering": "true"}) + route(
    "out", annotations={"konghq.com/response-buffering": "true"}
)
BIG = 9 << 20


class _Slow:
    """A service that says what it has seen, and sends half of an answer before it is told to go on."""

    def __init__(self) -> None:
        self.seen: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self.reached: asyncio.Queue[str] = asyncio.Queue()
        self.go_on = asyncio.Event()

    def serving(self, cluster: str) -> Serving:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    head = (await reader.readuntil(b"\r\n\r\n")).decode()
                    await self._one(head, reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        return answer

    async def _one(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = head.split(" ")[1]
        self.reached.put_nowait(path)
        length = next(
            (int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length")), 0
        )
        body = await reader.readexactly(length)
        self.seen.put_nowait((path, len(body)))
        half = int(path.partition("half=")[2] or 0)
        writer.write(b"HTTP/1.1 200 OK\r\nx-reached: yes\r\ncontent-length: %d\r\n\r\n" % (2 * half))
        if half:
            writer.write(b"x" * half)
            await self.go_on.wait()
            writer.write(b"x" * half)
        await writer.drain()


async def _begin(port: int, path: str, length: int, sent: int) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST %s HTTP/1.1\r\nhost: shop.example\r\ncontent-length: %d\r\n\r\n" % (path.encode(), length)
    )
    writer.write(b"x" * sent)
    await writer.drain()
    return writer


@pytest.mark.envoy
def test_a_request_comes_to_the_service_whole(tmp_path: Path) -> None:
    async def all_of_it() -> None:
        slow = _Slow()
        manifests = HELD + route("plain")
        async with gateway(manifests, tmp_path, answering=slow.serving) as port:
            # Without it the service waits for a slow client.
            plain = await _begin(port, "/plain/slow", 10, 5)
            assert await slow.reached.get() == "/plain/slow"
            held = await _begin(port, "/in/slow", 10, 5)
            # Too long to be held back.
            long = await _begin(port, "/in/long", BIG, 5)
            assert await slow.reached.get() == "/in/long"
            assert (await send(port, Ask("/in/quick", "POST", body=b"12345"))).status == 200
            assert await slow.reached.get() == "/in/quick"
            held.write(b"x" * 5)
            assert await slow.reached.get() == "/in/slow"
            seen = [await slow.seen.get() for _ in range(2)]
            assert seen == [("/in/quick", 5), ("/in/slow", 10)]
            # Neither says how long it is.
            assert (await send(port, Ask("/in/none"))).status == 200
            for writer in (plain, held, long):
                writer.close()

    asyncio.run(all_of_it())


@pytest.mark.envoy
def test_an_answer_comes_to_the_client_whole(tmp_path: Path) -> None:
    open_ones: list[asyncio.StreamWriter] = []

    async def head_of(port: int, path: str) -> tuple[str, asyncio.StreamReader]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        open_ones.append(writer)
        writer.write(f"GET {path} HTTP/1.1\r\nhost: shop.example\r\n\r\n".encode())
        return (await reader.readuntil(b"\r\n\r\n")).decode(), reader

    async def all_of_it() -> None:
        slow = _Slow()
        async with gateway(HELD + route("plain"), tmp_path, answering=slow.serving) as port:
            held = asyncio.create_task(head_of(port, "/out?half=5"))
            assert await slow.reached.get() == "/out?half=5"
            long = await head_of(port, f"/out?half={BIG // 2}")
            plain = await head_of(port, "/plain?half=5")
            assert (await send(port, Ask("/out"))).status == 200
            assert not held.done()
            slow.go_on.set()
            for head, reader in (await held, plain):
                assert head.startswith("HTTP/1.1 200")
                assert await reader.readexactly(10) == b"x" * 10
            assert len(await long[1].readexactly(BIG // 2 * 2)) == BIG // 2 * 2
            assert (await send(port, Ask("/out", "HEAD"))).status == 200
            for writer in open_ones:
                writer.close()

    asyncio.run(all_of_it())
