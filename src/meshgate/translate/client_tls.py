"""TLS that a proxy begins by a DestinationRule, SIMPLE or MUTUAL: whom it trusts, and as whom it comes."""

from __future__ import annotations

import re
from pathlib import Path

from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2

from meshgate.model.destination import ClientTlsMode, DestinationPolicy, TrafficPolicy
from meshgate.model.proxy import Proxy, ProxyKind
from meshgate.model.reader import Reader
from meshgate.policies.packing import pack
from meshgate.translate.names import CLIENT_CREDENTIAL_PREFIX
from meshgate.translate.tls import authorities_file, pair_files, san_type, sds

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep the authorities that they trust, in Istio's order."""

SYSTEM_AUTHORITIES = next((path for path in _BUNDLES if Path(path).exists()), _BUNDLES[0])
"""Of this machine, looked up once: Envoy refuses a cluster whose file is not there, which closes it."""


def may_use(proxy: Proxy, credential: str) -> bool:
    """Whether a proxy gets the private key of `namespace/name`: the gateway, and the namespace's own."""
    return proxy.kind is ProxyKind.GATEWAY or credential.partition("/")[0] == proxy.namespace


def origination(
    reader: Reader,
    proxy: Proxy,
    rules: DestinationPolicy | None,
    policy: TrafficPolicy,
    host: str,
    http2: bool | None,
    entry_names: tuple[str, ...] = (),
) -> base_pb2.TransportSocket | None:
    """The transport socket; None where what the rule asks for cannot be had: the host stays closed.

    `http2` is what the requests are sent as; None for connections, which choose themselves.
    `entry_names` are a ServiceEntry's `subjectAltNames`, which hold where the rule names none.
    """
    settings = policy.client_tls
    if settings is None or rules is None:
        return None
    wildcard = host.startswith("*")
    by_request = wildcard or settings.named_by_request
    context = tls_pb2.UpstreamTlsContext(sni=settings.sni or ("" if by_request else host))
    common = context.common_tls_context
    common.tls_params.tls_minimum_protocol_version = common_pb2.TlsParameters.TLSv1_2
    if http2 is not None:
        common.alpn_protocols.append("h2" if http2 else "http/1.1")
    authorities = revoked = b""
    if settings.credential:
        name = f"{rules.namespace}/{settings.credential}"
        credential = reader.client_credential(name)
        if credential is None or not may_use(proxy, name):
            return None
        authorities, revoked = credential.ca_pem, credential.crl_pem
        if not (authorities or settings.insecure_skip_verify or settings.system_authorities):
            return None  # never the system's authorities in place of those that were named
        if policy.tls is ClientTlsMode.MUTUAL:
            if not credential.chain_pem:
                return None
            common.tls_certificate_sds_secret_configs.append(sds(CLIENT_CREDENTIAL_PREFIX + name))
    elif policy.tls is ClientTlsMode.MUTUAL:
        if settings.files is None:
            return None
        common.tls_certificate_sds_secret_configs.append(sds(pair_files(settings.files)))
    if not settings.insecure_skip_verify:
        if settings.authorities_file:
            combined = common.combined_validation_context
            combined.validation_context_sds_secret_config.CopyFrom(
                sds(authorities_file(settings.authorities_file, settings.crl_file))
            )
            trusted = combined.default_validation_context
            trusted.SetInParent()
        elif authorities:
            trusted = common.validation_context
            trusted.trusted_ca.inline_bytes = authorities
            if revoked:
                trusted.crl.inline_bytes = revoked
        else:
            trusted = common.validation_context
            trusted.trusted_ca.filename = SYSTEM_AUTHORITIES
        names = settings.subject_alt_names or entry_names or ((context.sni,) if context.sni else ())
        if settings.verify_depth is not None:
            trusted.max_verify_depth.value = settings.verify_depth
        for one in names:
            san = trusted.match_typed_subject_alt_names.add(san_type=san_type(one))
            if settings.wildcards and one.startswith("*."):
                san.matcher.safe_regex.regex = rf"(?i)(\*|[^.]+)\.{re.escape(one.removeprefix('*.'))}"
            else:
                san.matcher.exact = one
    return base_pb2.TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))


def names_by_request(policy: TrafficPolicy, host: str) -> bool:
    """Whether the server's name is only known when a request comes: with a wildcard host, or by the Host that
    is sent, and without `sni`."""
    settings = policy.client_tls
    named = settings is not None and (settings.named_by_request or host.startswith("*"))
    return named and settings is not None and not settings.sni
