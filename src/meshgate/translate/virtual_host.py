"""Virtual hosts: the sidecar's, one for each host that a client asks for, and the gateway's."""

from __future__ import annotations

from dataclasses import replace

from envoy.config.route.v3 import route_components_pb2 as pb

from meshgate.model.graph import MeshHost
from meshgate.model.mesh_config import OutboundMode
from meshgate.model.names import requested_host
from meshgate.model.policy import KeyAuth
from meshgate.model.proxy import Isolation, Proxy
from meshgate.model.reader import Reader
from meshgate.model.route import Destination, Forward, Refuse, Rule, WeightedDestination
from meshgate.model.service import Service
from meshgate.policies import EdgePolicies, RouteParts, acme, captures, route_counts, route_logs
from meshgate.policies.chain import route_parts
from meshgate.policies.consumer_headers import INTERNAL_HEADERS, VARIANT
from meshgate.policies.parts import METADATA_NAMESPACE
from meshgate.policies.variants import variant_name, with_variants
from meshgate.translate import external, visibility
from meshgate.translate.names import (
    EDGE_ROUTES,
    FORWARD_PROXY_CLUSTER,
    OUTBOUND_ROUTES,
    PASSTHROUGH_CLUSTER,
    outbound_cluster,
    split_authority,
)
from meshgate.translate.route import RouteContext, routes
from meshgate.translate.transcoding import with_descriptors

NO_PARTS = RouteParts()
BLOCK_ALL = "block_all"
"""Name of the route of hosts that are refused (REGISTRY_ONLY)."""
ACME_CHALLENGE = "acme-challenge"
LOST = "no-variant"
"""Name of the route of requests whose consumer's own plugins are not where they were."""
SEVERAL_HOSTS = "several-hosts"
"""Name of the route by which every wildcard host of the gateway begins; no rule is behind it."""


def outbound(reader: Reader, proxy: Proxy, resource_name: str) -> pb.VirtualHost | None:
    """The virtual host for `outbound/<host[:port]>`, with just the domain that was asked for.

    Envoy takes a virtual host away by its name, so name and domain are those of the
    request: two spellings of one service are two virtual hosts that never collide.
    """
    prefix, slash, authority = resource_name.partition("/")
    if prefix != OUTBOUND_ROUTES or not slash or not authority or authority == "*":
        return None
    host, asked = split_authority(authority)
    found = pb.VirtualHost(name=resource_name, domains=[authority], include_request_attempt_count=False)
    full = requested_host(host, proxy.namespace)
    service = reader.service(full)
    port = _service_port(service, asked)
    rules = _rules_for(reader, proxy, full, port)
    if service is None and rules is None:
        # Names of two labels look like a service's in another namespace, and are seldom meant so.
        service = external.entry(reader, host.lower(), proxy.namespace)
        port = _service_port(service, asked)
        rules = _rules_for(reader, proxy, host.lower(), port)
    if service is not None and not visibility.sees(reader, proxy, service, port):
        service = None
    if service is not None and service.external_name:
        # Another name of a host of the mesh follows that host's rules, unless it has its own.
        service = external.aliased(reader, service, proxy.namespace)
        port = _service_port(service, asked)
        rules = rules or _rules_for(reader, proxy, service.host, port)
        if not visibility.sees(reader, proxy, service, port):
            service = None
    if rules is None and service is not None and service.external and service.port(port) is None:
        service = None
    if rules is not None:
        found.routes.extend(_mesh_routes(reader, proxy, rules, port))
    elif service is not None:
        found.routes.extend(_default_routes(reader, proxy, service, port))
    else:
        found.routes.append(outside(reader, proxy))
    return found


