"""Where the rooms meet: sources in, xDS and pods out, statuses back in.

One object holds the newest of everything; each task changes its part and calls the next
step. Nothing here decides what a manifest means: that is `pipeline`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from weakref import WeakKeyDictionary

import structlog

from meshgate.app.acme import AcmeCertificates
from meshgate.app.addresses import ServiceAddresses
from meshgate.app.bridge import BridgeFiles
from meshgate.app.certificates import usable_certificates
from meshgate.app.condition_times import ConditionTimes
from meshgate.app.descriptors import Asked, Descriptors, ready_pods
from meshgate.app.endpoint_lane import EndpointLane
from meshgate.app.environment import Environment
from meshgate.app.gateway_ports import taken_ports
from meshgate.app.gateway_statuses import GatewayStatuses
from meshgate.app.instances import Instances
from meshgate.app.limits import LimitFiles
from meshgate.app.live import Live
from meshgate.app.names import addressed_hosts, dns_table
from meshgate.app.pods import gateway_pod, pod_specs, served_namespace
from meshgate.app.proxies import GatewayPlace, ProxyTokens, Sidecars
from meshgate.app.stand_ins import with_stand_ins
from meshgate.app.wiring import EdgeStore, XdsServer, make_store
from meshgate.core.clock import Clock, SystemClock
from meshgate.core.diagnostics import Diagnostic, ordered
from meshgate.core.secret import Secret
from meshgate.dialects.document import Document
from meshgate.dialects.kind import Lowered
from meshgate.identity.rotation import SvidManager
from meshgate.identity.secrets import trust_bundle
from meshgate.identity.spiffe import SpiffeId
from meshgate.identity.storage import load_or_create
from meshgate.model.edge import Certificate
from meshgate.model.graph import Model
from meshgate.model.names import GATEWAY_NAMESPACE, GATEWAY_SERVICE_ACCOUNT, TRUST_DOMAIN
from meshgate.model.proxy import Isolation as ModelIsolation
from meshgate.model.proxy import Proxy
from meshgate.model.workload import Svid
from meshgate.pipeline import build
from meshgate.runtime.libraries import native_filters
from meshgate.runtime.netns import unavailable_reason
from meshgate.runtime.options import RuntimeOptions
from meshgate.runtime.paths import RuntimePaths
from meshgate.runtime.placement import Placement
from meshgate.runtime.runtime import LocalRuntime
from meshgate.runtime.spec import Isolation, PodSpec
from meshgate.runtime.status import PodStatus
from meshgate.simulate import try_patches
from meshgate.sources.up_options import UpOptions
from meshgate.xds.server import Listen, Server
from meshgate.xds.tokens import Tokens

_log = structlog.get_logger(__name__)


class ControlPlane:
    """One state directory's control plane. `start`, then `update` at will, `stop` last."""

    def __init__(self, options: UpOptions, clock: Clock | None = None) -> None:
        self.options = options
        self.clock = clock or SystemClock()
        self.live = Live()
        self.isolation = choose_isolation(options.isolation)
        self.on_change: Callable[[], None] = lambda: None
        """Called after every change of `live`; must not block."""
        options.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._memo: WeakKeyDictionary[Document, Lowered] = WeakKeyDictionary()
        authority = load_or_create(options.state, TRUST_DOMAIN, self.clock.now())
        self._bundle = trust_bundle(authority)
        self.svids = SvidManager(authority, options.svid_lifetime, self.clock)
        self._tokens: Tokens[Proxy] = Tokens()
        self._store: EdgeStore = make_store()
        place = GatewayPlace(
            address=options.gateway_address,
            http_port=options.http_port,
            https_port=options.https_port,
            http3=options.http3,
        )
        self.gateway = gateway_pod(
            settings=repr(place), locality=options.locality, library=native_filters(options.state)
        )
        self.gateway_statuses = GatewayStatuses(ConditionTimes(options.state / "conditions.json"))
        self._addresses = ServiceAddresses(options.state / "addresses.json")
        self.runtime = LocalRuntime(self._runtime_options(place))
        self._told: tuple[Diagnostic, ...] = ()
        self._secret_certificates: Mapping[str, Certificate] = {}
        self.acme = AcmeCertificates(
            state=options.state,
            clock=self.clock,
            gateway=(options.gateway_address, options.http_port),
            publish=lambda facet, entries: self.server.publish_facet(facet, entries),
            renewed=self._publish_certificates,
        )
        self._descriptors = Descriptors(pods_of=self._pods_behind, changed=self._publish_descriptors)
        self.server: XdsServer = Server(
            self._store,
            self._tokens.authenticate,
            Listen(socket=self.runtime.paths.xds_socket),
            clock=self.clock,
        )
        self.lane = EndpointLane(
            self.live, self.runtime, self.server, self.isolation, self._instances_changed
        )

    def _runtime_options(self, place: GatewayPlace) -> RuntimeOptions:
        paths = RuntimePaths.of(self.options.state)
        self._limits = LimitFiles(self.options.state, paths.run)
        self._bridge = BridgeFiles(self.options.state, paths.run, self.options.cache_limits)
        self.sidecars = Sidecars(
            ProxyTokens(self.options.state), place, self._limits.socket, self._bridge, self._expect
        )
        return RuntimeOptions(
            state=self.options.state,
            isolation=self.isolation,
            sidecars=self.sidecars,
            environments=Environment(lambda: self.live.model, self._node_place),
            withdraw=self._withdraw,
            clock=self.clock,
            reserved_ports=(place.http_port, place.https_port),
            on_demand=(self._limits.daemon(), *self._bridge.daemons()),
        )

    def _expect(self, proxy: Proxy, token: Secret) -> None:
        network = self.runtime.network
        if network is not None and proxy.isolation is ModelIsolation.NETNS:
            proxy = replace(proxy, service_subnet=str(network.service_subnet))
        self._tokens.admit(proxy.id, token, proxy)

    @property
    def cache_socket(self) -> Path:
        """Where the process listens that keeps answers, if one runs."""
        return self._bridge.cache_socket

    def expected(self, node_id: str) -> Proxy | None:
        """The proxy of that id, if one was ever to come."""
        return self._tokens.proxy(node_id)

    # ---- the life of it ----

    async def start(
        self, documents: tuple[Document, ...], group: asyncio.TaskGroup
    ) -> tuple[asyncio.Task[None], ...]:
        """Takes over what an earlier one left, builds the first configuration, begins to serve.

        Returns its tasks, to be cancelled after `stop`.
        Endpoints are known before the first proxy can ask: those of adopted pods never vanish.
        """
        await self.runtime.adopt()
        await self.update(documents)
        serving = group.create_task(self.server.run())
        await self.server.started.wait()
        self.runtime.open_socket_to_proxies(self.runtime.paths.xds_socket)
        following = group.create_task(self._follow_statuses())
        rotating = group.create_task(self.svids.run(lambda _: self._publish_svids()))
        describing = group.create_task(self._descriptors.run())
        certifying = group.create_task(self.acme.run())
        return serving, following, rotating, describing, certifying

    async def update(self, documents: tuple[Document, ...]) -> None:
        """Makes these objects the configuration: certificates, routes, pods, names, in this order."""
        built = await asyncio.to_thread(build, documents, self._memo, allow_lua=self.options.allow_lua)
        certificates, problems = usable_certificates(built.model, self.clock.now())
        self._secret_certificates = certificates
        self.acme.update(built.model, certificates)
        await self._descriptors.update(built.model, built.declared)
        model = replace(
            with_stand_ins(built.model) if self.options.stand_ins else built.model,
            certificates={**certificates, **self.acme.certificates()},
            descriptors=self._descriptors.facet,
            addresses=self._service_addresses(built.model),
            trust_bundle_pem={TRUST_DOMAIN: self._bundle},
        )
        pods, cannot_run = pod_specs(model, self.isolation, self.gateway)
        self.live.documents, self.live.built, self.live.model = documents, built, model
        self.live.in_force = frozenset(documents)
        taken = taken_ports(model, self.options.http_port, self.options.https_port)
        self._told = (*built.diagnostics, *problems, *cannot_run, *taken)
        self._tell_problems()
        self._publish_svids()
        instances = self.live.instances
        await self.runtime.want(self._limits.write(model, instances) | self._bridge.write(model, instances))
        self._publish_certificates()
        self.server.publish(model, {"descriptors": model.descriptors})
        self.gateway_statuses.take(model.statuses, self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"))
        if model.envoy_patches:
            tried = await asyncio.to_thread(try_patches, model)
            self._told = (*self._told, *tried)
            self._tell_problems()
        self._publish_names()
        # Not before what leads to them is published: until then what was wanted before is wanted.
        self.live.pods = {pod.key: pod for pod in pods}
        await self.runtime.apply(self._with_nodes_in_use(pods))
        await self.lane.tell_kernel()
        await self.lane.take(self.runtime.pods())
        self._publish_places()
        self.on_change()

    async def stop(self, *, clean: bool = True) -> None:
        """Drains and removes everything, or with `clean=False` leaves it running for the next."""
        await self.runtime.shutdown(clean=clean)

    # ---- the short lanes ----

    async def _follow_statuses(self) -> None:
        while True:
            first = await self.runtime.statuses.get()
            await self.lane.take((first, *self.runtime.statuses.drain()))
            if any(spec.key not in self.live.pods for spec, _ in self.runtime.supervised()):
                await self.runtime.apply(self._with_nodes_in_use(tuple(self.live.pods.values())))
            self._publish_places()
            self.on_change()

    def _with_nodes_in_use(self, pods: tuple[PodSpec, ...]) -> tuple[PodSpec, ...]:
        """The pods, and node proxies that pods without a sidecar use which are still to go."""
        wanted = {pod.key for pod in pods}
        running = self.runtime.specs()
        bare = {spec.namespace for spec in running if not spec.meshed}
        return (*pods, *(s for s in running if s.key not in wanted and served_namespace(s) in bare))

    def _instances_changed(self, instances: Instances) -> None:
        self._descriptors.wake()
        self._limits.write(self.live.model, instances)
        self._bridge.write(self.live.model, instances)

    def _publish_places(self) -> None:
        """Admits the proxies of all placed pods and tells each which local ports lead where, and
        DNS whose programs are members of the mesh."""
        self._publish_names()
        ports: dict[str, Mapping[str, int]] = {}
        for spec, placement in self.runtime.supervised():
            if spec.meshed:
                proxy = self.sidecars.expected(spec, placement)
                ports[proxy.id] = dict(placement.service_ports)
        self.server.publish_facet("local_ports", ports)

    def _publish_names(self) -> None:
        meshed = ((spec, place) for spec, place in self.runtime.supervised() if spec.meshed)
        members = {place.ip: spec.namespace for spec, place in meshed if place.netns}
        self.runtime.set_names(dns_table(self.live.model, members))

    def _node_place(self, namespace: str) -> Placement | None:
        """Where the proxy is that pods without a sidecar use."""
        places = (place for spec, place in self.runtime.supervised() if served_namespace(spec) == namespace)
        return next(places, None)

    def _pods_behind(self, host: str, port: int) -> tuple[Asked, ...]:
        pods = self.runtime.supervised()
        return ready_pods(self.live.model, host, port, self.live.statuses.values(), pods)

    def _publish_descriptors(self) -> None:
        """What gRPC services speak is not what it was."""
        self.live.model = replace(self.live.model, descriptors=self._descriptors.facet)
        self.server.publish_facet("descriptors", self._descriptors.facet)
        self._tell_problems()
        self.on_change()

    def _tell_problems(self) -> None:
        self.live.diagnostics = ordered((*self._told, *self._descriptors.problems))

    def _publish_certificates(self) -> None:
        """Those of Secrets, and those that an authority gave; also when one has just come."""
        found = {**self._secret_certificates, **self.acme.certificates()}
        self.server.publish_facet("certificates", found)

    def _publish_svids(self) -> None:
        """One certificate for each identity in use; others are forgotten."""
        wanted = {(GATEWAY_NAMESPACE, GATEWAY_SERVICE_ACCOUNT)}
        wanted |= {
            (w.name.namespace, w.service_account) for w in self.live.model.workloads.values() if w.meshed
        }
        wanted |= {(spec.namespace, spec.service_account) for spec in self.runtime.specs()}
        ids = [
            SpiffeId(trust_domain=TRUST_DOMAIN, namespace=ns, service_account=sa) for ns, sa in sorted(wanted)
        ]
        self.svids.retain(ids)
        found: dict[str, Svid] = {}
        for spiffe_id in ids:
            svid = self.svids.svid_for(spiffe_id).for_model()
            found[svid.spiffe_id] = svid
        self.server.publish_facet("svids", found)

    async def _withdraw(self, status: PodStatus) -> None:
        await self.lane.withdraw(status)

    def _service_addresses(self, model: Model) -> Mapping[str, str]:
        network = self.runtime.network
        if network is None:
            return {}
        return self._addresses.assign(addressed_hosts(model), network.service_subnet)


def choose_isolation(wanted: ModelIsolation | None) -> Isolation:
    """None takes namespaces where this machine and user may; raises `ValueError` where `netns` cannot be."""
    if wanted is ModelIsolation.PORTS:
        return Isolation.PORTS
    reason = unavailable_reason()
    if reason is None:
        return Isolation.NETNS
    if wanted is ModelIsolation.NETNS:
        raise ValueError(f"--isolation netns cannot be used: {reason}; use --isolation ports")
    return Isolation.PORTS
