"""Certificates and keys that stand in for real ones in what is printed: valid, equal each time, worthless.

Their private keys are made of public numbers, so nobody may ever trust them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from meshgate.core.secret import Secret

_FROM = datetime(2025, 1, 1, tzinfo=UTC)
_TO = datetime(2049, 12, 31, tzinfo=UTC)
_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "placeholder")])


def placeholder_certificate(names: Sequence[str]) -> tuple[bytes, Secret]:
    """A self-signed certificate for SPIFFE IDs, host names or addresses, and its key; both PEM."""
    seed = hashlib.sha256("\n".join(names).encode()).digest()
    key = ec.derive_private_key(int.from_bytes(seed[:31]) + 1, ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(seed[:8]) + 1)
        .not_valid_before(_FROM)
        .not_valid_after(_TO)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .sign(key, SHA256(), ecdsa_deterministic=True)
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), Secret(pem)


def placeholder_key(number: int) -> Secret:
    """32 characters that are valid wherever a key is: as text, in a header, as base64."""
    return Secret.of(f"redacted{number:024d}")


def _general_name(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
