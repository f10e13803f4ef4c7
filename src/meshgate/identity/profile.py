"""What goes into each kind of certificate: extensions, names and the signature.

SPIFFE X509-SVID 1.0 on top of RFC 5280: exactly one URI name, `keyCertSign` and `cRLSign`
for authorities, `digitalSignature` and both TLS usages for workloads.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from meshgate.identity.spiffe import trust_domain_uri

_DNS_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:\*\.)?(?:[a-z0-9](?:[-_a-z0-9]{0,61}[a-z0-9])?\.)*"
    r"[a-z0-9](?:[-_a-z0-9]{0,61}[a-z0-9])?",
    re.IGNORECASE | re.ASCII,
)


def ca_builder(trust_domain: str, path_length: int) -> x509.CertificateBuilder:
    """A signing certificate of `trust_domain`; `path_length` authorities may follow below it."""
    # A signing certificate should be an SVID itself, whose ID has no path (X509-SVID 3.2).
    name = x509.UniformResourceIdentifier(trust_domain_uri(trust_domain))
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
    )


def leaf_builder(
    names: Sequence[x509.GeneralName],
    usages: Sequence[x509.ObjectIdentifier],
    subject: x509.Name | None = None,
) -> x509.CertificateBuilder:
    """A certificate that signs nothing, for the TLS `usages` and with exactly these `names`."""
    # Without a subject the alternative name is all there is, so it must be critical (RFC 5280 4.2.1.6).
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .subject_name(subject or x509.Name([]))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=subject is None)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """The extension that tells a verifier which of several authorities signed."""
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value)


def subject_key_identifier(key: ec.EllipticCurvePrivateKey) -> x509.SubjectKeyIdentifier:
    """What `authority_key_identifier` of the certificates below points to."""
    return x509.SubjectKeyIdentifier.from_public_key(key.public_key())


def server_names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    """Alternative names for DNS names (`*.` first allowed) and IP addresses; `ValueError` for others."""
    if not hosts:
        raise ValueError("a server certificate needs at least one host")
    return [_server_name(host) for host in hosts]


def _server_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if not _DNS_NAME.fullmatch(host):
            raise ValueError(f"not a DNS name or an IP address: {host[:80]!r}") from None
        return x509.DNSName(host)


def ca_name(trust_domain: str, role: str) -> x509.Name:
    """The subject of a signing certificate; `role` is `root` or `issuing`."""
    # An organisation name holds at most 64 characters (RFC 5280, A.1); the whole name is in the URI.
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, trust_domain[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Meshgate {role} CA"),
        ]
    )


def new_key() -> ec.EllipticCurvePrivateKey:
    """A fresh P-256 key: the fastest that every TLS stack takes."""
    return ec.generate_private_key(ec.SECP256R1())


def sign(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """The finished certificate, ECDSA with SHA-256."""
    return builder.sign(key, hashes.SHA256())


def whole_seconds(moment: datetime) -> datetime:
    """X.509 counts in whole seconds."""
    return moment.replace(microsecond=0)
