"""Certificate authorities for tests: chains of any shape, as PEM text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


def named(common_name: str, organisation: str = "") -> x509.Name:
    """A subject."""
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    if organisation:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def signs(
        self,
        subject: x509.Name,
        *extensions: x509.ExtensionType,
        authority: bool = False,
        until: datetime | None = None,
    ) -> Pair:
        """A certificate for a new key, signed by this one."""
        return _make(subject, extensions, authority, until, self)


def authority(common_name: str) -> Pair:
    """A root."""
    return _make(named(common_name), (), True, None, None)


def _make(
    subject: x509.Name,
    extensions: Sequence[x509.ExtensionType],
    is_authority: bool,
    until: datetime | None,
    signer: Pair | None,
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.certificate.subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 2 * DAY)
        .not_valid_after(until or now + DAY)
    )
    if is_authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return Pair(builder.sign(signer.key if signer else key, SHA256()), key)