def service_only(reader: Reader, proxy: Proxy, host: str, port: int) -> pb.VirtualHost | None:
    """The catch-all virtual host of a local port that leads to one service."""
    service = reader.service(host)
    if service is None or service.port(port) is None:
        return None
    if not visibility.sees(reader, proxy, service, port):
        return None
    found = pb.VirtualHost(name=f"{host}:{port}", domains=["*"])
    service = external.aliased(reader, service, proxy.namespace)
    rules = _rules_for(reader, proxy, host, port) or _rules_for(reader, proxy, service.host, port)
    if rules is not None:
        found.routes.extend(_mesh_routes(reader, proxy, rules, port))
    else:
        found.routes.extend(_default_routes(reader, proxy, service, port))
    return found


def edge(reader: Reader, proxy: Proxy, resource_name: str) -> pb.VirtualHost | None:
    """The gateway's virtual host `<routes>/<host>`; of all policies it depends on its own only."""
    edge_host = reader.edge_host(edge_key(resource_name))
    if edge_host is None:
        return None
    edge_host, descriptors = with_descriptors(reader, edge_host)
    collected = EdgePolicies.collect({}, {edge_host.host: edge_host})
    policies = replace(
        collected,
        descriptors=descriptors,
        native_filters=proxy.native_filters,
        guarded=proxy.native_filters and bool(reader.all_edge_guards()),
    )
    found = pb.VirtualHost(
        name=resource_name, domains=[edge_host.host], request_headers_to_remove=INTERNAL_HEADERS
    )
    found.routes.extend(map(_challenge, reader.acme_challenges(edge_host.host)))
    if edge_host.host.startswith("*"):
        found.routes.append(_several_hosts())
    plain: list[pb.Route] = []
    for rule in edge_host.rules:
        parts, *others = _edge_parts(rule, policies)
        plain.extend(_of_options(reader, proxy, rule, policies))
        plain.extend(routes(_edge_context(reader, proxy, parts), rule))
        for number, other in enumerate(others):
            context = _edge_context(reader, proxy, other)
            found.routes.extend(routes(context, rule, variant_name(rule, number)))
    if policies.varies:
        found.routes.append(_lost())
    found.routes.extend(plain)
    return found


def _challenge(asked: tuple[str, str]) -> pb.Route:
    """What an authority wants to see before it gives a certificate (RFC 8555, 8.3); no plugin runs."""
    path, answer = asked
    route = pb.Route(name=ACME_CHALLENGE)
    route.match.path = path
    route.direct_response.status = 200
    route.direct_response.body.inline_string = answer
    route.metadata.filter_metadata[METADATA_NAMESPACE].update({acme.METADATA: "challenge"})
    return route


def _of_options(reader: Reader, proxy: Proxy, rule: Rule, policies: EdgePolicies) -> list[pb.Route]:
    """A rule's routes for OPTIONS where its `key-auth` says nothing to that; Kong's `run_on_preflight`.

    Envoy's filter (1.40) asks every method for a key, so a route of its own does without it.
    """
    asking = tuple(p for p in rule.policies if not isinstance(p, KeyAuth) or p.run_on_preflight)
    if asking == rule.policies:
        return []
    without = replace(rule, policies=asking)
    found = routes(_edge_context(reader, proxy, _edge_parts(without, policies)[0]), without)
    for route in found:
        route.match.headers.add(name=":method").string_match.exact = "OPTIONS"
    return found


def _edge_context(reader: Reader, proxy: Proxy, parts: RouteParts) -> RouteContext:
    return RouteContext(reader=reader, proxy=proxy, port=0, parts_of=lambda rule: parts)


def _edge_parts(rule: Rule, policies: EdgePolicies) -> list[RouteParts]:
    """What a rule's policies add to its routes, then what those of each of its variants add."""
    caught = captures.route_parts(rule)
    base, *others = (
        RouteParts.merge(
            (
                route_parts(one, policies),
                caught,
                route_logs.route_parts(rule, one),
                route_counts.route_parts(rule, one),
            )
        )
        for one in rule.policies_of_each
    )
    if not others or isinstance(rule.action, Refuse):
        return [base]
    base, others = with_variants(rule, base, others)
    return [base, *others]


