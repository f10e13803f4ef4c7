"""Chains that other people's verifiers accept, and certificates that a real TLS handshake takes."""

from __future__ import annotations

import ssl
import subprocess
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from meshgate.identity.ca import (
    ISSUING_LIFETIME,
    Authority,
    AuthorityError,
    ServerCertificate,
    Svid,
    create_authority,
    default_gateway_certificate,
    issue_server_certificate,
    issue_svid,
)
from meshgate.identity.secrets import trust_bundle
from meshgate.identity.spiffe import SpiffeId
from tests.unit.identity.tools import OPENSSL, needs_openssl

NOW = datetime(2026, 11, 20, 12, 0, 0, 987654, tzinfo=UTC)
DAY = timedelta(hours=24)
PAYMENT = SpiffeId("cluster.local", "default", "payment")
CHECKOUT = SpiffeId("cluster.local", "default", "checkout")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return create_authority("cluster.local", NOW)


def chain_of(issued: Svid | ServerCertificate) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(issued.chain_pem)


def verify_client(authority: Authority, svid: Svid, at: datetime) -> verification.VerifiedClient:
    leaf, *intermediates = chain_of(svid)
    store = verification.Store(list(authority.roots))
    verifier = verification.PolicyBuilder().store(store).time(at).build_client_verifier()
    return verifier.verify(leaf, intermediates)


