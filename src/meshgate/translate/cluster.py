"""CDS: how a service, or one subset of it, is reached."""

from __future__ import annotations

from dataclasses import replace

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import proxy_protocol_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2 as endpoint_pb2
from envoy.extensions.clusters.dynamic_forward_proxy.v3 import cluster_pb2 as forward_pb2
from envoy.extensions.transport_sockets.proxy_protocol.v3 import upstream_proxy_protocol_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from meshgate.model.destination import (
    ClientTlsMode,
)
from meshgate.model.mesh_config import LocalitySetting
from meshgate.model.names import TRUST_DOMAIN, Name
from meshgate.model.proxy import Isolation, Proxy, ProxyKind
from meshgate.model.reader import Reader
from meshgate.model.service import AppProtocol
from meshgate.model.workload import InboundPort
from meshgate.policies.packing import duration, pack, uint32
from meshgate.translate import client_tls, external, keys, named_services, tls, upstream_protocol, visibility
from meshgate.translate.cluster_policy import balance, outliers, pool_limits, weigh_localities
from meshgate.translate.destination import destination_policy, traffic_policy
from meshgate.translate.dns import dns_cache
from meshgate.translate.endpoint import MTLS_KEY, MTLS_VALUE
from meshgate.translate.health import add_active_check, add_check
from meshgate.translate.locality import locality_setting, rearrange_for
from meshgate.translate.names import (
    BLACK_HOLE_CLUSTER,
    FORWARD_PROXY_CLUSTER,
    INBOUND_PASSTHROUGH_CLUSTER,
    PASSTHROUGH_CLUSTER,
    ClusterName,
    inbound_cluster,
    parse_cluster,
    same_elsewhere,
)

PROXY_SOCKET = "envoy.transport_sockets.upstream_proxy_protocol"
CONNECT_TIMEOUT_MS = 10_000
"""Istio's default."""
INBOUND_SOURCE = "127.0.0.6"
"""Istio's address for what Envoy's inbound side sends to the application."""


def translate(reader: Reader, proxy: Proxy, name: str) -> cluster_pb2.Cluster | None:
    """The cluster of that name; None where the service, port or subset does not exist."""
    if name in (PASSTHROUGH_CLUSTER, INBOUND_PASSTHROUGH_CLUSTER):
        return _original_destination(name)
    if name == FORWARD_PROXY_CLUSTER:
        return _forward_proxy()
    if name == BLACK_HOLE_CLUSTER:
        return _black_hole()
    if name.startswith(keys.PREFIX):
        return keys.translate(name)
    usual = named_services.usual_name(name) if proxy.kind is ProxyKind.GATEWAY else None
    parts = parse_cluster(usual or name)
    if parts is None:
        return None
    if usual is not None:
        found = _outbound(reader, proxy, usual, parts)
        return named_services.carrying(found, name) if found is not None else None
    if parts.direction == "inbound":
        return _inbound(reader, proxy, parts)
    return _outbound(reader, proxy, name, parts)


