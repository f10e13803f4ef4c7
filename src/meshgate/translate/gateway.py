"""The gateway: its listeners, the route configuration of the edge, and what these need."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.http.stateful_session.v3 import stateful_session_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.gateway import HTTP_PORT, HTTPS_PORT
from meshgate.model.mesh_config import GatewayTopology
from meshgate.model.policy import ExternalAuth, MtlsAuth, RateLimit
from meshgate.model.proxy import Proxy
from meshgate.model.reader import Reader
from meshgate.model.route import Forward
from meshgate.policies import CHAIN, EdgePolicies, route_counts, route_logs
from meshgate.policies.chain import AUTHENTICATED, plugin_replies
from meshgate.policies.client_certificate import removed_headers
from meshgate.policies.cluster_names import service_cluster
from meshgate.policies.consumer_headers import early_removal
from meshgate.policies.packing import boolean, http_filter, pack, uint32
from meshgate.policies.replies import local_replies
from meshgate.translate import (
    gateway_certificates,
    gateway_datagrams,
    gateway_http3,
    gateway_servers,
    named_services,
    sessions,
    tls,
    virtual_host,
)
from meshgate.translate import guard as guarding
from meshgate.translate.edge_hardening import harden, proxy_protocol_filter, stand_behind
from meshgate.translate.gateway_servers import Place
from meshgate.translate.guard import Access
from meshgate.translate.http import connection_manager, http_chain
from meshgate.translate.names import EDGE_ROUTES, outbound_cluster, server_routes
from meshgate.translate.route import MAX_DIRECT_BODY, with_port

HTTP, HTTPS, HTTP3 = "http", "https", "http3"
GATEWAY_API_ROUTES = "gateway-api."
"""What the names of the Gateway API's route configurations begin with."""


def listener_names(reader: Reader, proxy: Proxy) -> list[str]:
    """`http`, `https` where the gateway has a port for it, `http3` where it is asked for, and one per
    further port of a Gateway."""
    own = [HTTP, HTTPS] if proxy.https_port else [HTTP]
    if proxy.https_port and proxy.http3:
        own.append(HTTP3)
    return own + gateway_servers.listener_names(reader, proxy)


def listener(reader: Reader, proxy: Proxy, name: str) -> listener_pb2.Listener | None:
    """The listener of that name."""
    if name == HTTP3:
        https = _listener_of(reader, proxy, HTTPS) if proxy.http3 else None
        return gateway_http3.over_quic(https, name) if https is not None else None
    found = _listener_of(reader, proxy, name)
    if found is not None and name == HTTPS and proxy.http3:
        gateway_http3.announce(found, proxy.https_port)
    if found is not None and reader.mesh_config().defaults.topology.proxy_protocol:
        found.listener_filters.insert(0, proxy_protocol_filter())
    return found


def _listener_of(reader: Reader, proxy: Proxy, name: str) -> listener_pb2.Listener | None:
    policies = replace(
        edge_policies(reader), https_port=proxy.https_port, native_filters=proxy.native_filters
    )
    topology = reader.mesh_config().defaults.topology
    guard = reader.edge_guard()
    if name == HTTP:
        found = _listener(name, proxy.address, proxy.http_port)
        servers = server_routes(HTTP_PORT)
        configuration = servers if reader.has_edge_server(servers) else EDGE_ROUTES
        # Rules may call the port as clients of a Service before the gateway would.
        ports = frozenset({HTTP_PORT, proxy.http_port})
        manager = _manager(HTTP, policies, Access(guard=guard, ports=ports), configuration, topology)
        found.filter_chains.add(filters=[http_chain(manager)])
        return found
    if name == HTTPS and proxy.https_port:
        access = Access(guard=guard, ports=frozenset({HTTPS_PORT, proxy.https_port}))
        return _https(reader, proxy, policies, access, topology)
    place = gateway_servers.listener_place(name)
    if place is None or not any(place.holds(s) for s in reader.all_edge_servers().values()):
        return None
    address, port = gateway_servers.place_of(reader, proxy, place)
    if place.datagrams:
        return gateway_datagrams.listener(reader, name, place, address, port)
    found = _listener(name, address, port)
    access = Access(guard=reader.edge_guard(place.address), ports=frozenset({place.port, port}))
    gateway_servers.add_chains(
        reader,
        proxy,
        found,
        place,
        access,
        lambda routes, unverified: _manager(
            name, policies, replace(access, unverified=unverified), routes, topology
        ),
    )
    return found if found.filter_chains or found.HasField("default_filter_chain") else None


def route_configuration_of(reader: Reader, proxy: Proxy, name: str, host: str) -> str:
    """The route configuration that a listener reaches by a server name; empty where it reaches none."""
    found = listener(reader, proxy, name)
    return gateway_servers.configuration_by_name(found, host) if found is not None else ""


def routes(reader: Reader, proxy: Proxy, name: str = EDGE_ROUTES) -> route_pb2.RouteConfiguration:
    """Every virtual host of a route configuration in one piece, for those who want to see it whole."""
    config = _configuration(name)
    for host in sorted(n for n in virtual_host_names(reader) if n.startswith(f"{name}/")):
        found = virtual_host.edge(reader, proxy, host)
        if found is not None:
            config.virtual_hosts.append(found)
    return config


