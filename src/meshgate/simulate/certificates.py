"""Certificates that vouch for nothing: the same names always give the same bytes.

For configurations that are shown or validated, never for one that serves: the private
keys can be computed by anybody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from meshgate.core.secret import Secret

_FROM, _UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)


def leaf(name: str, subjects: Iterable[str]) -> tuple[bytes, Secret]:
    """(certificate chain, private key) as PEM; `subjects` are DNS names or SPIFFE IDs."""
    return _leaf(name, tuple(subjects))


@lru_cache(maxsize=256)
def _leaf(name: str, subjects: tuple[str, ...]) -> tuple[bytes, Secret]:
    key = _key(name)
    names = [x509.UniformResourceIdentifier(s) if "://" in s else x509.DNSName(s) for s in subjects]
    certificate = _signed(_builder("redacted", key).add_extension(x509.SubjectAlternativeName(names), False))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), Secret(pem)


@lru_cache(maxsize=1)
def root() -> bytes:
    """The certificate of the authority that signed all of them, as PEM."""
    builder = _builder("redacted root", _key("root"))
    return _signed(builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)).public_bytes(
        Encoding.PEM
    )


def _key(name: str) -> ec.EllipticCurvePrivateKey:
    number = int.from_bytes(hashlib.sha256(f"not a secret: {name}".encode()).digest()[:31])
    return ec.derive_private_key(number + 1, ec.SECP256R1())


def _builder(name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redacted root")]))
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .serial_number(1)
        .public_key(key.public_key())
    )


def _signed(builder: x509.CertificateBuilder) -> x509.Certificate:
    return builder.sign(_key("root"), SHA256(), ecdsa_deterministic=True)