def _lost() -> pb.Route:
    """500 for a request that was to meet a variant and does not: its plugins must not be passed by.

    Only where a plugin has changed what the route was chosen by.
    """
    route = pb.Route(name=LOST)
    route.match.prefix = "/"
    route.match.headers.add(name=VARIANT, present_match=True)
    route.direct_response.status = 500
    return route


def _several_hosts() -> pb.Route:
    """400 for a request with more than one Host, as RFC 9112 (3.2) asks for.

    Envoy joins them by a comma. A name without a wildcard is never met by that, and a service
    that reads one of them might read another than the gateway's rules did.
    """
    route = pb.Route(name=SEVERAL_HOSTS)
    route.match.prefix = "/"
    matcher = route.match.headers.add(name=":authority")
    matcher.string_match.contains = ","
    route.direct_response.status = 400
    return route


def edge_key(resource_name: str) -> str:
    """The key in `edge_hosts` of a virtual host's resource."""
    return resource_name.removeprefix(f"{EDGE_ROUTES}/")


def _rules_for(reader: Reader, proxy: Proxy, host: str, port: int) -> MeshHost | None:
    """A program without a sidecar follows no rules, nor does what stands in for its network."""
    return None if proxy.plain else mesh_rules(reader, host, proxy, port)


def mesh_rules(reader: Reader, host: str, client: Proxy, port: int) -> MeshHost | None:
    """The rules that a client follows for a host: exact before wildcard, oldest first."""
    names = [host]
    wildcards = (n for n in reader.mesh_host_names() if n.startswith("*") and host.endswith(n[1:]))
    names.extend(sorted(wildcards, key=len, reverse=True))
    for name in names:
        for entry in reader.mesh_hosts(name):
            visible = entry.visible_from(client.namespace)
            if visible and visibility.follows(reader, client, entry, host, port):
                return entry
    return None


def _service_port(service: Service | None, asked: int) -> int:
    """The port that a request means: what it names, else 80, else the service's only one."""
    if asked:
        return asked
    if service is not None and service.port(80) is None and len(service.ports) == 1:
        return service.ports[0].number
    return 80


def _mesh_routes(reader: Reader, proxy: Proxy, rules: MeshHost, port: int) -> list[pb.Route]:
    context = RouteContext(reader=reader, proxy=proxy, port=port, parts_of=lambda rule: NO_PARTS)
    return [route for rule in rules.rules for route in routes(context, rule)]


def _default_routes(reader: Reader, proxy: Proxy, service: Service, port: int) -> list[pb.Route]:
    """All requests to the service itself, as if a rule without conditions said so."""
    destination = Destination(host=service.host, port=port)
    action = Forward(destinations=(WeightedDestination(destination=destination, weight=1),))
    rule = Rule(name="default", matches=(), action=action, origin=service.origin)
    context = RouteContext(reader=reader, proxy=proxy, port=port, parts_of=lambda rule: NO_PARTS)
    return routes(context, rule)


def outside(reader: Reader, proxy: Proxy) -> pb.Route:
    """A host that the proxy does not know: let through, or refused, as the mesh or a Sidecar says."""
    if visibility.outbound_mode(reader, proxy) is OutboundMode.REGISTRY_ONLY:
        # Istio's name and status of it.
        route = pb.Route(name=BLOCK_ALL)
        route.match.prefix = "/"
        route.direct_response.status = 502
        return route
    route = pb.Route(name="allow_any")
    route.match.prefix = "/"
    netns = proxy.isolation is Isolation.NETNS
    route.route.cluster = PASSTHROUGH_CLUSTER if netns else FORWARD_PROXY_CLUSTER
    sidecar = visibility.sidecar(reader, proxy)
    if sidecar is not None and sidecar.egress_proxy is not None:
        route.route.cluster = outbound_cluster(sidecar.egress_proxy)
    route.route.timeout.SetInParent()
    return route
