"""Clients that ask for too much: they are told so or cut off, and the others do not notice."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path

import pytest

from tests.envoy.raw_edge import Edge, edge, status
from tests.simulate.live import DEADLINE_S

pytestmark = pytest.mark.envoy

MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: open}
spec:
  rules:
  - http:
      paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]
"""
START = b"GET / HTTP/1.1\r\nhost: shop.example\r\n"
END = b"connection: close\r\n\r\n"
SLOW_CLIENTS = 10_000
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, RST_STREAM, PING, HEADERS, CONTINUATION = 4, 3, 6, 1, 9
GET = b"\x82\x86\x84\x01\x0cshop.example"
"""HPACK: GET, http, /, and the host."""


def test_too_many_and_too_large_headers_are_431(tmp_path: Path) -> None:
    asks = {
        "70 KB in one header": START + b"x: " + b"a" * 70_000 + b"\r\n" + END,
        "70 KB in many headers": START
        + b"".join(b"x%d: " % i + b"a" * 800 + b"\r\n" for i in range(88))
        + END,
        "101 more headers": START + b"".join(b"x%d: 1\r\n" % i for i in range(101)) + END,
        "a path of 70 KB": START.replace(b"/ ", b"/" + b"a" * 70_000 + b" ") + END,
        "a token of 70 KB": START + b"authorization: Bearer " + b"a" * 70_000 + b"\r\n" + END,
    }

    async def ask() -> dict[str, int]:
        async with edge(MANIFESTS, tmp_path) as gateway:
            answers = await asyncio.gather(*(gateway.say(sent) for sent in asks.values()))
            assert status(await gateway.say(START + b"x: " + b"a" * 50_000 + b"\r\n" + END)) == 200
            return {name: status(answer) for name, answer in zip(asks, answers, strict=True)}

    assert asyncio.run(ask()) == dict.fromkeys(asks, 431)


def test_slow_clients_do_not_keep_the_others_waiting(tmp_path: Path) -> None:
    """10,000 clients that never end their headers, and clients that do."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < SLOW_CLIENTS + 1_000:
        pytest.skip(f"this machine allows {hard} open files, and {SLOW_CLIENTS} clients need more")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    async def ask() -> None:
        async with edge(MANIFESTS, tmp_path) as gateway:
            slow: list[asyncio.StreamWriter] = []
            try:
                while len(slow) < SLOW_CLIENTS:
                    found = await asyncio.gather(*(_half_a_request(gateway) for _ in range(500)))
                    slow += found
                    assert status(await gateway.say(START + END)) == 200
                assert sum(not writer.is_closing() for writer in slow) == SLOW_CLIENTS
            finally:
                for writer in slow:
                    writer.transport.abort()

    asyncio.run(ask())


async def _half_a_request(gateway: Edge) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(START)
    return writer


def _frame(kind: int, stream: int, payload: bytes = b"", flags: int = 0) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


FLOODS = {
    "resets right after requests": b"".join(
        _frame(HEADERS, s, GET, flags=5) + _frame(RST_STREAM, s, b"\0\0\0\x08") for s in range(1, 20_001, 2)
    ),
    "pings": _frame(PING, 0, bytes(8)) * 100_000,
    "settings": _frame(SETTINGS, 0) * 100_000,
    "headers without end": _frame(HEADERS, 1, GET, flags=1)
    + _frame(CONTINUATION, 1, b"\x00\x01x\x7f\xa1\x07" + b"a" * 1_056) * 1_000,
}


@pytest.mark.parametrize("name", sorted(FLOODS))
def test_a_flood_of_http2_frames_ends_the_connection(name: str, tmp_path: Path) -> None:
    """Rapid reset (CVE-2023-44487), control frames and CONTINUATION (CVE-2024-27316) and their kin."""

    async def ask() -> None:
        async with edge(MANIFESTS, tmp_path) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(PREFACE + _frame(SETTINGS, 0) + FLOODS[name])
            try:
                async with asyncio.timeout(DEADLINE_S):
                    while await reader.read(65_536):
                        pass
            except ConnectionResetError:
                pass
            finally:
                writer.transport.abort()
            assert status(await gateway.say(START + END)) == 200

    asyncio.run(ask())