def _outbound(reader: Reader, proxy: Proxy, name: str, parts: ClusterName) -> cluster_pb2.Cluster | None:
    service = reader.service(parts.host)
    port = service.port(parts.port) if service else None
    if service is None or port is None:
        return None
    sidecar = proxy.kind is ProxyKind.SIDECAR and not proxy.plain
    if sidecar and not visibility.exported(reader, service, proxy.namespace):
        return None
    target = external.aliased(reader, service, proxy.namespace)
    if target is not service:
        other = _outbound(reader, proxy, name, replace(parts, host=target.host))
        if other is not None and other.type == cluster_pb2.Cluster.EDS:
            other.eds_cluster_config.service_name = same_elsewhere(parts, target.host)
        return other
    rules = None if proxy.plain else destination_policy(reader, parts.host, proxy.namespace, proxy.labels)
    if parts.subset and (rules is None or rules.subset(parts.subset) is None):
        return None
    policy = traffic_policy(rules, parts.port, parts.subset)
    sans = service.external.subject_alt_names if service.external else ()
    begun = None
    if policy.tls in (ClientTlsMode.SIMPLE, ClientTlsMode.MUTUAL):
        speaks = port.protocol.is_http2 if port.protocol.is_http else None
        called = service.external_name or parts.host
        begun = client_tls.origination(reader, proxy, rules, policy, called, speaks, sans)
        if begun is None:
            return None  # what a rule asks for and we cannot do must not become plaintext
    cluster = cluster_pb2.Cluster(
        name=name,
        type=cluster_pb2.Cluster.EDS,
        connect_timeout=duration(CONNECT_TIMEOUT_MS),
        # A rule may be changed to a smaller one while nothing is ready: fail, do not guess.
        ignore_health_on_host_removal=True,
    )
    cluster.eds_cluster_config.eds_config.CopyFrom(tls.ads_source())
    cluster.eds_cluster_config.service_name = name
    redirected = proxy.kind is ProxyKind.SIDECAR and proxy.isolation is Isolation.NETNS
    balance(cluster, policy, redirected=redirected)
    if proxy.kind is ProxyKind.GATEWAY and service.edge.connect_timeout_ms is not None:
        cluster.connect_timeout.CopyFrom(duration(service.edge.connect_timeout_ms))
    chosen = rules.subset(parts.subset) if rules and parts.subset else None
    if service.external_name:
        external.by_external_name(cluster, service, port)
    elif service.external is not None and not external.locate(
        reader, cluster, proxy, service.external, port, chosen.labels if chosen else {}
    ):
        return None
    pool_limits(cluster, policy.pool, policy.retry_budget)
    if policy.outliers:
        outliers(cluster, policy.outliers)
    _by_locality(cluster, proxy, locality_setting(reader, policy))
    machines = reader.endpoints(parts.host)
    all_meshed, identities = (False, set()) if proxy.plain else _members(reader, service.name, parts.host)
    wanted = policy.pool is None or policy.pool.h2_upgrade is not False
    # A port that does not say what it speaks keeps what the client speaks (HTTP/2 goes as bytes).
    if port.protocol is AppProtocol.UNKNOWN:
        wanted = policy.pool is not None and policy.pool.h2_upgrade is True
    http2 = port.protocol.is_http2 or (all_meshed and wanted and begun is None)
    by_request = begun is not None and client_tls.names_by_request(policy, parts.host)
    # Envoy takes a cluster that looks names up only with these, also where it speaks no TLS.
    by_request = by_request or bool(cluster.cluster_type.name)
    upstream_protocol.speak(cluster, port.protocol, policy, http2=http2, server_name_by_request=by_request)
    if begun is not None:
        cluster.transport_socket.CopyFrom(begun)
    elif policy.tls in (None, ClientTlsMode.ISTIO_MUTUAL):
        asked = policy.tls is not None
        if identities or (asked and service.external is not None):
            required = asked and (all_meshed or service.external is not None)
            by_client = policy.pool is not None and policy.pool.use_client_protocol
            alpn = _alpn(port.protocol, http2=http2, by_client=by_client)
            _mesh_tls(cluster, alpn, [*_spiffe(identities), *sans], parts, required=required)
    if policy.proxy_protocol:
        _proxy_header(cluster, policy.proxy_protocol)
    add_check(cluster, (m for m in machines if m.has(chosen.labels if chosen else {})))
    if not cluster.health_checks:
        add_active_check(cluster, policy.check, http2=http2)
    return cluster


def _members(reader: Reader, service: Name, host: str) -> tuple[bool, set[tuple[str, str]]]:
    """Whether all that answers for a host has a sidecar, and the accounts (namespace, name) of what has."""
    backends = reader.backends(host)
    workloads = [w for key in backends if (w := reader.workload(key))]
    machines = reader.endpoints(host)
    # Where sidecars were just ordered, pods without one serve until the new ones are ready.
    # Envoy chooses TLS for each endpoint but HTTP/2 for the whole cluster (1.40).
    instances = [i for key in backends for i in reader.instances(key) if i.ready]
    meshed = [*(w.meshed for w in workloads), *(m.meshed for m in machines)]
    all_meshed = bool(meshed) and all(meshed) and all(i.meshed for i in instances)
    identities = {(w.name.namespace, w.service_account) for w in workloads if w.meshed}
    # And where they were just taken away, pods with one serve until they are replaced.
    identities |= {(i.pod.namespace, i.service_account) for i in instances if i.meshed}
    accounts = {m.service_account or Name(service.namespace, "default") for m in machines if m.meshed}
    return all_meshed, identities | {(account.namespace, account.name) for account in accounts}


