"""The outbound side of a sidecar: where the application's own requests go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.http.dynamic_forward_proxy.v3 import dynamic_forward_proxy_pb2
from envoy.extensions.filters.http.on_demand.v3 import on_demand_pb2
from envoy.extensions.filters.listener.http_inspector.v3 import http_inspector_pb2
from envoy.extensions.filters.listener.original_dst.v3 import original_dst_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.proxy import Isolation, Proxy
from meshgate.model.reader import Reader
from meshgate.model.route import Destination, Forward
from meshgate.model.service import AppProtocol, ServicePort
from meshgate.policies.packing import boolean, duration, http_filter, pack, uint32
from meshgate.translate import captured, egress, streams, tls, virtual_host, visibility
from meshgate.translate.cors import cors_filter
from meshgate.translate.dns import dns_cache
from meshgate.translate.http import connection_manager, detect, http_chain
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


def listener_names(reader: Reader, proxy: Proxy) -> list[str]:
    """One listener for all traffic where it is redirected; else the proxy's and one per service port."""
    if proxy.isolation is Isolation.NETNS:
        return [VIRTUAL_OUTBOUND, *egress.bound(reader, proxy)]
    names = [f"{SERVICE_LISTENER_PREFIX}{key}" for key in sorted(_local_ports(reader, proxy))]
    names += egress.bound(reader, proxy)
    return [HTTP_PROXY, *names] if proxy.proxy_port else names


def listener(reader: Reader, proxy: Proxy, name: str) -> listener_pb2.Listener | None:
    """The outbound listener of that name."""
    if name == VIRTUAL_OUTBOUND and proxy.isolation is Isolation.NETNS:
        return _virtual_outbound(reader, proxy)
    if name == HTTP_PROXY and proxy.proxy_port:
        found = _listener(name, "127.0.0.1", proxy.proxy_port)
        found.filter_chains.add(filters=[http_chain(_on_demand(look_up=True))])
        return found
    if name.startswith(SERVICE_LISTENER_PREFIX):
        return _service(reader, proxy, name)
    return egress.listener(reader, proxy, name, _on_demand_filter())


def clusters(reader: Reader, proxy: Proxy) -> list[str]:
    """What must be there before the first request: all else comes on demand."""
    always = [*_mirrors(reader, proxy), *egress.clusters(reader, proxy)]
    if rest := visibility.outside_cluster(reader, proxy):
        always.append(rest)
    if proxy.isolation is Isolation.PORTS:
        names = [FORWARD_PROXY_CLUSTER] if proxy.proxy_port else []
        for key in _local_ports(reader, proxy):
            host, port = split_authority(key)
            service = reader.service(host)
            found = service.port(port) if service else None
            if service is not None and not visibility.sees(reader, proxy, service, port):
                continue
            if found is not None and found.protocol in streams.OPAQUE:
                ways = streams.ways(reader, proxy, host, found)
                names.extend(name for way in ways for name in streams.clusters(way.destinations))
        return [*names, *always]
    return [PASSTHROUGH_CLUSTER, *captured.clusters(reader, proxy), *always]


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
    manager = _on_demand(look_up=captured.looks_up(reader, proxy))
    captured.fill(found, reader, proxy, http_chain(manager))
    detect(found, reader)
    return found


def _local_ports(reader: Reader, proxy: Proxy) -> Mapping[str, int]:
    """The newest ports: services come and go while a proxy runs."""
    return reader.local_ports(proxy.id) or proxy.service_ports


def _service(reader: Reader, proxy: Proxy, name: str) -> listener_pb2.Listener | None:
    key = name.removeprefix(SERVICE_LISTENER_PREFIX)
    host, number = split_authority(key)
    service = reader.service(host)
    port = service.port(number) if service else None
    local_ports = _local_ports(reader, proxy)
    if key not in local_ports or service is None or port is None:
        return None
    if not visibility.sees(reader, proxy, service, number):
        return None
    found = _listener(name, "127.0.0.1", local_ports[key])
    if port.protocol in streams.OPAQUE or port.protocol is AppProtocol.UNKNOWN:
        _carry(found, reader, proxy, host, port)
    if port.protocol in streams.OPAQUE:
        return found
    manager = connection_manager(f"outbound_{host}_{number}", (_on_demand_filter(), cors_filter()))
    manager.rds.route_config_name = service_routes(host, number)
    manager.rds.config_source.CopyFrom(tls.ads_source())
    chain = found.filter_chains.add(filters=[http_chain(manager)])
    if port.protocol is AppProtocol.UNKNOWN:
        inspector = found.listener_filters.add(name="envoy.filters.listener.http_inspector")
        inspector.typed_config.CopyFrom(pack(http_inspector_pb2.HttpInspector()))
        detect(found, reader)
        chain.name = "http"
        chain.filter_chain_match.application_protocols.extend(captured.PLAIN_HTTP)
    return found


def _carry(found: listener_pb2.Listener, reader: Reader, proxy: Proxy, host: str, port: ServicePort) -> None:
    """Chains for connections by server name, and for all others; addresses say nothing here."""
    cluster = outbound_cluster(Destination(host=host, port=port.number))
    sniffed = port.protocol is AppProtocol.UNKNOWN
    ways = [way for way in streams.ways(reader, proxy, host, port) if not way.subnets]
    taken: set[str] = set()
    for way in ways:
        carried = streams.stream_chain(way.destinations, cluster, way.policy, on_demand=sniffed)
        names = [n for n in way.server_names if n not in taken]
        taken.update(names)
        if way.server_names and not names:
            continue
        chain = found.filter_chains.add(filters=[streams.as_bytes(), carried] if sniffed else [carried])
        if names:
            chain.name = names[0]
            chain.filter_chain_match.transport_protocol = "tls"
            chain.filter_chain_match.server_names.extend(() if "*" in names else names)
    if taken:
        inspector = found.listener_filters.add(name="envoy.filters.listener.tls_inspector")
        inspector.typed_config.CopyFrom(pack(tls_inspector_pb2.TlsInspector()))
        detect(found, reader)
        if sniffed:
            # TLS by another name may offer HTTP too, and is not to be taken for it.
            filters = [*found.filter_chains[-1].filters]
            found.filter_chains.add(name="tls", filters=filters).filter_chain_match.transport_protocol = "tls"


def _listener(name: str, address: str, port: int) -> listener_pb2.Listener:
    found = listener_pb2.Listener(name=name, traffic_direction=2)
    found.address.socket_address.address = address
    found.address.socket_address.port_value = port
    return found


def _on_demand(*, look_up: bool) -> hcm.HttpConnectionManager:
    """A connection manager that knows no host until one is asked for (VHDS, then ODCDS)."""
    filters = [_on_demand_filter()]
    if look_up:
        config = dynamic_forward_proxy_pb2.FilterConfig(dns_cache_config=dns_cache())
        filters.append(http_filter("envoy.filters.http.dynamic_forward_proxy", config))
    manager = connection_manager("outbound", (*filters, cors_filter()))
    manager.rds.route_config_name = OUTBOUND_ROUTES
    manager.rds.config_source.CopyFrom(tls.ads_source())
    return manager


_LEARN_MS = 60_000
"""How long a first request to a name waits for the control plane: as long as a new one takes to begin on a
busy machine, and as a connection waits by Envoy's default. A name that there is not is refused at once."""


def _on_demand_filter() -> hcm.HttpFilter:
    config = on_demand_pb2.OnDemand()
    config.odcds.source.CopyFrom(tls.ads_source())
    config.odcds.timeout.CopyFrom(duration(_LEARN_MS))
    return http_filter("envoy.filters.http.on_demand", config)
