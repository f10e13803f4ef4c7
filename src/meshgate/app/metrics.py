"""All metrics of one Meshgate: its proxies', its applications', and its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path

import meshgate
from meshgate.app import cache
from meshgate.app.control_plane import ControlPlane
from meshgate.app.pods import served_namespace
from meshgate.bridge.identifiers import NODE
from meshgate.model.graph import Model
from meshgate.model.names import GATEWAY_NAMESPACE, TRUST_DOMAIN, Name
from meshgate.model.policy import Prometheus
from meshgate.model.reader import Reader
from meshgate.runtime import envoy_admin
from meshgate.runtime.http_ask import BadAnswer, ask
from meshgate.runtime.placement import Placement
from meshgate.runtime.probes import connect
from meshgate.runtime.spec import PodSpec
from meshgate.sources.backend import AdminError
from meshgate.telemetry.directory import Directory, Who
from meshgate.telemetry.exposition import Exposition
from meshgate.telemetry.istio import Subject
from meshgate.telemetry.kong_node import NODE_STATS, add_node, add_targets
from meshgate.telemetry.scrape import PROXY_STATS, Fetch, Target, scrape
from meshgate.translate.destination import destination_policy, traffic_policy
from meshgate.translate.names import ClusterName
from meshgate.xds.types import short

SCRAPE, PORT, PATH = "prometheus.io/scrape", "prometheus.io/port", "prometheus.io/path"
"""Annotations of a pod template, as Prometheus' own examples and Istio read them."""
MAX_BODY = 64 << 20


class Metrics:
    """Asked for the text of all metrics, now."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._known: tuple[Model, Directory] | None = None

    async def text(self) -> str:
        """In Prometheus' format."""
        found = Exposition()
        self._own(found)
        targets = [
            self._target(spec, placement)
            for spec, placement in self._plane.runtime.supervised()
            if not served_namespace(spec)
        ]
        await self._cache(found)
        await scrape(targets, self._directory(), found)
        await self._kong(found)
        return await asyncio.to_thread(found.text)

    def _directory(self) -> Directory:
        model = self._plane.live.model
        if self._known is None or self._known[0] is not model:
            self._known = (model, Directory(model))
        return self._known[1]

    def _target(self, spec: PodSpec, placement: Placement) -> Target:
        workload = Name(spec.namespace, spec.workload)
        subject = Subject(
            pod=spec.name,
            workload=workload,
            who=Who.of(workload, spec.labels),
            principal=f"spiffe://{TRUST_DOMAIN}/ns/{spec.namespace}/sa/{spec.service_account}",
        )
        proxy = _proxy(placement.admin_socket) if spec.meshed else None
        return Target(subject=subject, proxy=proxy, application=self._application(spec, placement))

    def _application(self, spec: PodSpec, placement: Placement) -> Fetch | None:
        declared = self._plane.live.model.workloads.get(f"{spec.namespace}/{spec.workload}")
        said = declared.annotations if declared else {}
        if said.get(SCRAPE) != "true" or not spec.containers:
            return None
        first = next((port.number for port in declared.ports), 80) if declared else 80
        written = said.get(PORT, "")
        port = int(written) if written.isascii() and written.isdigit() and len(written) < 6 else first
        path = said.get(PATH) or "/metrics"

        async def fetch() -> str | None:
            try:
                streams = await asyncio.open_connection(sock=await connect(placement, port))
                answer = await ask(streams, "GET", path, (), max_body=MAX_BODY)
            except (OSError, BadAnswer):
                return None
            return answer.body.decode(errors="replace") if answer.status == 200 else None

        return fetch

    async def _cache(self, found: Exposition) -> None:
        """What the cache holds and did, where one runs."""
        try:
            counts = await cache.stats(self._plane.cache_socket)
        except AdminError:
            return
        for name, value in counts.items():
            if isinstance(value, int):
                found.gauge(f"meshgate_cache_{name}", value, {}, "See `meshgate cache stats`.")

    async def _kong(self, found: Exposition) -> None:
        """What Kong's `prometheus` tells of each gateway and its targets, where any route has the plugin."""
        model = self._plane.live.model
        rules = (rule for host in model.edge_hosts.values() for rule in host.rules)
        counting = [p for rule in rules for p in rule.every_policy if isinstance(p, Prometheus)]
        for spec, placement in self._plane.runtime.supervised() if counting else ():
            if not spec.host_network:
                continue
            stats = await envoy_admin.stats(placement.admin_socket, NODE_STATS)
            if stats is not None:
                add_node(stats, NODE, meshgate.__version__, found)
            if any(p.upstream_health for p in counting):
                told = await envoy_admin.clusters(placement.admin_socket, MAX_BODY)
                if told is not None:
                    add_targets(told, partial(_checked, Reader(model)), found)

    def _own(self, found: Exposition) -> None:
        """What the control plane knows of itself."""
        plane = self._plane
        found.gauge("meshgate_build_info", 1, {"version": meshgate.__version__}, "The version that runs.")
        streams = plane.server.status()
        found.gauge("meshgate_xds_connected_proxies", len(streams), {}, "Proxies with an open xDS stream.")
        states = Counter(plane.server.liveness(one.node_id).value for one in streams)
        acked: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        for stream in streams:
            for kind in stream.session.types:
                acked[short(kind.type_url)] += len(kind.acked)
                refused[short(kind.type_url)] += len(kind.rejected)
        for state, count in sorted(states.items()):
            found.gauge("meshgate_xds_proxies", count, {"state": state}, "Proxies by what they hold.")
        for name, count in sorted(acked.items()):
            found.gauge(
                "meshgate_xds_resources", count, {"type": name}, "Resources that proxies acknowledged."
            )
        for name in sorted(acked):
            found.gauge(
                "meshgate_xds_rejected", refused[name], {"type": name}, "Resources refused at present."
            )
        for stream in streams:
            labels = {"proxy": stream.node_id}
            found.gauge("meshgate_xds_pushes", stream.responses, labels, "Answers sent since it connected.")
        for svid in plane.svids.svids():
            labels = {"identity": str(svid.spiffe_id)}
            expiry = svid.not_after.timestamp()
            found.gauge("meshgate_certificate_expiry_timestamp_seconds", expiry, labels, "Certificates held.")
        ready = Counter(
            (status.namespace, status.workload) for status in plane.live.statuses.values() if status.ready
        )
        for namespace, name in sorted({(p.namespace, p.workload) for p in plane.live.pods.values()}):
            labels = {"namespace": namespace, "workload": name}
            found.gauge(
                "meshgate_ready_pods", ready[namespace, name], labels, "Pods that may be sent requests."
            )
        said = Counter(one.severity.value for one in plane.live.diagnostics)
        for severity in ("error", "warning", "info"):
            labels = {"severity": severity}
            found.gauge("meshgate_diagnostics", said[severity], labels, "What `meshgate status` lists.")


def _checked(reader: Reader, cluster: ClusterName) -> bool:
    """Whether the gateway looks after the health of a cluster's targets."""
    rules = destination_policy(reader, cluster.host, GATEWAY_NAMESPACE)
    policy = traffic_policy(rules, cluster.port, cluster.subset)
    return policy.outliers is not None or policy.check is not None


def _proxy(socket: Path) -> Fetch:
    async def fetch() -> str | None:
        return await envoy_admin.prometheus(socket, PROXY_STATS, MAX_BODY)

    return fetch
