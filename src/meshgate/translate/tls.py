"""TLS between proxies: our certificate by SDS, the peer's checked against its identity."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from types import MappingProxyType

from envoy.config.core.v3 import base_pb2, config_source_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2, tls_pb2

from meshgate.model.edge import PairFiles
from meshgate.model.gateway import ServerTls, ServerTlsMode
from meshgate.policies.packing import boolean, pack
from meshgate.translate import client_certificates
from meshgate.translate.names import (
    AUTHORITIES_FILE_PREFIX,
    EDGE_AUTHORITIES_PREFIX,
    EDGE_CERTIFICATE_PREFIX,
    OWN_CERTIFICATE,
    PAIR_FILES_PREFIX,
    TRUST_BUNDLE,
)

ALPN_HTTP2 = ("istio-h2", "istio", "h2")
"""What a proxy of ours offers for HTTP/2 to another: the first tells the filter chain what
follows, the last is what both agree on."""
ALPN_HTTP1 = ("istio-http/1.1", "istio", "http/1.1")
ALPN_BY_CLIENT = ("istio-h2", "istio")
"""HTTP whose version is found out by looking: the other proxy must not fix it by `h2`."""
ALPN_TCP = ("istio-peer-exchange", "istio")
MESH_HTTP_ALPN = ("istio-h2", "istio-http/1.1", "istio-http/1.0")
MESH_ALPN = (*MESH_HTTP_ALPN, "istio-peer-exchange", "istio")
SERVER_ALPN = ("h2", "http/1.1", "istio-peer-exchange", "istio")

_VERSIONS = MappingProxyType(
    {
        "TLSV1_0": common_pb2.TlsParameters.TLSv1_0,
        "TLSV1_1": common_pb2.TlsParameters.TLSv1_1,
        "TLSV1_2": common_pb2.TlsParameters.TLSv1_2,
        "TLSV1_3": common_pb2.TlsParameters.TLSv1_3,
    }
)


def ads_source() -> config_source_pb2.ConfigSource:
    """The one ADS stream as a source."""
    source = config_source_pb2.ConfigSource(resource_api_version=config_source_pb2.V3)
    source.ads.SetInParent()
    return source


def sds(name: str) -> secret_pb2.SdsSecretConfig:
    """A secret that comes over ADS."""
    return secret_pb2.SdsSecretConfig(name=name, sds_config=ads_source())


def downstream_mesh() -> base_pb2.TransportSocket:
    """Accepts only peers whose certificate our trust bundle vouches for."""
    context = tls_pb2.DownstreamTlsContext(require_client_certificate=boolean(True))
    context.common_tls_context.alpn_protocols.extend(SERVER_ALPN)
    _common(context.common_tls_context)
    context.common_tls_context.combined_validation_context.default_validation_context.SetInParent()
    context.common_tls_context.combined_validation_context.validation_context_sds_secret_config.CopyFrom(
        sds(TRUST_BUNDLE)
    )
    return base_pb2.TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))


def upstream_mesh(alpn: Iterable[str], identities: Iterable[str], sni: str) -> base_pb2.TransportSocket:
    """Shows our certificate and takes only a peer with one of the identities, if any is named."""
    context = tls_pb2.UpstreamTlsContext(sni=sni)
    context.common_tls_context.alpn_protocols.extend(alpn)
    _common(context.common_tls_context)
    combined = context.common_tls_context.combined_validation_context
    combined.validation_context_sds_secret_config.CopyFrom(sds(TRUST_BUNDLE))
    combined.default_validation_context.SetInParent()
    for identity in identities:
        san = combined.default_validation_context.match_typed_subject_alt_names.add()
        san.san_type = san_type(identity)
        san.matcher.exact = identity
    return base_pb2.TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))


def downstream_edge(secret_name: str, told: str | None = None) -> base_pb2.TransportSocket:
    """TLS towards clients of the gateway, with a certificate by SDS; `told` where clients are asked."""
    context = tls_pb2.DownstreamTlsContext()
    common = context.common_tls_context
    common.alpn_protocols.extend(("h2", "http/1.1"))
    common.tls_params.tls_minimum_protocol_version = common_pb2.TlsParameters.TLSv1_2
    common.tls_certificate_sds_secret_configs.append(sds(secret_name))
    if told is not None:
        client_certificates.ask(context, told)
    return base_pb2.TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))


def downstream_server(settings: ServerTls, told: str | None = None) -> base_pb2.TransportSocket:
    """TLS of a Gateway's server: its certificates, versions and ciphers, and whose clients may come.

    `told` where it would ask nobody, and routes want to know who it is.
    """
    context = tls_pb2.DownstreamTlsContext()
    common = context.common_tls_context
    common.alpn_protocols.extend(("h2", "http/1.1"))
    params = common.tls_params
    params.tls_minimum_protocol_version = _VERSIONS[settings.min_version or "TLSV1_2"]
    if settings.max_version:
        params.tls_maximum_protocol_version = _VERSIONS[settings.max_version]
    params.cipher_suites.extend(settings.cipher_suites)
    if settings.mode is ServerTlsMode.ISTIO_MUTUAL:
        common.tls_certificate_sds_secret_configs.append(sds(OWN_CERTIFICATE))
        authorities = TRUST_BUNDLE
    else:
        names = [EDGE_CERTIFICATE_PREFIX + name for name in settings.credentials]
        names += [pair_files(files) for files in settings.files]
        common.tls_certificate_sds_secret_configs.extend(sds(name) for name in names)
        authorities = _authorities(settings)
    if settings.mode is ServerTlsMode.SIMPLE and told is not None:
        client_certificates.ask(context, told)
    if settings.mode is not ServerTlsMode.SIMPLE:
        context.require_client_certificate.value = settings.mode is not ServerTlsMode.OPTIONAL_MUTUAL
        if settings.authorities_pem:
            trusted = common.validation_context
            trusted.trusted_ca.inline_bytes = settings.authorities_pem
            if settings.accept_untrusted:
                trusted.trust_chain_verification = trusted.ACCEPT_UNTRUSTED
        else:
            combined = common.combined_validation_context
            combined.validation_context_sds_secret_config.CopyFrom(sds(authorities))
            trusted = combined.default_validation_context
            trusted.SetInParent()
        trusted.verify_certificate_spki.extend(settings.public_keys)
        trusted.verify_certificate_hash.extend(settings.hashes)
        for name in settings.subject_alt_names:
            san = trusted.match_typed_subject_alt_names.add()
            san.san_type = san_type(name)
            san.matcher.exact = name
    return base_pb2.TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))


def pair_files(files: PairFiles) -> str:
    """The secret that a proxy reads from files."""
    return f"{PAIR_FILES_PREFIX}{files.chain}~{files.key}"


def authorities_file(path: str, crl: str = "") -> str:
    """The same for authorities, and what they have revoked."""
    return f"{AUTHORITIES_FILE_PREFIX}{path}" + (f"~{crl}" if crl else "")


def _authorities(settings: ServerTls) -> str:
    if settings.authorities_file:
        return authorities_file(settings.authorities_file, settings.crl_file)
    return EDGE_AUTHORITIES_PREFIX + (settings.authorities or next(iter(settings.credentials), ""))


def san_type(name: str) -> common_pb2.SubjectAltNameMatcher.SanType.ValueType:
    """Where in a certificate a name stands: a URI, an address or a DNS name."""
    if "://" in name:
        return common_pb2.SubjectAltNameMatcher.URI
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return common_pb2.SubjectAltNameMatcher.DNS
    return common_pb2.SubjectAltNameMatcher.IP_ADDRESS


def plaintext() -> base_pb2.TransportSocket:
    """No TLS."""
    return base_pb2.TransportSocket(
        name="envoy.transport_sockets.raw_buffer", typed_config=pack(raw_buffer_pb2.RawBuffer())
    )


def _common(common: tls_pb2.CommonTlsContext) -> None:
    common.tls_params.tls_minimum_protocol_version = common_pb2.TlsParameters.TLSv1_2
    common.tls_certificate_sds_secret_configs.append(sds(OWN_CERTIFICATE))
