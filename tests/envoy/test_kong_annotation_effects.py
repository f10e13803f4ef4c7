"""Kong's annotations at a real Envoy: how paths are joined, what a route takes, silence and repeats."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.envoy.kong_edge import SERVICE, Answer, Ask, asked, send
from tests.envoy.test_kong_upstreams import built_edge, plain_server, plain_service
from tests.simulate.live import running

pytestmark = pytest.mark.envoy
NOT_FOUND = "no Route matched with those values"


def _service(name: str, annotations: str) -> str:
    return (
        f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, annotations: {{{annotations}}}}}\n"
        "spec: {ports: [{name: http, port: 80}]}\n"
    )


def _ingress(name: str, path: str, kind: str, annotations: str, service: str = "shop") -> str:
    return (
        f"---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}, "
        f"annotations: {{{annotations}}}}}\n"
        f"spec: {{rules: [{{http: {{paths: [{{path: '{path}', pathType: {kind}, "
        f"backend: {{service: {{name: {service}, port: {{number: 80}}}}}}}}]}}}}]}}\n"
    )


SERVICES = SERVICE + _service("bare", "konghq.com/path: /b") + _service("slash", "konghq.com/path: /b/")
STRIP, V1, ANY = "konghq.com/strip-path: 'true'", "konghq.com/path-handling: v1", "ImplementationSpecific"


def test_paths_are_joined_as_kong_does(tmp_path: Path) -> None:
    manifests = (
        _ingress("any", "/any", ANY, STRIP, "bare")
        + _ingress("exact", "/exact", "Exact", STRIP, "bare")
        + _ingress("prefix", "/prefix", "Prefix", STRIP, "slash")
        + _ingress("pattern", "/~/p/(v[0-9])", ANY, STRIP, "bare")
        + _ingress("joined", "/joined", ANY, f"{STRIP}, {V1}", "bare")
        + _ingress("joined-slash", "/slashed", ANY, f"{STRIP}, {V1}", "slash")
        + _ingress("kept", "/", ANY, "konghq.com/host-aliases: root.example", "bare")
    )
    expected = {
        "/any": "/b",
        "/any/": "/b/",
        "/any/x/y?q=/any": "/b/x/y?q=/any",
        "/anyx": "/b/x",
        "/exact": "/b",
        "/prefix": "/b",
        "/prefix/": "/b/",
        "/prefix/x": "/b/x",
        "/p/v1": "/b",
        "/p/v1/x": "/b/x",
        "/p/v1x": "/b/x",
        "/joined": "/b",
        "/joinedx": "/bx",
        "/joined/x": "/b/x",
        "/slashed": "/b/",
        "/slashed/x": "/b/x",
        "/": "/b",
        "/other?q=1": "/b/other?q=1",
    }
    answers = asked(manifests, [Ask(path) for path in expected], tmp_path, service=SERVICES)
    assert dict(zip(expected, (a.seen.path for a in answers), strict=True)) == expected


def test_what_a_route_takes(tmp_path: Path) -> None:
    manifests = (
        _ingress("prefix", "/#/item/[0-9]+$", ANY, "konghq.com/regex-prefix: '/#'")
        + _ingress("plain", "/~/literal", ANY, "konghq.com/regex-prefix: '/#'")
        + _ingress(
            "headers", "/kinds", ANY, "konghq.com/headers.x-kind: 'a,b;c', konghq.com/headers-separator: ;"
        )
    )

    def kind(value: str) -> tuple[tuple[str, str], ...]:
        return (("x-kind", value),)

    requests = [
        Ask("/item/12"),
        Ask("/item/x"),
        Ask("/~/literal"),
        Ask("/literal"),
        Ask("/kinds", headers=kind("A,b")),
        Ask("/kinds", headers=kind("c")),
        Ask("/kinds", headers=kind("b")),
        Ask("/kinds"),
    ]
    answers = asked(manifests, requests, tmp_path)
    assert [a.reached for a in answers] == [True, False, True, False, True, True, False, False]
    assert {(a.status, a.message) for a in answers if not a.reached} == {(404, NOT_FOUND)}


@asynccontextmanager
async def _silent() -> AsyncIterator[int]:
    """A server that reads and says nothing."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def test_silence_and_repeats(tmp_path: Path) -> None:
    text = (
        plain_service("read", "konghq.com/read-timeout: '300'")
        + plain_service("write", "konghq.com/write-timeout: '300'")
        + plain_service("never", "konghq.com/retries: '0'")
        + plain_service("often", "konghq.com/retries: '3'")
    )

    async def body() -> tuple[list[Answer], set[int], set[int]]:
        with socket.socket() as refusing:
            refusing.bind(("127.0.0.1", 0))  # never listens
            gone = refusing.getsockname()[1]
            async with _silent() as silent, plain_server() as good:
                ports = {"read": (silent,), "write": (silent,), "never": (gone, good), "often": (gone, good)}
                config, clusters = built_edge(text, ports)
                async with running(config, "http", tmp_path, None, {}, clusters) as gateway:
                    late = [await send(gateway, Ask(f"/{name}")) for name in ("read", "write")]
                    never = {(await send(gateway, Ask("/never"))).status for _ in range(6)}
                    often = {(await send(gateway, Ask("/often"))).status for _ in range(6)}
                    return late, never, often

    late, never, often = asyncio.run(body())
    assert [(a.status, a.message) for a in late] == [(504, "stream timeout")] * 2
    assert never == {200, 503}
    assert often == {200}