def _by_locality(cluster: cluster_pb2.Cluster, proxy: Proxy, setting: LocalitySetting | None) -> None:
    if setting is None or proxy.plain:
        return
    weigh_localities(cluster, setting)
    if cluster.load_assignment.endpoints:
        rearrange_for(proxy, cluster.load_assignment, setting)


def _proxy_header(cluster: cluster_pb2.Cluster, version: int) -> None:
    """A PROXY header before all else on every connection, before TLS too."""
    header = proxy_protocol_pb2.ProxyProtocolConfig.Version.Value(f"V{version}")
    if not cluster.HasField("transport_socket") and not cluster.transport_socket_matches:
        cluster.transport_socket.CopyFrom(tls.plaintext())
    sockets = [match.transport_socket for match in cluster.transport_socket_matches]
    for socket in (*sockets, *([cluster.transport_socket] if cluster.HasField("transport_socket") else [])):
        wrapped = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport(
            config=proxy_protocol_pb2.ProxyProtocolConfig(version=header), transport_socket=socket
        )
        socket.name = PROXY_SOCKET
        socket.typed_config.CopyFrom(pack(wrapped))


def _alpn(protocol: AppProtocol, *, http2: bool, by_client: bool) -> tuple[str, ...]:
    """What we offer the other proxy; it tells its HTTP chain from the one for bytes by this."""
    if not (protocol.is_http or protocol is AppProtocol.UNKNOWN):
        return tls.ALPN_TCP
    if by_client:
        return tls.ALPN_BY_CLIENT
    return tls.ALPN_HTTP2 if http2 else tls.ALPN_HTTP1


def _spiffe(accounts: set[tuple[str, str]]) -> list[str]:
    return sorted(f"spiffe://{TRUST_DOMAIN}/ns/{ns}/sa/{sa}" for ns, sa in accounts)


def _mesh_tls(
    cluster: cluster_pb2.Cluster,
    alpn: tuple[str, ...],
    identities: list[str],
    parts: ClusterName,
    *,
    required: bool,
) -> None:
    """mTLS to every endpoint that is marked for it; plaintext to the rest unless a rule forbids it."""
    sni = f"outbound_.{parts.port}_.{parts.subset}_.{parts.host}"
    socket = tls.upstream_mesh(alpn, identities, sni)
    if required:
        cluster.transport_socket.CopyFrom(socket)
        return
    encrypted = cluster.transport_socket_matches.add(name="tlsMode-istio", transport_socket=socket)
    encrypted.match.update({MTLS_KEY: MTLS_VALUE})
    cluster.transport_socket_matches.add(name="tlsMode-disabled", transport_socket=tls.plaintext())


