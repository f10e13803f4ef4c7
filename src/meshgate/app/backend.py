"""The control plane as the admin API sees it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import urlsplit

from google.protobuf import json_format

import meshgate
from meshgate.app import cache
from meshgate.app.control_plane import ControlPlane
from meshgate.app.events import Events
from meshgate.app.gateway_statuses import Served
from meshgate.app.generated import (
    endpoint_slice_objects,
    endpoints_object,
    pod_object,
    stood_in_for,
    workload_status,
)
from meshgate.app.metrics import Metrics
from meshgate.app.patches import refused_patches
from meshgate.app.pods import served_namespace
from meshgate.app.proxies import proxy_id
from meshgate.core.diagnostics import Diagnostic, ObjectRef, Severity
from meshgate.core.origin import BUILT_IN
from meshgate.dialects.document import Document
from meshgate.model.graph import Model
from meshgate.model.names import Name, service_host
from meshgate.model.proxy import Isolation as ModelIsolation
from meshgate.model.proxy import Proxy
from meshgate.model.reader import Reader
from meshgate.runtime.guard import RESTARTS_VARIABLE
from meshgate.runtime.spec import PodKey
from meshgate.simulate.call import GATEWAY, UnknownCaller, call
from meshgate.simulate.json_form import as_json
from meshgate.simulate.redact import redact
from meshgate.sources.backend import (
    AdminError,
    Event,
    ExecAnswer,
    ExplainQuery,
    JsonObject,
    LogFile,
    PodLine,
    ProxyLine,
    StatusReport,
)
from meshgate.sources.object_json import line_of
from meshgate.translate.names import LISTENER
from meshgate.translate.self_contained import self_contained
from meshgate.xds.status import Liveness


def _hosts(model: Model) -> tuple[str, ...]:
    """Hosts of the edge, without the route configurations that they are in."""
    found = {key.rpartition("/")[2] for key in model.edge_hosts}
    return (*sorted(found - {"*"}), *(found & {"*"}))


def _daemon_trouble(name: str, message: str) -> Diagnostic:
    return Diagnostic(
        severity=Severity.ERROR,
        code="MG4005",
        origin=BUILT_IN,
        message=f"{name}: {message}",
        remedy=f"its log is logs/{name}.log in the state directory",
    )


@dataclass(slots=True)
class AppBackend:
    """Implements `sources.backend.Backend`."""

    plane: ControlPlane
    log: Events
    stopping: asyncio.Event
    started: datetime
    measured: Metrics
    problems: Sequence[Diagnostic] = field(default_factory=tuple)
    """Of files and objects that were refused; the newest."""

    def generated_objects(self) -> Sequence[JsonObject]:
        live = self.plane.live
        pods = [pod_object(spec, live.statuses.get(key)) for key, spec in live.pods.items()]
        services = sorted(live.model.services.values(), key=lambda s: s.name)
        endpoints = [endpoints_object(s, live.model, live.instances) for s in services]
        return [
            *pods,
            *self.plane.gateway_statuses.services(),
            *endpoints,
            *(s for e in endpoints for s in endpoint_slice_objects(e)),
        ]

    def overlay(self, ref: ObjectRef) -> JsonObject:
        live = self.plane.live
        if ref.group == "apps":
            return workload_status(ref, live.pods, live.statuses)
        if ref.kind == "Service":
            address = live.model.addresses.get(service_host(Name(ref.namespace, ref.name)))
            return {"spec": {"clusterIP": address}} if address else {}
        return self.plane.gateway_statuses.overlay(ref, self._served())

    def _served(self) -> Served:
        plane = self.plane
        status = plane.live.statuses.get(plane.gateway.key)
        node = proxy_id(plane.gateway)
        refused = {
            rejection.name: rejection.message
            for stream in plane.server.status()
            if stream.node_id == node
            for one in stream.session.types
            if one.type_url == LISTENER
            for rejection in one.rejected
        }
        return Served(
            http_port=plane.options.http_port,
            https_port=plane.options.https_port,
            refused=refused,
            ready=bool(status and status.ready),
        )

    def in_force(self, document: Document) -> bool:
        return document in self.plane.live.in_force

    def status(self) -> StatusReport:
        plane, live = self.plane, self.plane.live
        gateway = live.statuses.get(plane.gateway.key)
        options = plane.options
        urls = [f"http://{options.gateway_address}:{options.http_port}"]
        if options.https_port:
            urls.append(f"https://{options.gateway_address}:{options.https_port}")
        pods = []
        for key, spec in live.pods.items():
            found = live.statuses.get(key)
            pods.append(
                PodLine(
                    namespace=spec.namespace,
                    name=spec.name,
                    workload=spec.workload,
                    phase=found.phase.value if found else "Pending",
                    ready=bool(found and found.ready),
                    restarts=found.restarts if found else 0,
                    ip=found.ip if found else "",
                    meshed=spec.meshed and not served_namespace(spec),
                    message=found.message if found else "",
                    stand_in=stood_in_for(spec),
                )
            )
        proxies = []
        listener_refused = self._listener_refused()
        for stream in plane.server.status():
            liveness = plane.server.liveness(stream.node_id)
            synced = liveness is Liveness.LIVE
            refused = [r for t in stream.session.types for r in t.rejected]
            said = "".join(f"; {r.name}: {r.message}" for r in refused[:3])
            proxies.append(ProxyLine(id=stream.node_id, synced=synced, detail=liveness.value + said))
        return StatusReport(
            version=meshgate.__version__,
            pid=os.getpid(),
            isolation=plane.isolation.value,
            started=self.started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            gateway_ready=bool(gateway and gateway.ready) and not listener_refused,
            gateway_addresses=tuple(urls),
            hosts=_hosts(live.model),
            gateway_refused=listener_refused,
            pods=tuple(pods),
            proxies=tuple(proxies),
            diagnostics=tuple(line_of(d) for d in self._diagnostics()),
            restarts=int(os.environ.get(RESTARTS_VARIABLE, "0")),
        )

    def _diagnostics(self) -> tuple[Diagnostic, ...]:
        """Everything that somebody should know now."""
        live = self.plane.live.diagnostics
        daemons = tuple(_daemon_trouble(*trouble) for trouble in self.plane.runtime.troubles())
        refused = refused_patches(self.plane.live.model, self.plane.server.status(), self.plane.expected)
        acme = self.plane.acme.problems()
        return (*self.problems, *live, *self.plane.server.faults(), *refused, *daemons, *acme)

    def _listener_refused(self) -> str:
        """Why the gateway's Envoy could not take one of its listeners; empty where it could."""
        gateway = proxy_id(self.plane.gateway)
        streams = (s for s in self.plane.server.status() if s.node_id == gateway)
        types = (t for s in streams for t in s.session.types if t.type_url == LISTENER)
        return next((refused.message for t in types for refused in t.rejected), "")

    def events(self) -> AsyncIterator[Event]:
        return self.log.follow()

    def log_files(self, target: str, namespace: str, container: str) -> tuple[LogFile, ...]:
        keys = self._pods_of(target, namespace)

        def wanted(key: PodKey, name: str) -> bool:
            if container:
                return name == container
            return name != "istio-proxy" or self.plane.live.pods[key].host_network

        files = [
            (f"{key.name} {name}", path)
            for key in keys
            for name, path in self.plane.runtime.logs(key).items()
            if wanted(key, name)
        ]
        if container and not files:
            named = sorted({name for key in keys for name in self.plane.runtime.logs(key)})
            raise AdminError(
                "not_found", f"{target} has no container {container}", f"its containers: {', '.join(named)}"
            )
        return tuple(
            LogFile(path=str(path), prefix=f"[{name}] " if len(files) > 1 else "") for name, path in files
        )

    def exec_plan(self, target: str, namespace: str, argv: tuple[str, ...]) -> ExecAnswer:
        keys = self._pods_of(target, namespace)
        if self.plane.live.pods[keys[0]].host_network:
            raise AdminError("invalid", "the gateway has no place to run a command in", "name a Deployment")
        statuses = self.plane.live.statuses
        ready = [k for k in keys if (s := statuses.get(k)) and s.ready] or keys
        plan = self.plane.runtime.exec_in(ready[0], argv)
        return ExecAnswer(argv=plan.argv, env=plan.env, cwd=plan.cwd or "")

    def _pods_of(self, target: str, namespace: str) -> list[PodKey]:
        live = self.plane.live
        running = {spec.key for spec, _ in self.plane.runtime.supervised()}
        if target == "gateway":
            found = [self.plane.gateway.key]
        else:
            found = [
                k
                for k, p in live.pods.items()
                if p.namespace == namespace and target in (p.workload, p.name) and k in running
            ]
        if not found:
            raise AdminError(
                "not_found",
                f"no pod of a Deployment named {namespace}/{target} runs here",
                "`meshgate get pods -A` lists what runs",
            )
        return sorted(found, key=lambda k: k.name)

    async def explain(self, query: ExplainQuery) -> JsonObject:
        url = urlsplit(query.url if "://" in query.url else f"http://{query.url}")
        isolation = ModelIsolation(self.plane.isolation.value)
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        try:
            verdict = await asyncio.to_thread(
                call,
                self._now(),
                query.method,
                url.netloc,
                path,
                query.headers,
                scheme=url.scheme,
                proxy=query.origin or GATEWAY,
                isolation=isolation,
            )
        except UnknownCaller as error:
            raise AdminError("not_found", str(error)) from error
        return as_json(verdict)

    async def translate(self, proxy: str) -> JsonObject:
        chosen = self._proxy(proxy)
        model = self._now()
        config = await asyncio.to_thread(lambda: self_contained(Reader(redact(model)), chosen))
        found: JsonObject = json.loads(json_format.MessageToJson(config))
        return found

    def _now(self) -> Model:
        return replace(self.plane.live.model, instances=self.plane.live.instances)

    def _proxy(self, name: str) -> Proxy:
        target, _, namespace = name.partition(".")
        key = self._pods_of(target, namespace or "default")[0]
        spec = self.plane.live.pods[key]
        if not spec.meshed:
            raise AdminError(
                "invalid", f"{name} has no sidecar", "label its namespace istio-injection=enabled"
            )
        return self.plane.sidecars.expected(spec, self.plane.runtime.placement(key))

    async def cache_purge(self, selector: JsonObject) -> JsonObject:
        return await cache.purge(self.plane.cache_socket, selector)

    async def cache_stats(self) -> JsonObject:
        return await cache.stats(self.plane.cache_socket)

    async def metrics(self) -> str:
        return await self.measured.text()

    async def down(self) -> None:
        self.stopping.set()