def route_configuration(name: str = EDGE_ROUTES) -> route_pb2.RouteConfiguration:
    """What the gateway's listeners ask for: its virtual hosts come one by one.

    So a change costs the one host that it concerns, and a host that Envoy refuses is refused
    alone. Unlike a sidecar, the gateway is sent all hosts and asks for none: strangers
    choose which hosts they ask it for.
    """
    config = _configuration(name)
    config.vhds.config_source.CopyFrom(tls.ads_source())
    return config


def virtual_host_names(reader: Reader) -> frozenset[str]:
    """The resource names of the edge's virtual hosts."""
    return frozenset(key if "/" in key else f"{EDGE_ROUTES}/{key}" for key in reader.edge_host_names())


def clusters(reader: Reader) -> list[str]:
    """Every cluster that a rule of the edge names, or that has keys: the gateway keeps them ready."""
    names = set(named_services.cluster_names(reader))
    for guard in reader.all_edge_guards().values():
        names.update(guarding.clusters(guard))
    for host in reader.all_edge_hosts().values():
        for rule in host.rules:
            asked = [policy for policy in rule.every_policy if isinstance(policy, ExternalAuth)]
            names.update(service_cluster(one.host, one.port) for one in asked)
            if isinstance(rule.action, Forward):
                named = [d.destination for d in rule.action.destinations]
                named += [mirror.destination for mirror in rule.action.mirrors]
                names.update(outbound_cluster(with_port(reader, one, 0)) for one in named)
    for server in reader.all_edge_servers().values():
        names.update(outbound_cluster(entry.destination) for entry in server.destinations)
    return sorted(names)


def _configuration(name: str) -> route_pb2.RouteConfiguration:
    config = route_pb2.RouteConfiguration(
        name=name,
        validate_clusters=boolean(False),
        max_direct_response_body_size_bytes=uint32(MAX_DIRECT_BODY),
    )
    # Hosts of rules have no port, those of requests may; `*.example.com:*` is nothing that Envoy takes.
    config.ignore_port_in_host_matching = True
    return config


def edge_policies(reader: Reader) -> EdgePolicies:
    """The policies and consumers of the whole edge."""
    return EdgePolicies.collect(reader.all_consumers(), reader.all_edge_hosts())


def _listener(name: str, address: str, port: int) -> listener_pb2.Listener:
    found = listener_pb2.Listener(name=name, traffic_direction=1)
    found.address.socket_address.address = address
    found.address.socket_address.port_value = port
    # Envoy's advice for the edge: a slow client may hold 32 KiB, not a megabyte.
    found.per_connection_buffer_limit_bytes.CopyFrom(uint32(32 * 1024))
    return found


def _https(
    reader: Reader, proxy: Proxy, policies: EdgePolicies, access: Access, topology: GatewayTopology
) -> listener_pb2.Listener:
    """One chain per server and certificate, chosen by SNI; the default certificate for other names."""
    found = _listener(HTTPS, proxy.address, proxy.https_port)
    found.listener_filters.add(name="envoy.filters.listener.tls_inspector").typed_config.CopyFrom(
        pack(tls_inspector_pb2.TlsInspector())
    )

    def manager(routes: str, unverified: bool) -> hcm.HttpConnectionManager:
        return _manager(HTTPS, policies, replace(access, unverified=unverified), routes, topology)

    taken = gateway_servers.add_chains(reader, proxy, found, Place(port=HTTPS_PORT), access, manager)
    gateway_certificates.add_chains(reader, found, taken, partial(manager, EDGE_ROUTES))
    return found


def _manager(
    stat_prefix: str, policies: EdgePolicies, access: Access, configuration: str, topology: GatewayTopology
) -> hcm.HttpConnectionManager:
    filters: list[hcm.HttpFilter] = []
    if policies.claims_choose:
        # Before all others: what they do is the route's that claims have chosen.
        filters += access.who_filters(chooses=True)
    for entry in CHAIN:
        filters += entry.listener(policies)
        if entry is AUTHENTICATED:
            # Istio's policies look at what the client sent, so they stand before what changes
            # it; a token that they take out of the request is no longer needed then.
            if not policies.claims_choose:
                filters += access.who_filters()
            filters += access.may_filters()
    if configuration.startswith(GATEWAY_API_ROUTES):
        filters.append(http_filter(sessions.FILTER, stateful_session_pb2.StatefulSession()))
    manager = connection_manager(stat_prefix, filters)
    guarding.see_as_authorized(manager, access.guard)
    manager.rds.route_config_name = configuration
    manager.rds.config_source.CopyFrom(tls.ads_source())
    manager.early_header_mutation_extensions.append(early_removal(removed_headers(policies.of(MtlsAuth))))
    manager.local_reply_config.CopyFrom(local_replies(policies.of(RateLimit), plugin_replies(policies)))
    manager.access_log.extend((*route_logs.access_logs(policies), *route_counts.access_logs(policies)))
    harden(manager)
    stand_behind(manager, topology, unverified=access.unverified)
    return manager
