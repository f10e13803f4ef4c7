"""Receivers of Kong's logs that are Services of ours, and ones that hang: by a real Envoy, real bridges."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import struct
from pathlib import Path

import pytest

from meshgate.core.diagnostics import Severity
from meshgate.model.graph import Model
from meshgate.model.reader import Reader
from meshgate.pipeline import build, read_texts
from meshgate.policies.bridge import CLUSTER as BRIDGE
from meshgate.policies.route_logs import CLUSTER as LOGS
from meshgate.simulate import stand_in
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.translate.self_contained import self_contained
from tests.envoy.bridge_process import bridging
from tests.envoy.kong_edge import SERVICE, Ask, consumer, plugin, route, send, telling
from tests.envoy.log_receivers import DEADLINE_S, Receivers, receiving
from tests.envoy.test_kong_hmac_auth import _signed
from tests.simulate.live import running

ALICE = consumer("alice", {"alice-signs": ("hmac-auth", {"username": "alice-1", "secret": "hush"})})
MOST_CONNECTIONS = 100
"""Of one http-log receiver: aiohttp's own limit."""


def _sink(name: str, namespace: str, port: int, protocol: str = "TCP") -> str:
    """A Service whose one pod is this machine."""
    return (
        f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
        f"spec: {{ports: [{{name: in, port: 9, protocol: {protocol}}}]}}\n"
        f"---\napiVersion: v1\nkind: Endpoints\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
        f"subsets: [{{addresses: [{{ip: 127.0.0.1}}], ports: [{{name: in, port: {port}, "
        f"protocol: {protocol}}}]}}]\n"
    )


def _model(text: str) -> Model:
    documents, problems = read_texts({"in.yaml": SERVICE + text})
    built = build(documents)
    said = [str(d) for d in (*problems, *built.diagnostics) if d.severity is Severity.ERROR]
    assert not said, said
    return built.model


@pytest.mark.envoy
def test_a_service_receives(tmp_path: Path) -> None:
    """By the three kinds of names, over HTTP, TCP and UDP; a cluster's plugin has no namespace of its own."""

    def manifests(to: Receivers) -> str:
        return (
            _sink("lines", "default", to.tcp)
            + _sink("web", "logging", to.http)
            + _sink("grams", "logging", to.udp, "UDP")
            + plugin("tcp", "tcp-log", "{host: lines, port: 9}")
            + plugin("http", "http-log", "{http_endpoint: 'http://me:secret@web.logging:9/in?a=b'}")
            + plugin("udp", "udp-log", "{host: grams.logging.svc.cluster.local, port: 9}")
            + plugin(
                "stats",
                "statsd",
                "{host: grams.logging.svc, port: 9, metrics: [{name: request_count, "
                "stat_type: counter, sample_rate: 1}]}",
            )
            + route("told", "tcp", "http", "udp", "stats")
        )

    async def all_of_it() -> None:
        async with receiving() as to:
            model = _model(manifests(to))
            config = self_contained(Reader(stand_in(model)), gateway_proxy())
            async with (
                bridging(model, tmp_path) as sockets,
                running(config, "http", tmp_path, telling, sockets) as port,
            ):
                assert (await send(port, Ask("/told"))).status == 200
                await to.got.until(lambda: bool(to.got.lines and to.got.http) and len(to.got.datagrams) == 2)
        ((line, headers, _),) = to.got.http
        assert line == "POST /in?a=b HTTP/1.1"
        assert headers["host"] == "web.logging.svc.cluster.local:9"
        assert headers["authorization"].startswith("Basic ")

    asyncio.run(all_of_it())


class _Hung:
    """Takes connections and everything that is sent, and never answers."""

    def __init__(self) -> None:
        self.held: list[asyncio.StreamWriter] = []
        self.more = asyncio.Event()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.held.append(writer)
        self.more.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while len(self.held) < count:
                self.more.clear()
                await self.more.wait()


@pytest.mark.envoy
def test_whoever_hangs_holds_no_decision_up(tmp_path: Path) -> None:
    """A receiver that holds all its connections, then a process for logs that does nothing at all."""

    async def all_of_it() -> None:
        hung = _Hung()
        server = await asyncio.start_server(hung.take, "127.0.0.1", 0)
        number = server.sockets[0].getsockname()[1]
        model = _model(
            ALICE
            + plugin("signed", "hmac-auth", "{enforce_headers: [x-date, '@request-target']}")
            + plugin(
                "hangs",
                "http-log",
                f"{{http_endpoint: 'http://127.0.0.1:{number}/', timeout: 600000, "
                "queue: {concurrency_limit: -1}}",
            )
            + route("signed", "signed", "hangs")
            + route("open", "hangs")
        )
        config = self_contained(Reader(stand_in(model)), gateway_proxy())
        async with (
            bridging(model, tmp_path) as sockets,
            running(config, "http", tmp_path, telling, sockets) as port,
        ):
            good, bad = Ask("/signed", headers=_signed("/signed")), Ask("/signed")
            for _ in range(MOST_CONNECTIONS + 5):
                assert (await send(port, Ask("/open"))).status == 200
            await hung.until(MOST_CONNECTIONS)
            assert [(await send(port, ask)).status for ask in (good, bad)] == [200, 401]
            assert _pid(sockets[LOGS]) != _pid(sockets[BRIDGE])
            os.kill(_pid(sockets[LOGS]), signal.SIGSTOP)
            try:
                assert [(await send(port, ask)).status for ask in (good, bad)] == [200, 401]
            finally:
                os.kill(_pid(sockets[LOGS]), signal.SIGCONT)
        for writer in hung.held:
            writer.close()
        server.close()

    asyncio.run(all_of_it())


def _pid(path: Path) -> int:
    """Of the process that listens there."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))
        return int(struct.unpack("3i", caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])


@pytest.mark.envoy
def test_for_one_consumer_and_one_group(tmp_path: Path) -> None:
    """On a route without a log: hers alone, and that of his group; the route's own stays for others."""

    def manifests(to: Receivers) -> str:
        ann, bob, carl = (
            consumer(name, {f"{name}-key": ("key-auth", {"key": f"key-of-{name}"})})
            for name in ("ann", "bob", "carl")
        )
        group = (
            "---\napiVersion: configuration.konghq.com/v1beta1\nkind: KongConsumerGroup\n"
            "metadata: {name: gold, annotations: {kubernetes.io/ingress.class: kong, "
            "konghq.com/plugins: grams}}\n"
        )
        return (
            ann.replace("annotations: {", "annotations: {konghq.com/plugins: lines, ")
            + bob.replace("username: bob\n", "username: bob\nconsumerGroups: [gold]\n")
            + carl
            + group
            + plugin("key", "key-auth", "{}")
            + plugin("lines", "tcp-log", f"{{host: 127.0.0.1, port: {to.tcp}}}")
            + plugin("grams", "udp-log", f"{{host: 127.0.0.1, port: {to.udp}}}")
            + plugin("all", "http-log", f"{{http_endpoint: 'http://127.0.0.1:{to.http}/'}}")
            + route("quiet", "key")
            + route("told", "key", "all")
        )

    async def all_of_it() -> None:
        async with receiving() as to:
            model = _model(manifests(to))
            config = self_contained(Reader(stand_in(model)), gateway_proxy())
            async with (
                bridging(model, tmp_path) as sockets,
                running(config, "http", tmp_path, telling, sockets) as port,
            ):
                for path in ("/quiet/1", "/told/2"):
                    for name in ("carl", "bob", "ann", "nobody"):
                        await send(port, Ask(path, headers=(("apikey", f"key-of-{name}"),)))
                await to.got.until(
                    lambda: len(to.got.http) == 4 and len(to.got.lines) == 2 and len(to.got.datagrams) == 2
                )
        for line, path in zip(to.got.lines, ("/quiet/1", "/told/2"), strict=True):
            assert (line["consumer"]["username"], line["request"]["uri"]) == ("ann", path)
            assert line["request"]["headers"]["apikey"] == "REDACTED"
        for gram in map(json.loads, to.got.datagrams):
            assert gram["consumer"]["username"] == "bob"
        told = [json.loads(body) for _, _, body in to.got.http]
        assert sorted(one["response"]["status"] for one in told) == [200, 200, 200, 401]

    asyncio.run(all_of_it())
