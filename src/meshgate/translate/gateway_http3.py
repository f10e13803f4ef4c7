"""HTTP/3 at the gateway: the HTTPS listener once more over QUIC, and the header that tells of it.

A filter chain that QUIC cannot have is left to TCP: bytes that are passed on, client
certificates, a highest TLS version below 1.3.
"""

from __future__ import annotations

from envoy.config.core.v3 import address_pb2, base_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.extensions.transport_sockets.quic.v3 import quic_transport_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2

from meshgate.policies.packing import boolean, header, http_filter, pack
from meshgate.translate.http import http_chain

MANAGER = "envoy.filters.network.http_connection_manager"
QUIC = "envoy.transport_sockets.quic"
ALT_SVC_FILTER = "meshgate.alt-svc"
_REMEMBERED_S = 86_400


def over_quic(https: listener_pb2.Listener, name: str) -> listener_pb2.Listener | None:
    """The listener of that name at the same port's UDP side; None where no chain can be had."""
    found = listener_pb2.Listener(name=name, traffic_direction=https.traffic_direction)
    found.address.CopyFrom(https.address)
    found.address.socket_address.protocol = address_pb2.SocketAddress.UDP
    found.enable_reuse_port.CopyFrom(boolean(True))
    found.udp_listener_config.quic_options.SetInParent()
    found.udp_listener_config.downstream_socket_config.prefer_gro.CopyFrom(boolean(True))
    found.filter_chains.extend(twin for c in https.filter_chains if (twin := _twin(c)) is not None)
    if https.HasField("default_filter_chain"):
        default = _twin(https.default_filter_chain)
        if default is not None:
            found.default_filter_chain.CopyFrom(default)
    return found if found.filter_chains or found.HasField("default_filter_chain") else None


def announce(https: listener_pb2.Listener, port: int) -> None:
    """Answers over TCP say that there is HTTP/3 at that port (`alt-svc`, RFC 7838)."""
    config = header_mutation_pb2.HeaderMutation()
    config.mutations.response_mutations.add(append=header("alt-svc", f'h3=":{port}"; ma={_REMEMBERED_S}'))
    for chain in (*https.filter_chains, https.default_filter_chain):
        manager = _manager(chain)
        if manager is not None and _context(chain) is not None:
            manager.http_filters.insert(0, http_filter(ALT_SVC_FILTER, config))
            chain.filters[0].CopyFrom(http_chain(manager))


def _twin(chain: listener_components_pb2.FilterChain) -> listener_components_pb2.FilterChain | None:
    manager, context = _manager(chain), _context(chain)
    if manager is None or context is None:
        return None
    manager.codec_type = hcm.HttpConnectionManager.HTTP3
    manager.http3_protocol_options.SetInParent()
    found = listener_components_pb2.FilterChain()
    found.CopyFrom(chain)
    found.filters[0].CopyFrom(http_chain(manager))
    # QUIC is always TLS 1.3, and agrees on h3 by itself.
    del context.common_tls_context.alpn_protocols[:]
    context.common_tls_context.ClearField("tls_params")
    transport = quic_transport_pb2.QuicDownstreamTransport(downstream_tls_context=context)
    found.transport_socket.CopyFrom(base_pb2.TransportSocket(name=QUIC, typed_config=pack(transport)))
    return found


def _manager(chain: listener_components_pb2.FilterChain) -> hcm.HttpConnectionManager | None:
    if not chain.filters or chain.filters[0].name != MANAGER:
        return None
    manager = hcm.HttpConnectionManager()
    chain.filters[0].typed_config.Unpack(manager)
    return manager


def _context(chain: listener_components_pb2.FilterChain) -> tls_pb2.DownstreamTlsContext | None:
    """The chain's TLS; None where QUIC could not do what it asks for."""
    if not chain.HasField("transport_socket"):
        return None
    context = tls_pb2.DownstreamTlsContext()
    chain.transport_socket.typed_config.Unpack(context)
    common = context.common_tls_context
    asks_clients = common.HasField("combined_validation_context") or common.HasField("validation_context")
    highest = common.tls_params.tls_maximum_protocol_version
    old = highest not in (common_pb2.TlsParameters.TLS_AUTO, common_pb2.TlsParameters.TLSv1_3)
    return None if asks_clients or old else context
