"""What the runtime's tests share: waiting on conditions, pods, and a minimal sidecar."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import TypeVar

from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from google.protobuf import any_pb2, message

from meshgate.runtime.netns import unavailable_reason
from meshgate.runtime.options import RuntimeOptions
from meshgate.runtime.placement import Placement
from meshgate.runtime.runtime import LocalRuntime
from meshgate.runtime.spec import ContainerPort, ContainerSpec, HttpGet, Isolation, PodSpec, Probe
from meshgate.runtime.status import PodStatus

APP = Path(__file__).with_name("app_server.py")
DEADLINE_S = 40
NETNS_REASON = unavailable_reason()


T = TypeVar("T")


def run(work: Coroutine[object, object, T], deadline_s: float = 90) -> T:
    """`asyncio.run` with a deadline."""

    async def body() -> T:
        async with asyncio.timeout(deadline_s):
            return await work

    return asyncio.run(body())


def wait_until(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Blocks until the condition holds; fails with `what` at the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(0.02)


async def until(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """`wait_until` that lets the loop run."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        await asyncio.sleep(0.02)


def _any(value: message.Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(value)
    return packed


def _address(ip: str, port: int) -> address_pb2.Address:
    return address_pb2.Address(socket_address=address_pb2.SocketAddress(address=ip, port_value=port))


def _listener(name: str, port: int, cluster: str) -> listener_pb2.Listener:
    route = route_components_pb2.Route(
        match=route_components_pb2.RouteMatch(prefix="/"),
        route=route_components_pb2.RouteAction(cluster=cluster),
    )
    host = route_components_pb2.VirtualHost(name="all", domains=["*"], routes=[route])
    manager = hcm_pb2.HttpConnectionManager(
        stat_prefix=name,
        route_config=route_pb2.RouteConfiguration(name=name, virtual_hosts=[host]),
        http_filters=[hcm_pb2.HttpFilter(name="router", typed_config=_any(router_pb2.Router()))],
    )
    chain = listener_components_pb2.FilterChain(
        filters=[listener_components_pb2.Filter(name="hcm", typed_config=_any(manager))]
    )
    return listener_pb2.Listener(
        name=name, address=_address("0.0.0.0", port), filter_chains=[chain], traffic_direction="INBOUND"
    )


def _cluster(name: str, port: int) -> cluster_pb2.Cluster:
    endpoint = endpoint_components_pb2.Endpoint(address=_address("127.0.0.1", port))
    return cluster_pb2.Cluster(
        name=name,
        load_assignment=endpoint_pb2.ClusterLoadAssignment(
            cluster_name=name,
            endpoints=[
                endpoint_components_pb2.LocalityLbEndpoints(
                    lb_endpoints=[endpoint_components_pb2.LbEndpoint(endpoint=endpoint)]
                )
            ],
        ),
    )


class Sidecars:
    """Bootstraps an Envoy that passes its first inbound port on to the application."""

    def bootstrap(self, pod: PodSpec, placement: Placement) -> bytes:
        bootstrap = bootstrap_pb2.Bootstrap()
        bootstrap.admin.address.pipe.path = str(placement.admin_socket)
        for number, port in placement.inbound_ports.items():
            bootstrap.static_resources.listeners.append(_listener(f"in{number}", port, f"app{number}"))
            bootstrap.static_resources.clusters.append(_cluster(f"app{number}", placement.app_ports[number]))
        return bytes(bootstrap.SerializeToString())


class Environments:
    """Adds one variable that shows what the factory was told."""

    def environment(self, pod: PodSpec, placement: Placement) -> Mapping[str, str]:
        return {"GIVEN_OUTBOUND": str(placement.outbound_port)}


def make_runtime(state: Path, isolation: Isolation = Isolation.PORTS) -> LocalRuntime:
    """A runtime with the minimal sidecar."""
    return LocalRuntime(
        RuntimeOptions(state=state, isolation=isolation, sidecars=Sidecars(), environments=Environments())
    )


HEALTHZ = Probe(action=HttpGet(path="/healthz", port=8080), period_s=0.2, timeout_s=2)


def make_pod(
    name: str,
    *arguments: str,
    spec_hash: str = "1",
    meshed: bool = False,
    readiness: Probe | None = HEALTHZ,
    liveness: Probe | None = None,
) -> PodSpec:
    """A pod of the test application on container port 8080; workload `echo`."""
    container = ContainerSpec(
        name="app",
        argv=(sys.executable, str(APP), *arguments),
        readiness=readiness,
        liveness=liveness,
    )
    return PodSpec(
        name=name,
        namespace="default",
        workload="echo",
        containers=(container,),
        ports=(ContainerPort(number=8080, name="http-web"),),
        meshed=meshed,
        spec_hash=spec_hash,
        termination_grace_s=5,
    )


async def fetch(ip: str, port: int, path: str = "/") -> tuple[int, str]:
    """One GET; the status and the text."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(ip, port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
            await writer.wait_closed()
    return int(head.split(b" ")[1]), body.decode()


def status_of(runtime: LocalRuntime, pod: PodSpec) -> PodStatus | None:
    """The pod's, if it runs."""
    return next((status for status in runtime.pods() if status.key == pod.key), None)


async def ready(runtime: LocalRuntime, *pods: PodSpec) -> list[PodStatus]:
    """Waits until all are ready; their statuses."""

    def all_ready() -> bool:
        return all((status := status_of(runtime, pod)) and status.ready for pod in pods)

    await until(all_ready, f"ready: {runtime.pods()}")
    return [status for pod in pods if (status := status_of(runtime, pod))]


async def served(state: Path, *pods: PodSpec) -> LocalRuntime:
    """A runtime that has been told of these pods."""
    runtime = make_runtime(state)
    await runtime.adopt()
    await runtime.apply(pods)
    return runtime


def withdrawing(state: Path, withdraw: Callable[[PodStatus], Awaitable[None]]) -> LocalRuntime:
    """A runtime that calls this before a pod is drained."""
    return LocalRuntime(
        RuntimeOptions(
            state=state,
            isolation=Isolation.PORTS,
            sidecars=Sidecars(),
            environments=Environments(),
            withdraw=withdraw,
        )
    )
