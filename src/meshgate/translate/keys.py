"""Clusters that lead to the key sets of RequestAuthentications (`jwksUri`)."""

from __future__ import annotations

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2

from meshgate.model.authorization import Guard, RemoteKeys
from meshgate.model.route import Destination
from meshgate.policies.packing import duration, pack
from meshgate.translate.names import outbound_cluster

PREFIX = "jwks|"
SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt"
"""Where Debian, Alpine and Envoy's own images keep the public roots."""
_CONNECT_TIMEOUT_MS = 5_000


def keys_cluster(remote: RemoteKeys) -> str:
    """`jwks|https|auth.example.com|443`, or the cluster of a service of ours."""
    if remote.service:
        return outbound_cluster(Destination(host=remote.service, port=remote.port))
    return f"{PREFIX}{'https' if remote.tls else 'http'}|{remote.host}|{remote.port}"


def clusters(guard: Guard) -> list[str]:
    """Of all key sets that are fetched."""
    return sorted({keys_cluster(rule.remote) for rule in guard.jwt if rule.remote is not None})


def translate(name: str) -> cluster_pb2.Cluster | None:
    """The cluster of that name: the host's addresses by DNS, its certificate checked for `https`."""
    parts = name.removeprefix(PREFIX).split("|")
    if len(parts) != 3 or parts[0] not in ("http", "https") or not parts[2].isdecimal():
        return None
    scheme, host, port = parts
    cluster = cluster_pb2.Cluster(
        name=name,
        type=cluster_pb2.Cluster.STRICT_DNS,
        dns_lookup_family=cluster_pb2.Cluster.V4_PREFERRED,
        connect_timeout=duration(_CONNECT_TIMEOUT_MS),
    )
    cluster.load_assignment.cluster_name = name
    address = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
    address.address, address.port_value = host, int(port)
    if scheme == "https":
        cluster.transport_socket.CopyFrom(_tls(host))
    return cluster


def _tls(host: str) -> base_pb2.TransportSocket:
    context = tls_pb2.UpstreamTlsContext(sni=host)
    common = context.common_tls_context
    common.tls_params.tls_minimum_protocol_version = common_pb2.TlsParameters.TLSv1_2
    common.validation_context.trusted_ca.filename = SYSTEM_ROOTS
    san = common.validation_context.match_typed_subject_alt_names.add()
    san.san_type = common_pb2.SubjectAltNameMatcher.DNS
    san.matcher.exact = host
    return base_pb2.TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))
