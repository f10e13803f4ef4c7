"""What protects the gateway from strangers, and tells it who stands before it."""

from __future__ import annotations

from envoy.config.core.v3 import protocol_pb2
from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.listener.proxy_protocol.v3 import proxy_protocol_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.mesh_config import ClientCertificateHeader, GatewayTopology
from meshgate.policies.packing import boolean, duration, pack, uint32

_SETS = (ClientCertificateHeader.SANITIZE_SET, ClientCertificateHeader.APPEND_FORWARD)


def harden(manager: hcm.HttpConnectionManager) -> None:
    """Envoy's recommendations for a proxy at the edge (configuration best practices, 1.40)."""
    manager.use_remote_address.CopyFrom(boolean(True))
    manager.merge_slashes = True
    manager.path_with_escaped_slashes_action = hcm.HttpConnectionManager.UNESCAPE_AND_REDIRECT
    common = manager.common_http_protocol_options
    common.idle_timeout.CopyFrom(duration(3_600_000))
    common.headers_with_underscores_action = protocol_pb2.HttpProtocolOptions.DROP_HEADER
    manager.request_headers_timeout.CopyFrom(duration(15_000))
    manager.http_protocol_options.accept_http_10 = True
    http2 = manager.http2_protocol_options
    http2.max_concurrent_streams.CopyFrom(uint32(100))
    http2.initial_stream_window_size.CopyFrom(uint32(65_536))
    http2.initial_connection_window_size.CopyFrom(uint32(1_048_576))


def stand_behind(
    manager: hcm.HttpConnectionManager, topology: GatewayTopology, *, unverified: bool = False
) -> None:
    """Believes so many entries of X-Forwarded-For, and says in its header what a client's certificate says.

    As Istio does it for `gatewayTopology`. Of certificates that nobody has verified nothing is said.
    """
    manager.xff_num_trusted_hops = topology.trusted_proxies
    said = topology.client_certificate
    if unverified and said is not ClientCertificateHeader.ALWAYS_FORWARD_ONLY:
        # Envoy would take whoever shows any certificate for one of ours that forwards this header.
        said = ClientCertificateHeader.SANITIZE
    manager.forward_client_cert_details = hcm.HttpConnectionManager.ForwardClientCertDetails.Value(said.value)
    if said in _SETS:
        details = manager.set_current_client_cert_details
        details.subject.CopyFrom(boolean(True))
        details.cert, details.uri, details.dns = True, True, True


def proxy_protocol_filter() -> listener_components_pb2.ListenerFilter:
    """Takes the client's address from a PROXY protocol header (v1 or v2), which must be there."""
    return listener_components_pb2.ListenerFilter(
        name="envoy.filters.listener.proxy_protocol", typed_config=pack(proxy_protocol_pb2.ProxyProtocol())
    )
