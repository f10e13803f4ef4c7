"""Chains of client certificates: whether one leads to an authority, and the names in it.

As OpenSSL would check a client: times, signatures, CA bits, path lengths, name constraints,
key usages, no unknown critical extension. A subjectAltName need not be there, and neither need key
identifiers, which private authorities often leave out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import (
    AuthorityKeyIdentifier,
    BasicConstraints,
    Certificate,
    DNSName,
    ExtendedKeyUsage,
    ExtensionNotFound,
    IPAddress,
    KeyUsage,
    Name,
    NameOID,
    RFC822Name,
    SubjectAlternativeName,
    SubjectKeyIdentifier,
    UniformResourceIdentifier,
    load_pem_x509_certificates,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

MAX_CERTIFICATES = 10
"""Of a chain; no sane client sends more."""


def read_chain(pem: str) -> tuple[Certificate, ...]:
    """The client's own certificate, then what it sent to prove it; empty where that is none."""
    try:
        found = load_pem_x509_certificates(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        return ()
    return tuple(found) if len(found) <= MAX_CERTIFICATES else ()


def verified(
    chain: Sequence[Certificate],
    authorities: Sequence[Certificate],
    now: datetime,
    *,
    allow_partial_chain: bool = False,
) -> tuple[Certificate, ...] | None:
    """The chain from the client's certificate to where trust begins; None where there is none."""
    anchors = [a for a in authorities if allow_partial_chain or a.issuer == a.subject]
    others = [a for a in authorities if a not in anchors]
    if not chain or not anchors:
        return None
    ca_policy, client_policy = _policies()
    builder = PolicyBuilder().store(Store(anchors)).time(now)
    builder = builder.extension_policies(ca_policy=ca_policy, ee_policy=client_policy)
    try:
        found = builder.build_client_verifier().verify(chain[0], [*chain[1:], *others])
    except (VerificationError, ValueError, UnsupportedAlgorithm):
        return None
    return tuple(found.chain)


@cache
def _policies() -> tuple[ExtensionPolicy, ExtensionPolicy]:
    either = Criticality.AGNOSTIC
    authority = (
        ExtensionPolicy.webpki_defaults_ca()
        .require_present(BasicConstraints, either, _is_authority)
        .may_be_present(KeyUsage, either, _may_sign)
        .may_be_present(SubjectKeyIdentifier, either, None)
        .may_be_present(AuthorityKeyIdentifier, either, None)
        .may_be_present(ExtendedKeyUsage, either, _may_be_client)
    )
    client = (
        ExtensionPolicy.webpki_defaults_ee()
        .may_be_present(SubjectAlternativeName, either, None)
        .may_be_present(BasicConstraints, either, None)
        .may_be_present(KeyUsage, either, _may_agree)
        .may_be_present(AuthorityKeyIdentifier, either, None)
        .may_be_present(ExtendedKeyUsage, either, _may_be_client)
    )
    return authority, client


def _is_authority(policy: Policy, certificate: Certificate, extension: BasicConstraints) -> None:
    if not extension.ca:
        raise ValueError("is no authority")


def _may_sign(policy: Policy, certificate: Certificate, extension: KeyUsage | None) -> None:
    if extension is not None and not extension.key_cert_sign:
        raise ValueError("may not sign certificates")


def _may_agree(policy: Policy, certificate: Certificate, extension: KeyUsage | None) -> None:
    if extension is not None and not (extension.digital_signature or extension.key_agreement):
        raise ValueError("may not sign in a handshake")


def _may_be_client(policy: Policy, certificate: Certificate, extension: ExtendedKeyUsage | None) -> None:
    allowed = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    if extension is not None and not any(one in extension for one in allowed):
        raise ValueError("is not for clients")


def alternative_names(certificate: Certificate) -> tuple[str, ...] | None:
    """The subjectAltName's names, addresses and URIs in their order; None where there is none at all."""
    try:
        extension = certificate.extensions.get_extension_for_class(SubjectAlternativeName)
    except (ExtensionNotFound, ValueError):
        return None
    found: list[str] = []
    for name in extension.value:
        match name:
            case DNSName() | RFC822Name() | UniformResourceIdentifier():
                found.append(name.value)
            case IPAddress():
                found.append(str(name.value))
    return tuple(found)


def common_name(certificate: Certificate) -> str:
    """The subject's last CN, the most specific one; empty where there is none."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    value = found[-1].value if found else ""
    return value if isinstance(value, str) else ""


def subject_names(certificate: Certificate) -> tuple[str, ...]:
    """By what a consumer is looked for: the alternative names or, where there are none at all, the CN."""
    names = alternative_names(certificate)
    if names is None:
        names = (common_name(certificate),)
    return tuple(name for name in names if name)


def distinguished_name(name: Name) -> str:
    """A name as RFC 4514 has it, in characters that a header can hold."""
    return header_text(name.rfc4514_string())


def header_text(text: str) -> str:
    """The text with everything but printable ASCII as `\\XX`, byte by byte (RFC 4514, 2.4)."""
    return "".join(c if " " <= c <= "~" else "".join(f"\\{b:02X}" for b in c.encode()) for c in text)