def _inbound(reader: Reader, proxy: Proxy, parts: ClusterName) -> cluster_pb2.Cluster | None:
    """To the application itself: the one hop where its own protocol is spoken."""
    inbound = reader.inbound(str(proxy.workload))
    port = next((p for p in inbound.ports if p.port == parts.port), None) if inbound else None
    if port is None:
        return None
    name = inbound_cluster(port.port)
    cluster = cluster_pb2.Cluster(
        name=name, type=cluster_pb2.Cluster.STATIC, connect_timeout=duration(CONNECT_TIMEOUT_MS)
    )
    pool_limits(cluster, port.pool)
    cluster.load_assignment.cluster_name = name
    if proxy.isolation is Isolation.NETNS and not port.endpoint.startswith("unix://"):
        _speak_as_inbound(cluster)
    endpoint = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint
    _application(endpoint, proxy, port)
    options = http_protocol_options_pb2.HttpProtocolOptions()
    if port.pool is not None and port.pool.max_requests_per_connection:
        options.common_http_protocol_options.max_requests_per_connection.CopyFrom(
            uint32(port.pool.max_requests_per_connection)
        )
    if port.protocol.is_http2:
        options.explicit_http_config.http2_protocol_options.allow_connect = True
    elif port.protocol is AppProtocol.UNKNOWN:
        options.use_downstream_protocol_config.http_protocol_options.SetInParent()
        options.use_downstream_protocol_config.http2_protocol_options.allow_connect = True
    else:
        options.explicit_http_config.http_protocol_options.SetInParent()
    if port.protocol.is_http or port.protocol is AppProtocol.UNKNOWN:
        cluster.typed_extension_protocol_options[upstream_protocol.HTTP_OPTIONS].CopyFrom(pack(options))
    return cluster


def _application(endpoint: endpoint_pb2.Endpoint, proxy: Proxy, port: InboundPort) -> None:
    """Sets where the application answers; `0.0.0.0` in a Sidecar means the pod's own address."""
    if port.endpoint.startswith("unix://"):
        endpoint.address.pipe.path = port.endpoint.removeprefix("unix://")
        return
    written, _, number = port.endpoint.rpartition(":")
    wanted = int(number) if number else port.port
    address = endpoint.address.socket_address
    own = proxy.address if proxy.isolation is Isolation.NETNS else "127.0.0.1"
    loopback = written.startswith("127.") or written == "[::1]"
    address.address = written.strip("[]") if loopback else own
    address.port_value = proxy.app_ports.get(wanted, wanted)


def _original_destination(name: str) -> cluster_pb2.Cluster:
    """Where the connection was going before it was redirected."""
    cluster = cluster_pb2.Cluster(
        name=name,
        type=cluster_pb2.Cluster.ORIGINAL_DST,
        lb_policy=cluster_pb2.Cluster.CLUSTER_PROVIDED,
        connect_timeout=duration(CONNECT_TIMEOUT_MS),
    )
    options = http_protocol_options_pb2.HttpProtocolOptions()
    options.use_downstream_protocol_config.http_protocol_options.SetInParent()
    options.use_downstream_protocol_config.http2_protocol_options.allow_connect = True
    cluster.typed_extension_protocol_options[upstream_protocol.HTTP_OPTIONS].CopyFrom(pack(options))
    pool_limits(cluster, None)
    if name == INBOUND_PASSTHROUGH_CLUSTER:
        _speak_as_inbound(cluster)
    return cluster


def _speak_as_inbound(cluster: cluster_pb2.Cluster) -> None:
    """From the address by which the redirect rules know that the inbound side has done its work."""
    source = cluster.upstream_bind_config.source_address
    source.address, source.port_value = INBOUND_SOURCE, 0


def _black_hole() -> cluster_pb2.Cluster:
    """Nobody: connections that come here are closed."""
    cluster = cluster_pb2.Cluster(
        name=BLACK_HOLE_CLUSTER,
        type=cluster_pb2.Cluster.STATIC,
        connect_timeout=duration(CONNECT_TIMEOUT_MS),
    )
    cluster.load_assignment.cluster_name = BLACK_HOLE_CLUSTER
    return cluster


def _forward_proxy() -> cluster_pb2.Cluster:
    """Hosts outside the mesh, by their own DNS name (ports isolation, where nothing is redirected)."""
    cluster = cluster_pb2.Cluster(
        name=FORWARD_PROXY_CLUSTER,
        lb_policy=cluster_pb2.Cluster.CLUSTER_PROVIDED,
        connect_timeout=duration(CONNECT_TIMEOUT_MS),
    )
    cluster.cluster_type.name = "envoy.clusters.dynamic_forward_proxy"
    cluster.cluster_type.typed_config.CopyFrom(pack(forward_pb2.ClusterConfig(dns_cache_config=dns_cache())))
    return cluster
