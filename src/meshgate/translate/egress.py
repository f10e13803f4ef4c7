"""Listeners of their own that a Sidecar's `egress` binds: for programs that call the proxy itself."""

from __future__ import annotations

from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.names import short_hosts
from meshgate.model.proxy import Proxy
from meshgate.model.reader import Reader
from meshgate.model.route import Destination
from meshgate.model.service import AppProtocol, Service
from meshgate.model.sidecar import Egress
from meshgate.policies.packing import boolean
from meshgate.translate import streams, visibility
from meshgate.translate.http import connection_manager, http_chain
from meshgate.translate.names import outbound_cluster
from meshgate.translate.virtual_host import outside, service_only

UNIX = "unix://"


def bound(reader: Reader, proxy: Proxy) -> dict[str, Egress]:
    """Listener name -> what it is for."""
    sidecar = visibility.sidecar(reader, proxy)
    if sidecar is None:
        return {}
    return {f"{entry.bind}_{entry.port}": entry for entry in sidecar.egress if entry.bind}


def clusters(reader: Reader, proxy: Proxy) -> list[str]:
    """Clusters of whole connections: those of requests come on demand."""
    names: list[str] = []
    for entry in bound(reader, proxy).values():
        if not _by_request(entry):
            for service in _services(reader, proxy, entry)[:1]:
                names += streams.clusters(streams.destinations(reader, proxy, service.host, entry.port))
    return names


def listener(
    reader: Reader, proxy: Proxy, name: str, on_demand: hcm.HttpFilter
) -> listener_pb2.Listener | None:
    """The listener of that name; None where it would lead nowhere."""
    entry = bound(reader, proxy).get(name)
    if entry is None:
        return None
    found = listener_pb2.Listener(name=name, traffic_direction=2)
    if entry.bind.startswith(UNIX):
        found.address.pipe.path = entry.bind.removeprefix(UNIX)
    else:
        found.address.socket_address.address = entry.bind
        found.address.socket_address.port_value = entry.port
    services = _services(reader, proxy, entry)
    if not _by_request(entry):
        if not services:
            return None
        first = services[0].host
        prefix = outbound_cluster(Destination(host=first, port=entry.port))
        carried = streams.stream_chain(streams.destinations(reader, proxy, first, entry.port), prefix)
        found.filter_chains.add(filters=[carried])
        return found
    manager = connection_manager(f"outbound_{name}", (on_demand,))
    manager.route_config.name = str(entry.port)
    manager.route_config.validate_clusters.CopyFrom(boolean(False))
    for service in services:
        host = service_only(reader, proxy, service.host, entry.port)
        if host is not None:
            manager.route_config.virtual_hosts.append(_with_domains(host, service, proxy, entry.port))
    rest = manager.route_config.virtual_hosts.add(name="outside", domains=["*"])
    rest.routes.append(outside(reader, proxy))
    found.filter_chains.add(filters=[http_chain(manager)])
    return found


def _by_request(entry: Egress) -> bool:
    return entry.protocol.is_http or entry.protocol is AppProtocol.UNKNOWN


def _services(reader: Reader, proxy: Proxy, entry: Egress) -> list[Service]:
    """Those that the entry imports, with that port, by host."""
    everything = {**reader.all_services(), **reader.all_entries()}
    return [
        service
        for host, service in sorted(everything.items())
        if not host.startswith("*")
        and service.port(entry.port) is not None
        and visibility.sees(reader, proxy, service, entry.port)
    ]


def _with_domains(
    host: route_components_pb2.VirtualHost, service: Service, proxy: Proxy, port: int
) -> route_components_pb2.VirtualHost:
    names = (service.host,) if service.external else short_hosts(service.name, proxy.namespace)
    del host.domains[:]
    host.domains.extend(domain for name in names for domain in (name, f"{name}:{port}"))
    return host
