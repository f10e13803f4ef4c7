"""The certificate authority: pure issuing, with the time handed in.

Follows the SPIFFE X509-SVID specification 1.0 on top of RFC 5280. A root that lives ten
years signs an issuing certificate that lives one; only the root is trusted by proxies, so
the issuing certificate can be renewed without anybody learning of it.

No URI name constraints: the specification leaves them open and urges caution, they would
only limit an issuing key whose root key lies beside it, and `cryptography`'s own verifier
(50.0) rejects chains that have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshgate.core.secret import Secret
from meshgate.identity.profile import (
    authority_key_identifier,
    ca_builder,
    ca_name,
    leaf_builder,
    new_key,
    server_names,
    sign,
    subject_key_identifier,
    whole_seconds,
)
from meshgate.identity.spiffe import SpiffeId, trust_domain_problem
from meshgate.model import workload

ROOT_LIFETIME = timedelta(days=3652)
ISSUING_LIFETIME = timedelta(days=365)
SERVER_LIFETIME = timedelta(days=365)
"""Below the 398 days above which browsers refuse a server certificate."""

_CA_BACKDATE = timedelta(hours=1)
_LEAF_BACKDATE = timedelta(minutes=1)


class AuthorityError(Exception):
    """The authority cannot be used until somebody acts; `remedy` says how. Never holds a key."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message}; {remedy}")
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A trust domain's keys and certificates; an `Issuer` for `rotation`."""

    trust_domain: str
    roots: tuple[x509.Certificate, ...]
    """What proxies trust. The first one belongs to `root_key`; others are only trusted."""
    root_key: ec.EllipticCurvePrivateKey = field(repr=False)
    issuing_certificate: x509.Certificate
    """Signed by the first root, path length 0; travels with every leaf."""
    issuing_key: ec.EllipticCurvePrivateKey = field(repr=False)

    def issue(self, spiffe_id: SpiffeId, *, lifetime: timedelta, now: datetime) -> Svid:
        """`issue_svid` of this authority."""
        return issue_svid(self, spiffe_id, lifetime, now)

    def renewed(self, now: datetime) -> Authority:
        """Itself, or with a new issuing key and certificate if half of the old one's life is over.

        Leaves that the old one signed stay valid: they carry it, and the root is the same.
        Raises `AuthorityError` once the root is outside its own validity.
        """
        _require_valid_root(self.roots[0], now)
        if now < half_life(self.issuing_certificate):
            return self
        key = new_key()
        certificate = _issuing_certificate(self.trust_domain, key, self.roots[0], self.root_key, now)
        return replace(self, issuing_certificate=certificate, issuing_key=key)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCertificate:
    """A certificate for a TLS server, with its key."""

    chain_pem: bytes
    """Leaf first, then what signed it up to but without the root."""
    key: Secret
    """PEM, PKCS #8, not encrypted."""
    serial: str
    """Hexadecimal, unique."""
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Svid:
    """A workload's X.509 SVID: client and server certificate in one, with its key."""

    spiffe_id: SpiffeId
    chain_pem: bytes
    """Leaf first, then the issuing certificate; the root is in the trust bundle instead."""
    key: Secret
    """PEM, PKCS #8, not encrypted."""
    serial: str
    """Hexadecimal, unique; changes with every rotation."""
    not_before: datetime
    """A little before the time of issue, for peers whose clock is behind."""
    not_after: datetime

    def for_model(self) -> workload.Svid:
        """The part of it that a proxy needs."""
        return workload.Svid(
            spiffe_id=str(self.spiffe_id), chain_pem=self.chain_pem, key_pem=self.key, serial=self.serial
        )


def create_authority(trust_domain: str, now: datetime) -> Authority:
    """A new root and a new issuing certificate with fresh P-256 keys; `ValueError` for a bad name."""
    if problem := trust_domain_problem(trust_domain):
        raise ValueError(problem)
    root_key = new_key()
    name = ca_name(trust_domain, "root")
    root = sign(
        ca_builder(trust_domain, path_length=1)
        .subject_name(name)
        .issuer_name(name)
        .public_key(root_key.public_key())
        .not_valid_before(whole_seconds(now - _CA_BACKDATE))
        .not_valid_after(whole_seconds(now + ROOT_LIFETIME))
        .add_extension(subject_key_identifier(root_key), critical=False),
        root_key,
    )
    issuing_key = new_key()
    return Authority(
        trust_domain=trust_domain,
        roots=(root,),
        root_key=root_key,
        issuing_certificate=_issuing_certificate(trust_domain, issuing_key, root, root_key, now),
        issuing_key=issuing_key,
    )


