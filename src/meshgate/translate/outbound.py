"""The outbound side of a sidecar: where the application's own requests go."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import replace

from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.http.dynamic_forward_proxy.v3 import dynamic_forward_proxy_pb2
from envoy.extensions.filters.http.on_demand.v3 import on_demand_pb2
from envoy.extensions.filters.listener.http_inspector.v3 import http_inspector_pb2
from envoy.extensions.filters.listener.original_dst.v3 import original_dst_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.proxy import Isolation, Proxy
from meshgate.model.reader import Reader
from meshgate.model.route import Destination, Forward
from meshgate.model.service import AppProtocol, Service
from meshgate.policies.packing import boolean, duration, http_filter, pack, uint32
from meshgate.translate import streams, tls, virtual_host
from meshgate.translate.cors import cors_filter
from meshgate.translate.dns import dns_cache
from meshgate.translate.http import connection_manager, http_chain, tcp_chain
from meshgate.translate.names import (
    FORWARD_PROXY_CLUSTER,
    OUTBOUND_ROUTES,
    PASSTHROUGH_CLUSTER,
    outbound_cluster,
    service_routes,
    split_authority,
)
from meshgate.translate.route import MAX_DIRECT_BODY

VIRTUAL_OUTBOUND = "virtualOutbound"
VIRTUAL_OUTBOUND_PORT = 15001
HTTP_PROXY = "httpProxy"
SERVICE_LISTENER_PREFIX = "service_"
_PLAIN_HTTP = ("http/1.0", "http/1.1", "h2c")
_OPAQUE = (AppProtocol.TCP, AppProtocol.TLS, AppProtocol.HTTPS)


def listener_names(reader: Reader, proxy: Proxy) -> list[str]:
    """One listener for all traffic where it is redirected; else the proxy's and one per service port."""
    if proxy.isolation is Isolation.NETNS:
        return [VIRTUAL_OUTBOUND]
    names = [f"{SERVICE_LISTENER_PREFIX}{key}" for key in sorted(_local_ports(reader, proxy))]
    return [HTTP_PROXY, *names] if proxy.proxy_port else names


def listener(reader: Reader, proxy: Proxy, name: str) -> listener_pb2.Listener | None:
    """The outbound listener of that name."""
    if name == VIRTUAL_OUTBOUND and proxy.isolation is Isolation.NETNS:
        return _virtual_outbound(reader, proxy)
    if name == HTTP_PROXY and proxy.proxy_port:
        found = _listener(name, "127.0.0.1", proxy.proxy_port)
        found.filter_chains.add(filters=[http_chain(_on_demand(proxy))])
        return found
    if name.startswith(SERVICE_LISTENER_PREFIX):
        return _service(reader, proxy, name)
    return None


def clusters(reader: Reader, proxy: Proxy) -> list[str]:
    """What must be there before the first request: all else comes on demand."""
    if proxy.isolation is Isolation.PORTS:
        names = [FORWARD_PROXY_CLUSTER] if proxy.proxy_port else []
        for key in _local_ports(reader, proxy):
            host, port = split_authority(key)
            if _is_opaque(reader.service(host), port):
                names.extend(streams.clusters(streams.destinations(reader, proxy, host, port)))
        return [*names, *_mirrors(reader, proxy)]
    opaque = [
        name
        for host, port, _ in _opaque_ports(reader)
        for name in streams.clusters(streams.destinations(reader, proxy, host, port))
    ]
    return [PASSTHROUGH_CLUSTER, *opaque, *_mirrors(reader, proxy)]


def routes(reader: Reader, proxy: Proxy, name: str) -> route_pb2.RouteConfiguration | None:
    """The one whose virtual hosts come on demand, or that of a service's own local port."""
    if name == OUTBOUND_ROUTES:
        config = route_pb2.RouteConfiguration(
            name=name,
            validate_clusters=boolean(False),
            max_direct_response_body_size_bytes=uint32(MAX_DIRECT_BODY),
        )
        config.vhds.config_source.CopyFrom(tls.ads_source())
        return config
    parts = name.split("|")
    if len(parts) != 4 or parts[0] != "service" or not parts[1].isdecimal():
        return None
    host = virtual_host.service_only(reader, proxy, parts[3], int(parts[1]))
    if host is None:
        return None
    return route_pb2.RouteConfiguration(
        name=name,
        virtual_hosts=[host],
        validate_clusters=boolean(False),
        max_direct_response_body_size_bytes=uint32(MAX_DIRECT_BODY),
    )


def _mirrors(reader: Reader, proxy: Proxy) -> list[str]:
    """Clusters that requests are copied to: Envoy does not fetch those on demand."""
    names: set[str] = set()
    for entries in reader.all_mesh_hosts().values():
        for entry in entries:
            for rule in entry.rules if entry.visible_from(proxy.namespace) else ():
                for mirror in rule.action.mirrors if isinstance(rule.action, Forward) else ():
                    names.update(outbound_cluster(d) for d in _each_port(reader, mirror.destination))
    return sorted(names)


def _each_port(reader: Reader, destination: Destination) -> list[Destination]:
    """The destination with each port that a request may ask for, where the rule names none."""
    service = reader.service(destination.host)
    if destination.port or service is None:
        return [destination]
    return [replace(destination, port=port.number) for port in service.ports]


