"""TLS between proxies: our certificate by SDS, the peer's checked against its identity."""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.core.v3 import base_pb2, config_source_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2, tls_pb2

from meshgate.policies.packing import boolean, pack
from meshgate.translate.names import OWN_CERTIFICATE, TRUST_BUNDLE

ALPN_HTTP2 = ("istio-h2", "istio", "h2")
"""What a proxy of ours offers for HTTP/2 to another: the first tells the filter chain what
follows, the last is what both agree on."""
ALPN_HTTP1 = ("istio-http/1.1", "istio", "http/1.1")
ALPN_TCP = ("istio-peer-exchange", "istio")
MESH_HTTP_ALPN = ("istio-h2", "istio-http/1.1", "istio-http/1.0")
MESH_ALPN = (*MESH_HTTP_ALPN, "istio-peer-exchange", "istio")
SERVER_ALPN = ("h2", "http/1.1", "istio-peer-exchange", "istio")


def ads_source() -> config_source_pb2.ConfigSource:
    """The one ADS stream as a source."""
    source = config_source_pb2.ConfigSource(resource_api_version=config_source_pb2.V3)
    source.ads.SetInParent()
    return source


def _sds(name: str) -> secret_pb2.SdsSecretConfig:
    return secret_pb2.SdsSecretConfig(name=name, sds_config=ads_source())


def downstream_mesh() -> base_pb2.TransportSocket:
    """Accepts only peers whose certificate our trust bundle vouches for."""
    context = tls_pb2.DownstreamTlsContext(require_client_certificate=boolean(True))
    context.common_tls_context.alpn_protocols.extend(SERVER_ALPN)
    _common(context.common_tls_context)
    context.common_tls_context.combined_validation_context.default_validation_context.SetInParent()
    context.common_tls_context.combined_validation_context.validation_context_sds_secret_config.CopyFrom(
        _sds(TRUST_BUNDLE)
    )
    return base_pb2.TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))


def upstream_mesh(alpn: Iterable[str], identities: Iterable[str], sni: str) -> base_pb2.TransportSocket:
    """Shows our certificate and takes only a peer with one of the SPIFFE identities."""
    context = tls_pb2.UpstreamTlsContext(sni=sni)
    context.common_tls_context.alpn_protocols.extend(alpn)
    _common(context.common_tls_context)
    combined = context.common_tls_context.combined_validation_context
    combined.validation_context_sds_secret_config.CopyFrom(_sds(TRUST_BUNDLE))
    combined.default_validation_context.SetInParent()
    for identity in identities:
        san = combined.default_validation_context.match_typed_subject_alt_names.add()
        san.san_type = common_pb2.SubjectAltNameMatcher.URI
        san.matcher.exact = identity
    return base_pb2.TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))


def downstream_edge(secret_name: str) -> base_pb2.TransportSocket:
    """TLS towards clients of the gateway, with a certificate by SDS."""
    context = tls_pb2.DownstreamTlsContext()
    common = context.common_tls_context
    common.alpn_protocols.extend(("h2", "http/1.1"))
    common.tls_params.tls_minimum_protocol_version = common_pb2.TlsParameters.TLSv1_2
    common.tls_certificate_sds_secret_configs.append(_sds(secret_name))
    return base_pb2.TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))


def plaintext() -> base_pb2.TransportSocket:
    """No TLS."""
    return base_pb2.TransportSocket(
        name="envoy.transport_sockets.raw_buffer", typed_config=pack(raw_buffer_pb2.RawBuffer())
    )


def _common(common: tls_pb2.CommonTlsContext) -> None:
    common.tls_params.tls_minimum_protocol_version = common_pb2.TlsParameters.TLSv1_2
    common.tls_certificate_sds_secret_configs.append(_sds(OWN_CERTIFICATE))
