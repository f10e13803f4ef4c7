"""Descriptions of gRPC services that follow files and pods; the pods are real gRPC servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from meshgate.app.descriptors import Asked, Descriptors
from meshgate.model.graph import Model
from meshgate.pipeline import Built, build, read_texts
from tests.envoy import shop_grpc

MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {ports: [{name: grpc, port: 80}]}
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: gw%s}
plugin: grpc-gateway
config: %s
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, annotations: {konghq.com/plugins: gw}}
spec:
  rules:
  - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}
"""
REFLECTING = MANIFESTS % (', annotations: {meshgate.dev/grpc-reflection: "true"}', "{}")
KEY = "reflection/shop.default.svc.cluster.local:80"


def _built(text: str) -> Built:
    documents, problems = read_texts({"in.yaml": text})
    assert not problems
    return build(documents)


class _Told:
    """Waits for what `Descriptors` tells."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                await self.event.wait()
                self.event.clear()


@asynccontextmanager
async def _following(
    built: Built, pods: Callable[[], tuple[Asked, ...]]
) -> AsyncIterator[tuple[Descriptors, _Told]]:
    told = _Told()
    found = Descriptors(pods_of=lambda host, port: pods(), changed=told.event.set)
    await found.update(built.model, built.declared)
    task = asyncio.create_task(found.run())
    try:
        yield found, told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_a_pod_is_asked_when_it_is_ready_and_again_when_another_takes_over() -> None:
    async def follow() -> None:
        pods: tuple[Asked, ...] = ()
        async with _following(_built(REFLECTING), lambda: pods) as (found, told):
            (said,) = found.problems
            assert (said.code, said.severity.value) == ("MG3113", "warning")
            assert "no ready pod" in said.message
            mute, dull_port = await shop_grpc.serve("127.0.0.1:0")
            pods = (Asked(pod="a", restarts=0, target=f"127.0.0.1:{dull_port}"),)
            found.wake()
            await told.until(lambda: "pod a: it has no server reflection" in found.problems[0].message)
            assert found.problems[0].severity.value == "error"
            talks, port = await shop_grpc.serve("127.0.0.1:0", reflecting=True)
            pods = (*pods, Asked(pod="b", restarts=0, target=f"127.0.0.1:{port}"))
            found.wake()
            await told.until(lambda: KEY in found.facet)
            assert found.problems == ()
            assert found.facet[KEY].services == ("shop.v1.Shop",)
            await asyncio.gather(mute.stop(0), talks.stop(0))

    asyncio.run(follow())


def test_a_file_is_compiled_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "shop.proto"
    good = 'syntax = "proto3";\npackage a;\nimport "b.proto";\nservice %s { rpc Get(B) returns (B); }\n'
    built = _built(MANIFESTS % ("", f"{{proto: {file}}}"))

    def write(path: Path, text: str) -> None:
        beside = tmp_path / "beside"
        beside.write_text(text)
        beside.replace(path)

    def services(model: Model, found: Descriptors) -> list[str]:
        return [name for one in found.facet.values() for name in one.services]

    async def follow() -> None:
        async with _following(built, tuple) as (found, told):
            assert "there is no such file" in found.problems[0].message
            write(file, good % "One")
            await told.until(lambda: "b.proto" in found.problems[0].message)
            write(tmp_path / "b.proto", 'syntax = "proto3";\npackage a;\nmessage B {}\n')
            await told.until(lambda: services(built.model, found) == ["a.One"])
            write(file, good % "Two")
            await told.until(lambda: services(built.model, found) == ["a.Two"])
            write(tmp_path / "b.proto", 'syntax = "proto3";\npackage a;\nmessage B { strin x = 1; }\n')
            await told.until(lambda: bool(found.problems))
            assert 'b.proto:3:13: "strin" is not defined.' in found.problems[0].message
            assert found.facet == {}

    asyncio.run(follow())