def issue_svid(authority: Authority, spiffe_id: SpiffeId, lifetime: timedelta, now: datetime) -> Svid:
    """A new key and certificate for `spiffe_id`, valid from a little before `now` for `lifetime`.

    It never outlives the issuing certificate. Raises `ValueError` for a foreign trust domain
    and `AuthorityError` when the issuing certificate is outside its own validity.
    """
    if spiffe_id.trust_domain != authority.trust_domain:
        raise ValueError(f"{spiffe_id} is not in the trust domain {authority.trust_domain}")
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    names = [x509.UniformResourceIdentifier(str(spiffe_id))]
    leaf = _issue_leaf(authority, leaf_builder(names, usages), lifetime, now)
    return Svid(
        spiffe_id=spiffe_id,
        chain_pem=leaf.chain_pem,
        key=leaf.key,
        serial=leaf.serial,
        not_before=leaf.not_before,
        not_after=leaf.not_after,
    )


def issue_server_certificate(
    authority: Authority, hosts: Sequence[str], now: datetime, lifetime: timedelta = SERVER_LIFETIME
) -> ServerCertificate:
    """A certificate for `hosts` (DNS names, `*.` first allowed, or IP addresses), server use only.

    It has no URI name, so it never passes as a workload of the mesh. Errors as `issue_svid`.
    """
    builder = leaf_builder(server_names(hosts), [ExtendedKeyUsageOID.SERVER_AUTH])
    return _issue_leaf(authority, builder, lifetime, now)


def default_gateway_certificate(
    now: datetime, hosts: Sequence[str] = ("localhost", "*.localhost", "127.0.0.1", "::1")
) -> ServerCertificate:
    """A self-signed certificate for an HTTPS listener that has no Secret of its own.

    Not from the mesh's authority: a browser user who trusts it trusts nothing else.
    """
    key = new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Meshgate default certificate")])
    certificate = sign(
        leaf_builder(server_names(hosts), [ExtendedKeyUsageOID.SERVER_AUTH], subject=name)
        .issuer_name(name)
        .public_key(key.public_key())
        .not_valid_before(whole_seconds(now - _CA_BACKDATE))
        .not_valid_after(whole_seconds(now + SERVER_LIFETIME))
        .add_extension(subject_key_identifier(key), critical=False),
        key,
    )
    return _server_certificate(certificate, key, ())


def half_life(certificate: x509.Certificate) -> datetime:
    """The middle between a certificate's two dates."""
    start = certificate.not_valid_before_utc
    return start + (certificate.not_valid_after_utc - start) / 2


def private_key_pem(key: ec.EllipticCurvePrivateKey) -> Secret:
    """The key as unencrypted PKCS #8 PEM."""
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _require_valid_root(root: x509.Certificate, now: datetime) -> None:
    if now >= root.not_valid_after_utc:
        raise AuthorityError(
            f"the root certificate expired at {root.not_valid_after_utc.isoformat()}",
            "remove the authority's directory to get a new root, then restart every proxy",
        )
    if now < root.not_valid_before_utc:
        raise AuthorityError(
            f"the root certificate is valid only from {root.not_valid_before_utc.isoformat()}",
            f"correct this machine's clock, which says {now.isoformat(timespec='seconds')}",
        )


def _issue_leaf(
    authority: Authority, builder: x509.CertificateBuilder, lifetime: timedelta, now: datetime
) -> ServerCertificate:
    issuing = authority.issuing_certificate
    if not issuing.not_valid_before_utc <= now < issuing.not_valid_after_utc:
        raise AuthorityError(
            f"the issuing certificate is valid from {issuing.not_valid_before_utc.isoformat()}"
            f" to {issuing.not_valid_after_utc.isoformat()}, not at {now.isoformat(timespec='seconds')}",
            "correct this machine's clock, or restart to renew it",
        )
    key = new_key()
    certificate = sign(
        builder.issuer_name(issuing.subject)
        .public_key(key.public_key())
        .not_valid_before(whole_seconds(now - min(_LEAF_BACKDATE, lifetime / 10)))
        .not_valid_after(min(whole_seconds(now + lifetime), issuing.not_valid_after_utc))
        .add_extension(authority_key_identifier(issuing), critical=False),
        authority.issuing_key,
    )
    return _server_certificate(certificate, key, (issuing,))


def _issuing_certificate(
    trust_domain: str,
    key: ec.EllipticCurvePrivateKey,
    root: x509.Certificate,
    root_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    return sign(
        ca_builder(trust_domain, path_length=0)
        .subject_name(ca_name(trust_domain, "issuing"))
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .not_valid_before(whole_seconds(now - _CA_BACKDATE))
        .not_valid_after(min(whole_seconds(now + ISSUING_LIFETIME), root.not_valid_after_utc))
        .add_extension(subject_key_identifier(key), critical=False)
        .add_extension(authority_key_identifier(root), critical=False),
        root_key,
    )


def _server_certificate(
    certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, signers: Sequence[x509.Certificate]
) -> ServerCertificate:
    return ServerCertificate(
        chain_pem=b"".join(each.public_bytes(Encoding.PEM) for each in (certificate, *signers)),
        key=private_key_pem(key),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )
