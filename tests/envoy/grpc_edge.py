"""A real Envoy as the gateway in front of a real gRPC server, for plain HTTP/1.1 and for gRPC clients."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from meshgate.core.diagnostics import Diagnostic
from meshgate.model.reader import Reader
from meshgate.pipeline import build, read_texts
from meshgate.simulate import stand_in
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.sources.descriptors import DescriptorFiles
from meshgate.translate.self_contained import self_contained
from tests.envoy import shop_grpc
from tests.envoy.kong_edge import Answer, Ask, send, telling
from tests.simulate.live import running

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {ports: [{name: grpc, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: gone}
spec: {ports: [{name: grpc, port: 80}]}
"""
GONE = "outbound|80||gone.default.svc.cluster.local"
SHOP = "outbound|80||shop.default.svc.cluster.local"


def described(text: str) -> tuple[Diagnostic, ...]:
    """What is said about the manifests, and about the descriptions that they name."""
    documents, problems = read_texts({"in.yaml": SERVICE + text})
    built = build(documents)
    _, undescribed = DescriptorFiles().read(built.model, built.declared)
    return (*problems, *built.diagnostics, *undescribed)


@asynccontextmanager
async def edge(text: str, folder: Path) -> AsyncIterator[int]:
    """The port of a gateway whose service `shop` is there."""
    documents, _ = read_texts({"in.yaml": SERVICE + text})
    built = build(documents)
    found, _ = DescriptorFiles().read(built.model, built.declared)
    stood = stand_in(built.model)
    # Nothing is invented for descriptions that cannot be had.
    model = replace(stood, descriptors=found)
    config = self_contained(Reader(model), gateway_proxy())
    with tempfile.TemporaryDirectory(prefix="mg-grpc-") as short:
        socket = Path(short, "s.sock")
        server, _ = await shop_grpc.serve(f"unix:{socket}")
        try:
            async with running(
                config, "http", folder, telling, {SHOP: socket, GONE: Path(short, "gone")}
            ) as port:
                yield port
        finally:
            await server.stop(0)


def asked(text: str, requests: Iterable[Ask], folder: Path) -> list[Answer]:
    """The answers, in order."""

    async def answers() -> list[Answer]:
        async with edge(text, folder) as port:
            return [await send(port, request) for request in requests]

    return asyncio.run(answers())