def openssl_verify(
    folder: Path, roots: bytes, chain_pem: bytes, *options: str
) -> subprocess.CompletedProcess[str]:
    leaf, *intermediates = x509.load_pem_x509_certificates(chain_pem)
    (folder / "root.pem").write_bytes(roots)
    (folder / "leaf.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    (folder / "between.pem").write_bytes(b"".join(c.public_bytes(Encoding.PEM) for c in intermediates))
    command = [OPENSSL, "verify", "-x509_strict", "-CAfile", "root.pem", "-attime", str(int(NOW.timestamp()))]
    between = ["-untrusted", "between.pem"] if intermediates else []
    return subprocess.run(
        [*command, *between, *options, "leaf.pem"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_the_root_and_the_issuing_certificate_follow_the_specification(authority: Authority) -> None:
    for certificate, path_length, years in (
        (authority.roots[0], 1, 10),
        (authority.issuing_certificate, 0, 1),
    ):
        extensions = certificate.extensions
        constraints = extensions.get_extension_for_class(x509.BasicConstraints)
        assert constraints.critical
        assert constraints.value == x509.BasicConstraints(ca=True, path_length=path_length)
        usage = extensions.get_extension_for_class(x509.KeyUsage)
        assert usage.critical
        assert usage.value.key_cert_sign
        assert usage.value.crl_sign
        assert not usage.value.digital_signature
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert list(names) == [x509.UniformResourceIdentifier("spiffe://cluster.local")]
        assert abs((certificate.not_valid_after_utc - NOW).days - 365.25 * years) < 2
        assert certificate.not_valid_before_utc <= NOW - timedelta(minutes=30)
    root_id = authority.roots[0].extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    signed_by = authority.issuing_certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    assert signed_by.value.key_identifier == root_id.digest


def test_an_svid_follows_the_specification(authority: Authority) -> None:
    svid = issue_svid(authority, PAYMENT, DAY, NOW)
    leaf, issuing = chain_of(svid)
    assert issuing == authority.issuing_certificate
    assert list(leaf.subject) == []
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.critical
    assert list(names.value) == [x509.UniformResourceIdentifier(str(PAYMENT))]
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert not usage.value.crl_sign
    extended = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(extended) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    key = load_pem_private_key(svid.key.reveal(), password=None)
    assert key.public_key() == leaf.public_key()
    assert svid.key.reveal().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert (svid.not_before, svid.not_after) == (leaf.not_valid_before_utc, leaf.not_valid_after_utc)
    assert "PRIVATE" not in repr(svid)
    assert int(svid.serial, 16) == leaf.serial_number


@pytest.mark.parametrize(
    ("lifetime", "backdate"),
    [(DAY, timedelta(minutes=1)), (timedelta(seconds=60), timedelta(seconds=6))],
)
def test_an_svid_starts_a_little_early(
    authority: Authority, lifetime: timedelta, backdate: timedelta
) -> None:
    svid = issue_svid(authority, PAYMENT, lifetime, NOW)
    whole = NOW.replace(microsecond=0)
    assert svid.not_after == whole + lifetime
    assert svid.not_before == whole - backdate


def test_an_svid_verifies_as_client(authority: Authority) -> None:
    svid = issue_svid(authority, PAYMENT, DAY, NOW)
    verified = verify_client(authority, svid, NOW)
    assert verified.subjects == [x509.UniformResourceIdentifier(str(PAYMENT))]
    assert verified.chain[-1] == authority.roots[0]


def test_an_svid_fails_after_its_life_and_under_another_root(authority: Authority) -> None:
    svid = issue_svid(authority, PAYMENT, DAY, NOW)
    with pytest.raises(verification.VerificationError):
        verify_client(authority, svid, NOW + DAY + timedelta(seconds=1))
    with pytest.raises(verification.VerificationError):
        verify_client(create_authority("cluster.local", NOW), svid, NOW)


@needs_openssl
@pytest.mark.parametrize("purpose", ["sslclient", "sslserver"])
def test_openssl_verifies_an_svid_for_both_sides(authority: Authority, tmp_path: Path, purpose: str) -> None:
    svid = issue_svid(authority, PAYMENT, DAY, NOW)
    result = openssl_verify(tmp_path, trust_bundle(authority), svid.chain_pem, "-purpose", purpose)
    assert result.returncode == 0, result.stderr


@needs_openssl
def test_openssl_refuses_an_svid_that_signs(authority: Authority, tmp_path: Path) -> None:
    """A workload that uses its own key as an authority gains nothing."""
    stolen = issue_svid(authority, PAYMENT, DAY, NOW)
    workload_key = load_pem_private_key(stolen.key.reveal(), password=None)
    rogue = create_authority("cluster.local", NOW)
    # The rogue's issuing certificate, signed by the workload's key in place of the root's.
    forged = replace(rogue, issuing_certificate=_signed_by(rogue, chain_of(stolen)[0], workload_key))
    svid = issue_svid(forged, CHECKOUT, DAY, NOW)
    result = openssl_verify(tmp_path, trust_bundle(authority), svid.chain_pem + stolen.chain_pem)
    assert result.returncode != 0
    assert "invalid CA certificate" in result.stderr
    with pytest.raises(verification.VerificationError):
        verify_client(authority, replace(svid, chain_pem=svid.chain_pem + stolen.chain_pem), NOW)


def _signed_by(rogue: Authority, signer: x509.Certificate, key: object) -> x509.Certificate:
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    old = rogue.issuing_certificate
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(signer.subject)
        .public_key(rogue.issuing_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(old.not_valid_before_utc)
        .not_valid_after(old.not_valid_after_utc)
    )
    for extension in old.extensions:
        if not isinstance(extension.value, x509.AuthorityKeyIdentifier):
            builder = builder.add_extension(extension.value, critical=extension.critical)
    return builder.sign(key, hashes.SHA256())


def test_two_workloads_shake_hands(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    authority = create_authority("cluster.local", now)
    server = issue_svid(authority, PAYMENT, DAY, now)
    client = issue_svid(authority, CHECKOUT, DAY, now)
    seen_by_server, seen_by_client = handshake(authority, server, client, tmp_path)
    assert seen_by_server == (("URI", str(CHECKOUT)),)
    assert seen_by_client == (("URI", str(PAYMENT)),)


def test_a_server_certificate_is_refused_as_client(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    authority = create_authority("cluster.local", now)
    server = issue_svid(authority, PAYMENT, DAY, now)
    client = issue_server_certificate(authority, ["shop.example.com"], now)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(authority, server, client, tmp_path)


def handshake(
    authority: Authority, server: Svid | ServerCertificate, client: Svid | ServerCertificate, folder: Path
) -> tuple[object, object]:
    """Mutual TLS in memory; the alternative names that each side saw of the other."""
    sides = []
    for name, issued, protocol in (
        ("server", server, ssl.PROTOCOL_TLS_SERVER),
        ("client", client, ssl.PROTOCOL_TLS_CLIENT),
    ):
        context = ssl.SSLContext(protocol)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=trust_bundle(authority).decode())
        file = folder / f"{name}.pem"
        file.write_bytes(issued.chain_pem + issued.key.reveal())
        context.load_cert_chain(file)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        sides.append((context.wrap_bio(incoming, outgoing, name == "server"), incoming, outgoing))
    (server_tls, to_server, from_server), (client_tls, to_client, from_client) = sides
    for _ in range(4):
        for tls in (client_tls, server_tls):
            with suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            to_server.write(from_client.read())
            to_client.write(from_server.read())
    server_sees, client_sees = server_tls.getpeercert(), client_tls.getpeercert()
    assert server_sees
    assert client_sees
    return server_sees["subjectAltName"], client_sees["subjectAltName"]


def test_every_certificate_has_its_own_key_and_serial(authority: Authority) -> None:
    first, second = (issue_svid(authority, PAYMENT, DAY, NOW) for _ in range(2))
    assert first.key != second.key
    assert first.serial != second.serial


def test_an_svid_becomes_the_models(authority: Authority) -> None:
    svid = issue_svid(authority, PAYMENT, DAY, NOW)
    model = svid.for_model()
    assert (model.spiffe_id, model.chain_pem, model.key_pem) == (str(PAYMENT), svid.chain_pem, svid.key)
    assert model.serial == svid.serial


def test_a_foreign_trust_domain_is_not_signed(authority: Authority) -> None:
    with pytest.raises(ValueError, match="not in the trust domain"):
        issue_svid(authority, SpiffeId("other.example", "a", "b"), DAY, NOW)
    with pytest.raises(ValueError, match="trust domain"):
        create_authority("Not A Domain", NOW)


def test_a_long_trust_domain_fits() -> None:
    name = "a" * 255
    long = create_authority(name, NOW)
    svid = issue_svid(long, SpiffeId(name, "n", "s"), DAY, NOW)
    assert verify_client(long, svid, NOW).subjects == [x509.UniformResourceIdentifier(str(svid.spiffe_id))]


def test_the_issuing_certificate_is_renewed_at_half_of_its_life(authority: Authority) -> None:
    assert authority.renewed(NOW + ISSUING_LIFETIME * 0.49) is authority
    later = NOW + ISSUING_LIFETIME * 0.51
    renewed = authority.renewed(later)
    assert renewed.roots == authority.roots
    assert renewed.issuing_certificate.not_valid_after_utc > authority.issuing_certificate.not_valid_after_utc
    assert renewed.issuing_key.public_key() != authority.issuing_key.public_key()
    # What each of the two signs is good under the same root at the same time.
    for each in (authority, renewed):
        assert verify_client(authority, issue_svid(each, PAYMENT, DAY, later), later).subjects


def test_nothing_outlives_its_issuer(authority: Authority) -> None:
    end = authority.issuing_certificate.not_valid_after_utc
    svid = issue_svid(authority, PAYMENT, DAY, end - timedelta(hours=1))
    assert svid.not_after == end
    for moment in (end, authority.issuing_certificate.not_valid_before_utc - timedelta(seconds=1)):
        with pytest.raises(AuthorityError, match="issuing certificate") as raised:
            issue_svid(authority, PAYMENT, DAY, moment)
        assert "clock" in raised.value.remedy
    root_end = authority.roots[0].not_valid_after_utc
    renewed = authority.renewed(root_end - timedelta(days=10))
    assert renewed.issuing_certificate.not_valid_after_utc == root_end
    with pytest.raises(AuthorityError, match="root certificate expired"):
        authority.renewed(root_end)


def test_a_server_certificate_verifies_for_its_hosts(authority: Authority) -> None:
    issued = issue_server_certificate(authority, ["shop.example.com", "*.shop.example.com", "127.0.0.1"], NOW)
    leaf, *between = chain_of(issued)
    store = verification.Store(list(authority.roots))
    builder = verification.PolicyBuilder().store(store).time(NOW)
    for host in ("shop.example.com", "api.shop.example.com"):
        assert builder.build_server_verifier(x509.DNSName(host)).verify(leaf, between)
    with pytest.raises(verification.VerificationError):
        builder.build_server_verifier(x509.DNSName("example.com")).verify(leaf, between)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == []


@needs_openssl
def test_the_default_certificate_stands_alone(tmp_path: Path) -> None:
    issued = default_gateway_certificate(NOW)
    assert len(chain_of(issued)) == 1
    for option in (["-verify_hostname", "localhost"], ["-verify_ip", "127.0.0.1"], ["-purpose", "sslserver"]):
        result = openssl_verify(tmp_path, issued.chain_pem, issued.chain_pem, *option)
        assert result.returncode == 0, result.stderr
    other = openssl_verify(tmp_path, issued.chain_pem, issued.chain_pem, "-verify_hostname", "example.com")
    assert other.returncode != 0
    assert issued.not_after - issued.not_before < timedelta(days=398)


@pytest.mark.parametrize(
    "hosts", [[], ["*"], ["a b"], ["x" * 64 + ".com"], ["é.example"], ["\u212a.example"]]
)
def test_no_certificate_for_what_is_no_host(authority: Authority, hosts: list[str]) -> None:
    with pytest.raises(ValueError, match=r"host|DNS name"):
        issue_server_certificate(authority, hosts, NOW)
