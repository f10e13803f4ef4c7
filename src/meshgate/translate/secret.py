"""SDS: a proxy's own certificate, the trust bundle, and the edge's certificates."""

from __future__ import annotations

from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

from meshgate.model.names import TRUST_DOMAIN
from meshgate.model.proxy import Proxy, ProxyKind
from meshgate.model.reader import Reader
from meshgate.translate.client_tls import may_use
from meshgate.translate.names import (
    AUTHORITIES_FILE_PREFIX,
    CLIENT_CREDENTIAL_PREFIX,
    EDGE_AUTHORITIES_PREFIX,
    EDGE_CERTIFICATE_PREFIX,
    OWN_CERTIFICATE,
    PAIR_FILES_PREFIX,
    TRUST_BUNDLE,
)


def translate(reader: Reader, proxy: Proxy, name: str) -> secret_pb2.Secret | None:
    """The secret of that name, if this proxy may have it: a sidecar gets its own only."""
    if name == OWN_CERTIFICATE:
        svid = reader.svid(proxy.spiffe_id)
        return None if svid is None else _certificate(name, svid.chain_pem, svid.key_pem.reveal())
    if name == TRUST_BUNDLE:
        secret = secret_pb2.Secret(name=name)
        bundle = reader.trust_bundle(TRUST_DOMAIN)
        if not bundle:
            return None
        secret.validation_context.trusted_ca.inline_bytes = bundle
        return secret
    if name.startswith(EDGE_CERTIFICATE_PREFIX) and proxy.kind is ProxyKind.GATEWAY:
        found = reader.certificate(name.removeprefix(EDGE_CERTIFICATE_PREFIX))
        return None if found is None else _certificate(name, found.chain_pem, found.key_pem.reveal())
    if name.startswith(CLIENT_CREDENTIAL_PREFIX):
        key = name.removeprefix(CLIENT_CREDENTIAL_PREFIX)
        found = reader.client_credential(key) if may_use(proxy, key) else None
        return None if found is None else _certificate(name, found.chain_pem, found.key_pem.reveal())
    if name.startswith((PAIR_FILES_PREFIX, AUTHORITIES_FILE_PREFIX)):
        return _files(name)
    if name.startswith(EDGE_AUTHORITIES_PREFIX) and proxy.kind is ProxyKind.GATEWAY:
        found = reader.certificate(name.removeprefix(EDGE_AUTHORITIES_PREFIX))
        if found is None or not found.ca_pem:
            return None
        secret = secret_pb2.Secret(name=name)
        secret.validation_context.trusted_ca.inline_bytes = found.ca_pem
        if found.crl_pem:
            secret.validation_context.crl.inline_bytes = found.crl_pem
        return secret
    return None


def _files(name: str) -> secret_pb2.Secret | None:
    """Says to a proxy only what it said: which files it is to read, with its own rights."""
    secret = secret_pb2.Secret(name=name)
    kind, _, paths = name.partition(":")
    first, _, second = paths.partition("~")
    if not first.startswith("/"):
        return None
    if f"{kind}:" == PAIR_FILES_PREFIX:
        secret.tls_certificate.certificate_chain.filename = first
        secret.tls_certificate.private_key.filename = second
        return secret
    secret.validation_context.trusted_ca.filename = first
    if second:
        secret.validation_context.crl.filename = second
    return secret


def _certificate(name: str, chain: bytes, key: bytes) -> secret_pb2.Secret:
    secret = secret_pb2.Secret(name=name)
    secret.tls_certificate.certificate_chain.inline_bytes = chain
    secret.tls_certificate.private_key.inline_bytes = key
    return secret
