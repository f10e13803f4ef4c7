"""The last step of a translation: what EnvoyFilters make of a resource for one proxy."""

from __future__ import annotations

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from google.protobuf.message import Message

from meshgate.model.envoy_patch import ApplyTo, Area, Context, EnvoyPatch, Operation
from meshgate.model.gateway import HTTP_PORT, HTTPS_PORT
from meshgate.model.names import requested_host
from meshgate.model.proxy import Proxy, ProxyKind
from meshgate.model.reader import Reader
from meshgate.translate import gateway_servers, inbound, outbound
from meshgate.translate.names import (
    CLUSTER,
    EDGE_ROUTES,
    LISTENER,
    OUTBOUND_ROUTES,
    ROUTES,
    VIRTUAL_HOST,
    parse_cluster,
    split_authority,
)
from meshgate.translate.patch_cluster import patch_cluster
from meshgate.translate.patch_listener import Place, patch_listener
from meshgate.translate.patch_routes import (
    RoutePlace,
    added_host,
    patch_host,
    patch_settings,
)
from meshgate.translate.patching import Seen, added, patches, value

_ISTIO_PORTS = {HTTP_PORT: 8080, HTTPS_PORT: 8443}
"""Where Istio's gateway listens for a Gateway's usual ports."""


def patched(
    reader: Reader, proxy: Proxy, type_url: str, name: str, message: Message | None, seen: Seen | None = None
) -> Message | None:
    """The resource with the patches that are for this proxy; the same one where there are none."""
    seen = seen if seen is not None else Seen()
    match type_url:
        case t if t == LISTENER:
            return _listener(reader, proxy, name, message, seen)
        case t if t == CLUSTER:
            return _cluster(reader, proxy, name, message, seen)
        case t if t == ROUTES and (found := patches(reader, proxy, Area.ROUTE)):
            return _routes(proxy, name, message, found, seen)
        case t if t == VIRTUAL_HOST and (found := patches(reader, proxy, Area.ROUTE)):
            return _virtual_host(reader, proxy, name, message, found, seen)
        case _:
            return message


def _listener(reader: Reader, proxy: Proxy, name: str, message: Message | None, seen: Seen) -> Message | None:
    found = patches(reader, proxy, Area.LISTENER)
    place = listener_place(proxy, name)
    routes: tuple[EnvoyPatch, ...] = ()
    if place.context is Context.SIDECAR_INBOUND:
        routes = patches(reader, proxy, Area.ROUTE)
    if not found and not routes:
        return message
    if message is None:
        return added(found, ApplyTo.LISTENER, name, seen)
    assert isinstance(message, listener_pb2.Listener)
    return patch_listener(message, found, routes, place, seen)


def listener_place(proxy: Proxy, name: str) -> Place:
    """Which of Istio's listeners ours of that name is."""
    if proxy.kind is ProxyKind.GATEWAY:
        further = gateway_servers.listener_place(name)
        port = {"http": HTTP_PORT, "https": HTTPS_PORT}.get(name) or (further.port if further else 0)
        bound = {"http": proxy.http_port, "https": proxy.https_port}.get(name, port)
        ports = frozenset({port, bound, _ISTIO_PORTS.get(port, port)})
        names = frozenset({name, *(f"0.0.0.0_{p}" for p in ports)})
        return Place(context=Context.GATEWAY, names=names, ports=ports)
    if name == inbound.VIRTUAL_INBOUND:
        ports = frozenset({inbound.VIRTUAL_INBOUND_PORT})
        return Place(context=Context.SIDECAR_INBOUND, names=frozenset({name}), ports=ports, virtual=True)
    if name.startswith("inbound_"):
        port = int(name.removeprefix("inbound_"))
        names = frozenset({name, inbound.VIRTUAL_INBOUND, f"0.0.0.0_{port}"})
        ports = frozenset({port, inbound.VIRTUAL_INBOUND_PORT})
        return Place(context=Context.SIDECAR_INBOUND, names=names, ports=ports)
    everything = frozenset({outbound.VIRTUAL_OUTBOUND_PORT})
    names = frozenset({name, outbound.VIRTUAL_OUTBOUND})
    if name.startswith(outbound.SERVICE_LISTENER_PREFIX):
        _, port = split_authority(name)
        ports, names = frozenset({port}) | everything, names | {f"0.0.0.0_{port}"}
        return Place(context=Context.SIDECAR_OUTBOUND, names=names, ports=ports)
    virtual = name == outbound.VIRTUAL_OUTBOUND
    return Place(context=Context.SIDECAR_OUTBOUND, names=names, ports=everything, virtual=virtual)


def _cluster(reader: Reader, proxy: Proxy, name: str, message: Message | None, seen: Seen) -> Message | None:
    found = patches(reader, proxy, Area.CLUSTER)
    if not found:
        return message
    if message is None:
        message = added(found, ApplyTo.CLUSTER, name, seen)
        if message is None:
            return None
    assert isinstance(message, cluster_pb2.Cluster)
    parts = parse_cluster(name)
    services: tuple[str, ...] = ()
    if proxy.kind is ProxyKind.GATEWAY:
        context = Context.GATEWAY
    elif (parts is not None and parts.direction == "inbound") or name.startswith("Inbound"):
        context = Context.SIDECAR_INBOUND
        if any(p.cluster is not None and p.cluster.service for p in found):
            services = _services_of(reader, proxy)
    else:
        context = Context.SIDECAR_OUTBOUND
    return patch_cluster(message, found, context, services, seen)


