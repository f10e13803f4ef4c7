"""Where a route leads: clusters with their shares, their endpoints, and mTLS or not."""

from __future__ import annotations

from dataclasses import replace

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2
from envoy.config.route.v3 import route_components_pb2 as pb
from envoy.extensions.transport_sockets.proxy_protocol.v3 import upstream_proxy_protocol_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2

from meshgate.model.destination import ClientTlsMode, Subset
from meshgate.model.proxy import Proxy
from meshgate.model.reader import Reader
from meshgate.model.service import EMPTY
from meshgate.model.workload import MtlsMode
from meshgate.simulate import balancing_met
from meshgate.simulate.verdict import Reached, Tls
from meshgate.translate import cluster as clusters
from meshgate.translate import endpoint as endpoints
from meshgate.translate.destination import destination_policy, traffic_policy
from meshgate.translate.names import ClusterName, parse_cluster
from meshgate.translate.route import NOWHERE_CLUSTER

_TLS = "envoy.transport_sockets.tls"
_MATCH = "envoy.transport_socket_match"


def destinations(reader: Reader, proxy: Proxy, action: pb.RouteAction) -> tuple[Reached, ...]:
    """The route's clusters, in its order; percentages add up to 100."""
    if action.cluster:
        return (reached(reader, proxy, action.cluster),)
    weighted = action.weighted_clusters.clusters
    total = sum(entry.weight.value for entry in weighted) or 1
    return tuple(
        reached(reader, proxy, entry.name, percent=100 * entry.weight.value / total) for entry in weighted
    )


def reached(reader: Reader, proxy: Proxy, name: str, *, percent: float = 100) -> Reached:
    """One cluster as this proxy sees it."""
    parts = parse_cluster(name)
    if parts is None:
        lost = "a backend that cannot be had; these requests answer 500" if name == NOWHERE_CLUSTER else ""
        return Reached(cluster=name, percent=percent, problem=lost)
    subset = _subset(reader, proxy, parts)
    built = clusters.translate(reader, proxy, name)
    common = Reached(
        cluster=name,
        host=parts.host,
        port=parts.port,
        subset=parts.subset,
        labels=subset.labels if subset else EMPTY,
        subset_origin=subset.origin if subset else None,
        percent=percent,
    )
    if built is None:
        return replace(common, problem=_absence(reader, parts, subset))
    own = built.type != cluster_pb2.Cluster.EDS
    assignment = built.load_assignment if own else endpoints.translate(reader, proxy, name)
    found = [e for group in assignment.endpoints for e in group.lb_endpoints] if assignment else []
    tls = _tls(built, found)
    rules = destination_policy(reader, parts.host, proxy.namespace, proxy.labels)
    if tls is Tls.MUTUAL and traffic_policy(rules, parts.port, parts.subset).tls is ClientTlsMode.SIMPLE:
        tls = Tls.SIMPLE
    known = built.type in (cluster_pb2.Cluster.EDS, cluster_pb2.Cluster.STRICT_DNS)
    problem = "no pod is ready" if known and not found else _refused(reader, parts, tls)
    said = balancing_met.limits(built) if rules is not None else ()
    return replace(
        common,
        endpoints=len(found),
        tls=tls,
        peers=_peers(built),
        problem=problem,
        places=balancing_met.places(built, assignment) if assignment else (),
        limits=said,
        limits_origin=rules.origin if rules is not None and said else None,
    )


def _subset(reader: Reader, proxy: Proxy, parts: ClusterName) -> Subset | None:
    policy = destination_policy(reader, parts.host, proxy.namespace, proxy.labels) if parts.subset else None
    return policy.subset(parts.subset) if policy else None


def _absence(reader: Reader, parts: ClusterName, subset: Subset | None) -> str:
    service = reader.service(parts.host)
    if service is None:
        return f"no service {parts.host}"
    if service.port(parts.port) is None:
        return f"service {service.name} has no port {parts.port}"
    if parts.subset and subset is None:
        return f"subset {parts.subset!r} is not defined"
    if service.external_name:
        return f"service {service.name} stands for {service.external_name}, which has no port {parts.port}"
    return f"a DestinationRule asks for TLS to {parts.host} that cannot be had"


def _tls(built: cluster_pb2.Cluster, found: list[endpoint_components_pb2.LbEndpoint]) -> Tls:
    kinds = {_socket(built, one) == _TLS for one in found}
    if not kinds:
        return Tls.UNKNOWN
    if len(kinds) == 2:
        return Tls.MIXED
    return Tls.MUTUAL if kinds == {True} else Tls.PLAIN


def _socket(built: cluster_pb2.Cluster, one: endpoint_components_pb2.LbEndpoint) -> str:
    """The name of the transport socket for an endpoint: the first whose labels its metadata has."""
    said = one.metadata.filter_metadata.get(_MATCH, {})
    for candidate in built.transport_socket_matches:
        if all(key in said and said[key] == value for key, value in candidate.match.items()):
            return str(_inner(candidate.transport_socket).name)
    return str(_inner(built.transport_socket).name)


def _inner(socket: base_pb2.TransportSocket) -> base_pb2.TransportSocket:
    """What is under a PROXY header."""
    if socket.name != clusters.PROXY_SOCKET:
        return socket
    wrapped = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport()
    socket.typed_config.Unpack(wrapped)
    return wrapped.transport_socket


def _peers(built: cluster_pb2.Cluster) -> tuple[str, ...]:
    sockets: list[base_pb2.TransportSocket] = [m.transport_socket for m in built.transport_socket_matches]
    for socket in map(_inner, (built.transport_socket, *sockets)):
        if socket.name == _TLS:
            context = tls_pb2.UpstreamTlsContext()
            socket.typed_config.Unpack(context)
            validation = context.common_tls_context.combined_validation_context.default_validation_context
            return tuple(san.matcher.exact for san in validation.match_typed_subject_alt_names)
    return ()


def _refused(reader: Reader, parts: ClusterName, tls: Tls) -> str:
    """Why the receiving sidecar would close the connection: plaintext where it takes mTLS only."""
    if tls is Tls.MUTUAL:
        return ""
    service = reader.service(parts.host)
    port = service.port(parts.port) if service else None
    for key in reader.backends(parts.host):
        inbound = reader.inbound(key)
        if inbound is None or port is None:
            continue
        for open_port in inbound.ports:
            named = port.target in (open_port.port, 0) or isinstance(port.target, str)
            if named and open_port.mtls is MtlsMode.STRICT:
                return f"{key} takes mTLS only (PeerAuthentication STRICT) and this is plaintext"
    return ""
