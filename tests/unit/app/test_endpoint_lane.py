"""The end of pods without a sidecar, as seen by others: in the order that tasks may take it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from meshgate.app.endpoint_lane import EndpointLane
from meshgate.app.instances import Instances
from meshgate.app.live import Live
from meshgate.pipeline import build, read_texts
from meshgate.runtime.placement import Placement
from meshgate.runtime.redirect import Services
from meshgate.runtime.spec import ContainerSpec, Isolation, PodSpec
from meshgate.runtime.status import Phase, PodStatus
from meshgate.xds.status import Liveness

MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, command: [web], ports: [{containerPort: 8080}]}]}
"""
ADDRESS = "10.0.8.1"


@dataclass
class Kernel:
    """A runtime whose rules take as long to load as the test wants."""

    statuses: list[PodStatus]
    specs: list[PodSpec]
    loaded: Services = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    loading: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def pods(self) -> list[PodStatus]:
        return self.statuses

    def supervised(self) -> list[tuple[PodSpec, Placement]]:
        return [(spec, _place()) for spec in self.specs]

    def proxied(self) -> list[PodSpec]:
        return [spec for spec in self.specs if spec.meshed]

    async def set_services(self, services: Services) -> None:
        async with self._lock:
            if services != self.loaded:
                self.loading.set()
                await self.go_on.wait()
                self.loaded = services


@dataclass
class Proxies:
    """An xDS server to which none has come back yet; it tells whom it was asked to wait for."""

    waited: set[str] = field(default_factory=set)

    def publish_endpoints(self, instances: Instances) -> None: ...

    def connected(self) -> Collection[str]:
        return ()

    async def wait_live(
        self, node_ids: Collection[str], timeout_s: float, ending: Callable[[str], bool] = lambda _: False
    ) -> Mapping[str, Liveness]:
        self.waited |= {node for node in node_ids if not ending(node)}
        return {}


def _place() -> Placement:
    run = Path("run")
    return Placement(
        isolation=Isolation.NETNS,
        ip="",
        app_ports={},
        inbound_ports={},
        outbound_port=0,
        service_ports={},
        run_dir=run,
        admin_socket=run / "admin",
        xds_socket=run / "xds",
    )


def _pod(number: int) -> tuple[PodSpec, PodStatus]:
    spec = PodSpec(
        name=f"web-{number}",
        namespace="default",
        workload="web",
        containers=(ContainerSpec(name="app", argv=("web",)),),
        spec_hash="1",
    )
    status = PodStatus(
        name=spec.name,
        namespace=spec.namespace,
        spec_hash=spec.spec_hash,
        workload=spec.workload,
        ip=f"10.0.0.{number}",
        phase=Phase.RUNNING,
        ready=True,
        available=True,
        labels={},
        restarts=0,
        port_map={8080: 8080},
        inbound_ports={},
        service_ports={},
        pids={},
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return spec, status


def test_a_pod_ends_only_when_rules_that_another_ones_end_has_begun_to_load_are_there() -> None:
    async def body() -> None:
        documents, _ = read_texts({"in.yaml": MANIFESTS})
        live = Live(
            model=replace(build(documents).model, addresses={"web.default.svc.cluster.local": ADDRESS})
        )
        specs, statuses = zip(*(_pod(number) for number in (1, 2, 3)), strict=True)
        kernel = Kernel(list(statuses), list(specs))
        lane = EndpointLane(live, kernel, Proxies(), Isolation.NETNS, lambda _: None)
        kernel.go_on.set()
        await lane.take(statuses)
        assert [ip for ip, _ in kernel.loaded[ADDRESS][80]] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]

        kernel.go_on.clear()
        kernel.loading.clear()
        # Two end in the same moment: the first one's withdrawal tells of both.
        kernel.statuses = [replace(status, phase=Phase.TERMINATING) for status in statuses[:2]]
        kernel.statuses.append(statuses[2])
        ends = [asyncio.create_task(lane.withdraw(status)) for status in kernel.statuses[:2]]
        await kernel.loading.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        assert [end.done() for end in ends] == [False, False]
        kernel.go_on.set()
        await asyncio.gather(*ends)
        assert [ip for ip, _ in kernel.loaded[ADDRESS][80]] == ["10.0.0.3"]

    asyncio.run(asyncio.wait_for(body(), 30))


def test_the_end_waits_for_proxies_that_have_not_come_back_yet() -> None:
    """A control plane that has just begun: its proxies serve, and route as the last one told them."""

    async def body() -> None:
        specs, statuses = zip(*(_pod(number) for number in (1, 2)), strict=True)
        kernel = Kernel(list(statuses), [replace(spec, meshed=True) for spec in specs])
        kernel.go_on.set()
        kernel.statuses[0] = replace(statuses[0], phase=Phase.TERMINATING)
        proxies = Proxies()
        lane = EndpointLane(Live(), kernel, proxies, Isolation.NETNS, lambda _: None)
        await lane.withdraw(kernel.statuses[0])
        assert proxies.waited == {"sidecar~web-2.default~1"}, "its own is going itself"

    asyncio.run(asyncio.wait_for(body(), 30))