def _virtual_outbound(reader: Reader, proxy: Proxy) -> listener_pb2.Listener:
    found = _listener(VIRTUAL_OUTBOUND, "0.0.0.0", VIRTUAL_OUTBOUND_PORT)
    found.listener_filters.add(name="envoy.filters.listener.original_dst").typed_config.CopyFrom(
        pack(original_dst_pb2.OriginalDst())
    )
    inspector = found.listener_filters.add(name="envoy.filters.listener.http_inspector")
    inspector.typed_config.CopyFrom(pack(http_inspector_pb2.HttpInspector()))
    opaque = _opaque_ports(reader)
    _skip_ports(inspector, sorted({port for _, port, _ in opaque}))
    for host, port, address in opaque:
        cluster = outbound_cluster(Destination(host=host, port=port))
        carried = streams.stream_chain(streams.destinations(reader, proxy, host, port), cluster)
        chain = found.filter_chains.add(name=cluster, filters=[carried])
        chain.filter_chain_match.destination_port.value = port
        network = ipaddress.ip_network(address, strict=False)
        prefix = chain.filter_chain_match.prefix_ranges.add(address_prefix=str(network.network_address))
        prefix.prefix_len.value = network.prefixlen
    http = found.filter_chains.add(name="http", filters=[http_chain(_on_demand(None))])
    http.filter_chain_match.application_protocols.extend(_PLAIN_HTTP)
    found.default_filter_chain.name = PASSTHROUGH_CLUSTER
    found.default_filter_chain.filters.append(tcp_chain(PASSTHROUGH_CLUSTER, PASSTHROUGH_CLUSTER))
    found.listener_filters_timeout.CopyFrom(duration(500))
    found.continue_on_listener_filters_timeout = True
    return found


def _skip_ports(inspector: listener_components_pb2.ListenerFilter, ports: list[int]) -> None:
    """Ports whose protocol is declared are not looked into: a server-first protocol would wait."""
    if not ports:
        return
    rules = []
    for port in ports:
        rule = listener_components_pb2.ListenerFilterChainMatchPredicate()
        rule.destination_port_range.start, rule.destination_port_range.end = port, port + 1
        rules.append(rule)
    predicate = listener_components_pb2.ListenerFilterChainMatchPredicate()
    if len(rules) == 1:
        predicate = rules[0]
    else:
        predicate.or_match.rules.extend(rules)
    inspector.filter_disabled.CopyFrom(predicate)


def _opaque_ports(reader: Reader) -> list[tuple[str, int, str]]:
    """(host, port, address or range) of every port whose protocol cannot be routed by request."""
    found: list[tuple[str, int, str]] = []
    for host, service in sorted(reader.all_services().items()):
        address = reader.address(host)
        if address:
            found.extend((host, p.number, address) for p in service.ports if p.protocol in _OPAQUE)
    for host, entry in sorted(reader.all_entries().items()):
        addresses = [a for a in entry.external.addresses if ":" not in a] if entry.external else []
        ports = [p.number for p in entry.ports if p.protocol in _OPAQUE]
        found.extend((host, port, address) for address in addresses for port in ports)
    # Envoy refuses the whole listener where two chains are for the same connections.
    first = {(port, address): host for host, port, address in reversed(found)}
    found = [one for one in found if first[one[1], one[2]] == one[0]]
    return found


def _local_ports(reader: Reader, proxy: Proxy) -> Mapping[str, int]:
    """The newest ports: services come and go while a proxy runs."""
    return reader.local_ports(proxy.id) or proxy.service_ports


def _is_opaque(service: Service | None, port: int) -> bool:
    found = service.port(port) if service else None
    return found is not None and found.protocol in _OPAQUE


def _service(reader: Reader, proxy: Proxy, name: str) -> listener_pb2.Listener | None:
    key = name.removeprefix(SERVICE_LISTENER_PREFIX)
    host, port = split_authority(key)
    service = reader.service(host)
    local_ports = _local_ports(reader, proxy)
    if key not in local_ports or service is None or service.port(port) is None:
        return None
    found = _listener(name, "127.0.0.1", local_ports[key])
    if _is_opaque(service, port):
        cluster = outbound_cluster(Destination(host=host, port=port))
        carried = streams.stream_chain(streams.destinations(reader, proxy, host, port), cluster)
        found.filter_chains.add(filters=[carried])
        return found
    manager = connection_manager(f"outbound_{host}_{port}", (_on_demand_filter(), cors_filter()))
    manager.rds.route_config_name = service_routes(host, port)
    manager.rds.config_source.CopyFrom(tls.ads_source())
    found.filter_chains.add(filters=[http_chain(manager)])
    return found


def _listener(name: str, address: str, port: int) -> listener_pb2.Listener:
    found = listener_pb2.Listener(name=name, traffic_direction=2)
    found.address.socket_address.address = address
    found.address.socket_address.port_value = port
    return found


def _on_demand(proxy: Proxy | None) -> hcm.HttpConnectionManager:
    """A connection manager that knows no host until one is asked for (VHDS, then ODCDS)."""
    filters = [_on_demand_filter()]
    if proxy is not None:
        config = dynamic_forward_proxy_pb2.FilterConfig(dns_cache_config=dns_cache())
        filters.append(http_filter("envoy.filters.http.dynamic_forward_proxy", config))
    manager = connection_manager("outbound", (*filters, cors_filter()))
    manager.rds.route_config_name = OUTBOUND_ROUTES
    manager.rds.config_source.CopyFrom(tls.ads_source())
    return manager


def _on_demand_filter() -> hcm.HttpFilter:
    config = on_demand_pb2.OnDemand()
    config.odcds.source.CopyFrom(tls.ads_source())
    config.odcds.timeout.CopyFrom(duration(5000))
    return http_filter("envoy.filters.http.on_demand", config)
