"""Links declared objects into the one model: names resolved, defaults filled in, mistakes found.

One step per file of `linking`: `workloads` (sidecars, environment, selectors), `inbound`
(PeerAuthentication), `endpoints` (what answers and is no pod), `authorization`
(AuthorizationPolicy, RequestAuthentication), `destinations` (DestinationRule), `mesh`
(VirtualService), `delegates` before it, `consumers`, `plugins`, `edge` and `routes` (Ingress,
joined with the mesh's rules), `paths` (the algebra of paths behind that), `gateways` (Istio's
Gateways, with `gateway_hosts`, `_tls`, `_ports` and `_streams`), `stream_ingress` (TCPIngress,
UDPIngress), `gateway_api` (a package), `backend_tls`, `upstreams` (Kong's), `certificates`.
`input` gives all of them the same sorted input, which is why the order of documents never
matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.findings import Findings
from meshgate.model.authorization import OPEN
from meshgate.model.declared import Declared
from meshgate.model.graph import EDGE, MESH, Model, status_key
from meshgate.model.linking.authorization import link_guards
from meshgate.model.linking.backend_tls import link_backend_tls
from meshgate.model.linking.certificates import joined, link_certificates
from meshgate.model.linking.claims import close_beside_claims, keep_routes
from meshgate.model.linking.client_tls import link_client_credentials
from meshgate.model.linking.consumers import declared_consumers, link_consumers
from meshgate.model.linking.delegates import resolve_delegates
from meshgate.model.linking.destinations import link_destinations, report_empty_subsets, report_upgrades
from meshgate.model.linking.edge import link_edge_hosts, link_ingress_rules, taken_ingresses
from meshgate.model.linking.endpoints import link_endpoints
from meshgate.model.linking.envoy_filters import link_envoy_patches
from meshgate.model.linking.failure import link_failure
from meshgate.model.linking.functions import without_functions
from meshgate.model.linking.gateway_api.edges import api_edges, link_gateway_api
from meshgate.model.linking.gateway_ports import GatewayPorts
from meshgate.model.linking.gateways import link_gateways
from meshgate.model.linking.grpc_ports import with_grpc_ports
from meshgate.model.linking.inbound import link_inbound
from meshgate.model.linking.input import Input, with_defaults
from meshgate.model.linking.mesh import link_mesh_hosts
from meshgate.model.linking.mesh_streams import link_mesh_streams
from meshgate.model.linking.plugins import Plugins
from meshgate.model.linking.sidecars import link_sidecars
from meshgate.model.linking.stream_ingress import link_stream_ingresses
from meshgate.model.linking.telemetry import link_telemetry
from meshgate.model.linking.transcoding import link_transcoding
from meshgate.model.linking.upstreams import link_upstreams
from meshgate.model.linking.watching import report_receivers, report_twice_traced
from meshgate.model.linking.workloads import link_backends, link_workloads

T = TypeVar("T")


def link(declared: Declared, *, allow_lua: bool = False) -> tuple[Model, tuple[Diagnostic, ...]]:
    """The model of everything declared, and what is wrong with its references (MG3xxx, MG4004).

    Pure and independent of the order within `declared`. Whatever cannot work stays shut
    instead of being left out: a route without its plugin, service or subset answers 503.
    `allow_lua`: plugins may run Lua that stands in them.
    The facets that live (`instances`, `svids`, `addresses`, `trust_bundle_pem`) stay empty.
    """
    findings = Findings()
    declared = with_grpc_ports(resolve_delegates(with_defaults(declared), findings))
    if not allow_lua:
        declared = without_functions(declared, findings)
    given = Input(declared, findings)

    workloads = link_workloads(given, findings)
    backends = link_backends(given, findings)
    endpoints = link_endpoints(given, findings)
    sidecars = link_sidecars(given, workloads, findings)
    inbound = link_inbound(given, workloads, backends, sidecars, findings)

    inbound, edge_guard, named_guards = link_guards(given, workloads, backends, inbound, findings)

    workloads = link_failure(workloads, inbound, findings)

    destinations = link_destinations(given, findings)
    report_upgrades(destinations, backends, workloads, findings)
    report_empty_subsets(given, destinations, backends, findings)
    mesh_hosts = link_mesh_hosts(given, destinations, findings)

    edges = taken_ingresses(given, findings)
    known_consumers = declared_consumers(given, findings)
    plugins = Plugins(given, known_consumers, (*edges, *api_edges(given)), findings)
    let_in = tuple(c for c in known_consumers if c.name not in plugins.closed_consumers)

    ingress = link_ingress_rules(given, edges, mesh_hosts, plugins, findings)
    ports = GatewayPorts(findings)
    gateways = link_gateways(given, destinations, ingress, ports, findings)
    streams = link_stream_ingresses(given, ports, gateways.certificates, findings)
    api = link_gateway_api(given, plugins, findings)
    hosts = {**link_edge_hosts(ingress), **gateways.hosts, **api.tables.hosts}
    edge_guard = keep_routes(edge_guard, hosts, findings)
    hosts = close_beside_claims(hosts, edge_guard, findings)
    hosts = link_transcoding(given, hosts, findings)
    destinations = api.traffic.join(given, destinations)
    backend_tls = link_backend_tls(given, destinations, api.used_by, findings)
    upstreams = link_upstreams(given, backend_tls.destinations, findings)
    guards = {EDGE: edge_guard}
    for one in declared.api_gateways:
        if (guard := named_guards.get(f"{one.ref.namespace}/{one.ref.name}")) is not None:
            status = api.statuses.get(status_key(one.ref))
            kept = keep_routes(guard, hosts, findings)
            guards.update(dict.fromkeys((status.addresses if status else None) or (), kept))
            hosts = close_beside_claims(hosts, kept, findings)
    servers = {**api.tables.certificates, **streams.certificates}
    certificates = joined(link_certificates(given, edges, findings), servers)

    telemetry = link_telemetry(given, workloads, findings)
    report_twice_traced(given, telemetry, findings)
    report_receivers(given, findings)
    model = Model(
        services=_frozen({s.host: s for s in sorted(given.services.values(), key=lambda s: s.host)}),
        backends=_frozen(backends),
        mesh_hosts=_frozen(api.services.join(mesh_hosts)),
        destinations=_frozen(upstreams.destinations),
        workloads=_frozen(workloads),
        inbound=_frozen(inbound),
        edge_hosts=_frozen(hosts),
        certificates=_frozen(certificates),
        consumers=_frozen(link_consumers(given, let_in, findings)),
        edge_servers=_frozen({**gateways.servers, **streams.servers, **api.tables.servers}),
        edge_guard=_frozen({p: g for p, g in guards.items() if p != EDGE or g != OPEN}),
        mesh_streams=_frozen(api.services.streams.join(link_mesh_streams(given, destinations, findings))),
        entries=_frozen(dict(sorted(given.entries.items()))),
        endpoints=_frozen(endpoints),
        mesh_config=_frozen({MESH: given.mesh_config} if declared.mesh_configs else {}),
        telemetry=_frozen(telemetry),
        sidecars=_frozen(sidecars),
        envoy_patches=_frozen(link_envoy_patches(given, workloads, findings)),
        client_credentials=_frozen(
            {**link_client_credentials(given, findings), **backend_tls.credentials, **upstreams.credentials}
        ),
        statuses=_frozen(dict(sorted({**api.statuses, **backend_tls.statuses}.items()))),
    )
    return model, findings.all()


def _frozen(entries: dict[str, T]) -> Mapping[str, T]:
    return MappingProxyType(entries)