def _services_of(reader: Reader, proxy: Proxy) -> tuple[str, ...]:
    """Hosts of the services that lead to the proxy's workload."""
    key = str(proxy.workload)
    own = (h for h, s in reader.all_services().items() if s.name.namespace == proxy.namespace)
    return tuple(host for host in own if key in reader.backends(host))


def _routes(
    proxy: Proxy, name: str, message: Message | None, found: tuple[EnvoyPatch, ...], seen: Seen
) -> Message | None:
    if isinstance(message, route_pb2.RouteConfiguration):
        _configuration(proxy, name, message, found, seen)
    return message


def _configuration(
    proxy: Proxy,
    name: str,
    config: route_pb2.RouteConfiguration,
    found: tuple[EnvoyPatch, ...],
    seen: Seen,
) -> None:
    if proxy.kind is ProxyKind.SIDECAR and config.virtual_hosts:
        place = _sidecar_place(proxy, config.virtual_hosts[0].name)
        patch_settings(config, found, place, seen)
        if patch_host(config.virtual_hosts[0], found, place, seen) is None:
            del config.virtual_hosts[:]
        return
    gate = proxy.kind is ProxyKind.GATEWAY
    patch_settings(config, found, _gateway_place(name, "") if gate else _sidecar_place(proxy, ""), seen)


def _virtual_host(
    reader: Reader,
    proxy: Proxy,
    name: str,
    message: Message | None,
    found: tuple[EnvoyPatch, ...],
    seen: Seen,
) -> Message | None:
    routes, _, authority = name.partition("/")
    gate = proxy.kind is ProxyKind.GATEWAY
    place = _gateway_place(routes, authority) if gate else _sidecar_place(proxy, authority)
    host = added_host(found, place, authority, seen)
    if host is not None and (gate or not _known(reader, proxy, authority)):
        host.name = name
        del host.domains[:]
        host.domains.append(authority)
        message = host
    if not isinstance(message, route_components_pb2.VirtualHost):
        return message
    return patch_host(message, found, place, seen)


def patch_gateway_routes(reader: Reader, proxy: Proxy, config: route_pb2.RouteConfiguration) -> None:
    """Patches a whole route configuration of the gateway with all of its virtual hosts."""
    if not patches(reader, proxy, Area.ROUTE):
        return
    prefix = f"{config.name}/"
    names = {host.name: host for host in config.virtual_hosts}
    added_names = {n: None for n in added_gateway_hosts(reader, proxy) if n.startswith(prefix)}
    patched(reader, proxy, ROUTES, config.name, config)
    found = [patched(reader, proxy, VIRTUAL_HOST, n, host) for n, host in {**added_names, **names}.items()]
    hosts = [host for host in found if isinstance(host, route_components_pb2.VirtualHost)]
    copies = sorted((_copy(host) for host in hosts), key=lambda host: host.name)
    del config.virtual_hosts[:]
    config.virtual_hosts.extend(copies)


def _copy(host: route_components_pb2.VirtualHost) -> route_components_pb2.VirtualHost:
    found = route_components_pb2.VirtualHost()
    found.CopyFrom(host)
    return found


def added_gateway_hosts(reader: Reader, proxy: Proxy) -> frozenset[str]:
    """Resource names of the virtual hosts that patches add to the gateway's route configurations."""
    found: set[str] = set()
    adds = [
        p
        for p in patches(reader, proxy, Area.ROUTE)
        if p.apply_to is ApplyTo.VIRTUAL_HOST and p.operation is Operation.ADD
    ]
    if not adds:
        return frozenset()
    configurations = {EDGE_ROUTES, *(s.routes for s in reader.all_edge_servers().values() if s.routes)}
    for patch in adds:
        host = value(patch)
        assert isinstance(host, route_components_pb2.VirtualHost)
        for routes in configurations:
            place = _gateway_place(routes, "")
            found.update(f"{routes}/{d}" for d in host.domains if added_host((patch,), place, d, Seen()))
    return frozenset(found)


def _known(reader: Reader, proxy: Proxy, authority: str) -> bool:
    host, _ = split_authority(authority)
    return reader.service(requested_host(host, proxy.namespace)) is not None


def _sidecar_place(proxy: Proxy, authority: str) -> RoutePlace:
    host, asked = split_authority(authority)
    port = asked or 80
    full = requested_host(host, proxy.namespace) if host else ""
    names = {authority, host, full, f"{host}:{port}", f"{full}:{port}"} if host else set()
    return RoutePlace(
        context=Context.SIDECAR_OUTBOUND,
        configurations=frozenset({str(port), OUTBOUND_ROUTES, f"{full}:{port}"}),
        ports=frozenset({port}),
        hosts=frozenset(names),
    )


def _gateway_place(routes: str, host: str) -> RoutePlace:
    """`http.80`, `https.443.<server>.<gateway>.<namespace>`, or the Ingresses' own."""
    parts = routes.split(".")
    gateways: frozenset[str] = frozenset()
    if len(parts) > 1 and parts[1].isdecimal():
        first = int(parts[1])
        ports = {first, _ISTIO_PORTS.get(first, first)}
        rest = parts[2:]
        named = {".".join((parts[0], str(port), *rest)) for port in ports}
        if len(rest) > 2:
            gateways = frozenset({f"{rest[-1]}/{rest[-2]}"})
    else:
        ports = {HTTP_PORT, HTTPS_PORT, *_ISTIO_PORTS.values()}
        named = {routes}
    hosts = {host, *(f"{host}:{port}" for port in ports)} if host else set()
    return RoutePlace(
        context=Context.GATEWAY,
        configurations=frozenset(named),
        ports=frozenset(ports),
        gateways=gateways,
        hosts=frozenset(hosts),
    )
