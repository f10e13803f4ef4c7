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

    async def set_services(self, services: Services) -> None:
        async with self._lock:
            if services != self.loaded:
                self.loading.set()
                await self.go_on.wait()
                self.loaded = services


class Proxies:
    """None is connected, so there is nobody to wait for."""

    def publish_endpoints(self, instances: Instances) -> None: ...

    def connected(self) -> Collection[str]:
        return ()

    async def wait_live(
        self, node_ids: Collection[str], timeout_s: float, ending: Callable[[str], bool] = lambda _: False
    ) -> Mapping[str, Liveness]:
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
