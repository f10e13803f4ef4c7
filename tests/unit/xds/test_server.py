"""The gRPC server with a real grpc.aio client over a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from envoy.config.cluster.v3 import cluster_pb2 as cluster
from envoy.config.endpoint.v3 import endpoint_pb2 as endpoint
from envoy.config.route.v3 import route_components_pb2 as components
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest as Request
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse as Answer

from meshgate.core.secret import Secret
from meshgate.xds.server import METHOD, SERVICE, Hooks, Listen, Server
from meshgate.xds.session import Session
from meshgate.xds.status import Liveness
from meshgate.xds.stream import Timing
from meshgate.xds.tokens import Tokens
from meshgate.xds.types import CLUSTER, ENDPOINT, VIRTUAL_HOST
from tests.unit.xds.small import SmallModel, SmallReader, small_store

DEADLINE_S = 60.0
NODE = "node"


@dataclass(slots=True)
class Bench:
    """A running server and what its hooks were told."""

    server: Server[SmallModel, SmallReader, str]
    socket: Path
    token: Secret
    model: SmallModel
    met: list[str] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def stream(self, token: str | None = None) -> AsyncIterator[Client]:
        text = self.token.reveal_text() if token is None else token
        async with grpc.aio.insecure_channel(f"unix:{self.socket}") as channel:
            call = channel.stream_stream(f"/{SERVICE}/{METHOD}", bytes, bytes)
            metadata = (("authorization", f"Bearer {text}"),) if text else ()
            # Without an iterator of requests the call is written to; grpc-stubs 1.53 does not know.
            yield Client(call(metadata=metadata, timeout=DEADLINE_S))  # type: ignore[call-arg]


@dataclass(slots=True)
class Client:
    call: grpc.aio.StreamStreamCall[bytes, bytes]

    async def say(self, request: Request) -> None:
        request.node.id = NODE
        await self.call.write(request.SerializeToString())

    async def hear(self) -> Answer:
        raw = await self.call.read()
        assert isinstance(raw, bytes)
        return Answer.FromString(raw)

    async def ack(self, answer: Answer) -> None:
        await self.say(Request(type_url=answer.type_url, response_nonce=answer.nonce))


def _run(play: Callable[[Bench], Awaitable[None]], tmp_path: Path, timing: Timing | None = None) -> None:
    async def serve() -> None:
        model = SmallModel().put("clusters", "a", cluster.Cluster(name="a")).put("instances", "a", (1,))
        tokens: Tokens[str] = Tokens()
        met: list[str] = []
        hooks: Hooks[str] = Hooks(
            on_connect=lambda node, proxy: met.append(f"+{node} {proxy}"),
            on_disconnect=lambda node, proxy: met.append(f"-{node} {proxy}"),
        )
        socket = tmp_path / "s"
        server = Server(
            small_store(model), tokens.authenticate, Listen(socket=socket), timing=timing, hooks=hooks
        )
        running = asyncio.create_task(server.run())
        try:
            async with asyncio.timeout(DEADLINE_S):
                await server.started.wait()
                await play(Bench(server, socket, tokens.issue(NODE, "proxy"), model, met))
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert not socket.exists()

    asyncio.run(serve())


def test_one_resource_from_request_to_live(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        assert stat.S_IMODE(bench.socket.stat().st_mode) == 0o600
        assert bench.server.liveness(NODE) is Liveness.DISCONNECTED
        async with bench.stream() as client:
            await client.say(Request(type_url=CLUSTER, resource_names_subscribe=["a", "b"]))
            answer = await client.hear()
            (resource,) = answer.resources
            assert cluster.Cluster.FromString(resource.resource.value).name == "a"
            assert resource.resource.type_url == answer.type_url == CLUSTER
            assert list(answer.removed_resources) == ["b"]
            assert bench.server.liveness(NODE) is Liveness.PENDING
            assert await bench.server.wait_live([NODE], 0) == {NODE: Liveness.PENDING}
            await client.ack(answer)
            assert await bench.server.wait_live([NODE], DEADLINE_S) == {NODE: Liveness.LIVE}
            (status,) = bench.server.status()
            assert (status.node_id, status.responses) == (NODE, 1)
            assert status.session.types[0].acked == {"a": resource.version}
        while NODE in {s.node_id for s in bench.server.status()}:
            await asyncio.sleep(0)
        assert bench.met == ["+node proxy", "-node proxy"]

    _run(play, tmp_path)


def test_a_proxy_that_ends_while_others_wait_for_it_keeps_nobody_waiting(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        async with bench.stream() as client:
            await client.say(Request(type_url=CLUSTER, resource_names_subscribe=["a"]))
            await client.hear()
            ending = asyncio.create_task(bench.server.wait_live([NODE], 60, lambda node: node == NODE))
            staying = asyncio.create_task(bench.server.wait_live([NODE], 0.2))
            await asyncio.sleep(0)
            assert not ending.done()
        assert await asyncio.wait_for(ending, DEADLINE_S) == {NODE: Liveness.DISCONNECTED}
        assert await staying == {NODE: Liveness.DISCONNECTED}

    _run(play, tmp_path)


def test_refusal_is_reported(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        async with bench.stream() as client:
            await client.say(Request(type_url=CLUSTER, resource_names_subscribe=["a"]))
            answer = await client.hear()
            refusal = Request(type_url=CLUSTER, response_nonce=answer.nonce)
            refusal.error_detail.message = "no such policy"
            await client.say(refusal)
            assert await bench.server.wait_live([NODE], DEADLINE_S) == {NODE: Liveness.REJECTED}
            (status,) = bench.server.status()
            assert status.session.types[0].last_nack == "no such policy"

    _run(play, tmp_path)


@pytest.mark.parametrize("token", ["", "wrong", "ünicode"])
def test_stranger_is_refused(tmp_path: Path, token: str) -> None:
    async def play(bench: Bench) -> None:
        async with bench.stream(token.encode("ascii", "replace").decode()) as client:
            with contextlib.suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):
                await client.say(Request(type_url=CLUSTER))
            assert await client.call.code() is grpc.StatusCode.UNAUTHENTICATED
        assert bench.met == []

    _run(play, tmp_path)


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff", b"", b"\x08\x01" * 1000])
@pytest.mark.parametrize("first", [True, False])
def test_garbage_ends_only_its_own_stream(tmp_path: Path, garbage: bytes, first: bool) -> None:
    async def play(bench: Bench) -> None:
        async with bench.stream() as client:
            if not first:
                await client.say(Request(type_url=CLUSTER))
                await client.hear()
            await client.call.write(garbage)
            assert await client.call.code() is grpc.StatusCode.INVALID_ARGUMENT
        async with bench.stream() as client:
            await client.say(Request(type_url=CLUSTER, resource_names_subscribe=["a"]))
            assert [r.name for r in (await client.hear()).resources] == ["a"]

    _run(play, tmp_path)


def test_silent_stream_is_closed(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        async with bench.stream() as client:
            assert await client.call.code() is grpc.StatusCode.INVALID_ARGUMENT

    _run(play, tmp_path, Timing(first_request_s=0.01))


def test_of_many_configurations_the_newest_is_sent_and_endpoints_do_not_wait(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        async with bench.stream() as client:
            await client.say(Request(type_url=CLUSTER, resource_names_subscribe=["a"]))
            await client.ack(await client.hear())
            await client.say(Request(type_url=ENDPOINT, resource_names_subscribe=["a"]))
            await client.ack(await client.hear())
            for seconds in range(1, 6):
                changed = cluster.Cluster(name="a")
                changed.connect_timeout.FromSeconds(seconds)
                bench.server.publish(bench.model.put("clusters", "a", changed))
            assert bench.server.liveness(NODE) is Liveness.PENDING
            bench.server.publish_endpoints({"a": (2,)})
            first, second = await client.hear(), await client.hear()
            assert (first.type_url, second.type_url) == (ENDPOINT, CLUSTER)
            assert cluster.Cluster.FromString(second.resources[0].resource.value).connect_timeout.seconds == 5
            await client.ack(first)
            await client.ack(second)
            assert await bench.server.wait_live([NODE], DEADLINE_S) == {NODE: Liveness.LIVE}

    _run(play, tmp_path, Timing(quiet_s=0.2, longest_s=0.5))


def test_facets_that_come_with_a_configuration_come_when_it_does(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        async def ports() -> list[int]:
            answer = await client.hear()
            assert answer.type_url == ENDPOINT
            await client.ack(answer)
            found = endpoint.ClusterLoadAssignment.FromString(answer.resources[0].resource.value)
            return [e.endpoint.address.socket_address.port_value for e in found.endpoints[0].lb_endpoints]

        async with bench.stream() as client:
            await client.say(Request(type_url=ENDPOINT, resource_names_subscribe=["a"]))
            assert await ports() == [1]
            bench.server.publish_endpoints({"a": (2,)})
            assert await ports() == [2]
            bench.server.publish(bench.model, {"instances": {"a": (3,)}})
            assert await ports() == [3], "the short lane's own is not what counts for ever"
            bench.server.publish(bench.model, {"instances": {"a": (4,)}})
            bench.server.publish_endpoints({"a": (5,)})
            assert await ports() == [5]
            assert await bench.server.wait_live([NODE], DEADLINE_S) == {NODE: Liveness.LIVE}
            bench.server.publish_endpoints({"a": (6,)})
            assert await ports() == [6], "what came later by the short lane is not undone"

    _run(play, tmp_path)


def test_new_stream_of_a_proxy_counts_before_its_old_one_ends(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        async with bench.stream() as old:
            await old.say(Request(type_url=CLUSTER, resource_names_subscribe=["a"]))
            await old.hear()
            async with bench.stream() as new:
                await new.say(Request(type_url=CLUSTER, resource_names_subscribe=["a"]))
                await new.ack(await new.hear())
                assert await bench.server.wait_live([NODE], DEADLINE_S) == {NODE: Liveness.LIVE}
                assert len(bench.server.status()) == 1

    _run(play, tmp_path)


def test_route_is_not_held_for_ever(tmp_path: Path) -> None:
    """The proxy never asks for the endpoints of the cluster that its route names."""

    async def play(bench: Bench) -> None:
        made = cluster.Cluster(name="b", type=cluster.Cluster.EDS)
        made.eds_cluster_config.eds_config.ads.SetInParent()
        host = components.VirtualHost(name="out/h")
        host.routes.add().route.cluster = "b"
        model = bench.model.put("clusters", "b", made).put("virtual_hosts", "out/h", host)
        for facet in ("clusters", "virtual_hosts"):
            bench.server.publish_facet(facet, model.facets[facet])
        async with bench.stream() as client:
            await client.say(Request(type_url=CLUSTER, resource_names_subscribe=["b"]))
            await client.say(Request(type_url=VIRTUAL_HOST, resource_names_subscribe=["out/h"]))
            first = await client.hear()
            await client.ack(first)
            second = await client.hear()
            assert (first.type_url, second.type_url) == (CLUSTER, VIRTUAL_HOST)
            (status,) = bench.server.status()
            assert "not ready: b" in status.session.notes[-1]

    _run(play, tmp_path, Timing(hold_s=0.05))


def test_cluster_gone_while_the_proxy_was_away_is_removed_once_it_is_silent(tmp_path: Path) -> None:
    async def play(bench: Bench) -> None:
        async with bench.stream() as client:
            await client.say(Request(type_url=CLUSTER, initial_resource_versions={"gone": "1"}))
            empty = await client.hear()
            assert not empty.removed_resources
            await client.ack(empty)
            removal = await client.hear()
            assert list(removal.removed_resources) == ["gone"]
            await client.ack(removal)
            assert await bench.server.wait_live([NODE], DEADLINE_S) == {NODE: Liveness.LIVE}

    _run(play, tmp_path, Timing(idle_s=0.01))


def test_path_too_long_for_a_socket_says_so(tmp_path: Path) -> None:
    async def play() -> None:
        server = Server(small_store(SmallModel()), lambda _t, _n: "p", Listen(socket=tmp_path / ("x" * 120)))
        with pytest.raises(OSError, match="107 bytes"):
            await server.run()

    asyncio.run(play())


def test_loopback_port(tmp_path: Path) -> None:
    async def play() -> None:
        server = Server(small_store(SmallModel()), lambda _t, _n: "p", Listen(tcp="127.0.0.1:0"))
        running = asyncio.create_task(server.run())
        await asyncio.wait_for(server.started.wait(), DEADLINE_S)
        assert server.port > 0
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(play())


def test_only_loopback_is_listened_on() -> None:
    async def play() -> None:
        server = Server(small_store(SmallModel()), lambda _t, _n: "p", Listen(tcp="0.0.0.0:0"))
        with pytest.raises(OSError, match="not a loopback address"):
            await server.run()

    asyncio.run(play())


def test_bug_in_a_stream_ends_only_that_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(bench: Bench) -> None:
        async with bench.stream() as client:
            await client.say(Request(type_url=CLUSTER, resource_names_subscribe=["a"]))
            await client.ack(await client.hear())
            await bench.server.wait_live([NODE], DEADLINE_S)
            with monkeypatch.context() as patch:
                patch.setattr(Session, "receive", lambda _self, _request: 1 / 0)
                await client.say(Request(type_url=CLUSTER))
                assert await client.call.code() is grpc.StatusCode.INTERNAL
        async with bench.stream() as client:
            await client.say(Request(type_url=CLUSTER, resource_names_subscribe=["a"]))
            assert [r.name for r in (await client.hear()).resources] == ["a"]

    _run(play, tmp_path)


def test_tokens() -> None:
    tokens: Tokens[str] = Tokens()
    first = tokens.issue("n", "proxy")
    assert tokens.authenticate(first.reveal_text(), "n") == "proxy"
    assert tokens.authenticate(first.reveal_text(), "other") is None
    assert tokens.authenticate("", "n") is None
    second = tokens.issue("n", "proxy")
    assert tokens.authenticate(first.reveal_text(), "n") is None
    tokens.revoke("n")
    assert tokens.authenticate(second.reveal_text(), "n") is None
