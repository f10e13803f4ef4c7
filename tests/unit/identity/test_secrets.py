"""What is said about a user's TLS Secret, and the bundle of roots."""

from __future__ import annotations

import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import example, given

from meshgate.core.secret import Secret
from meshgate.identity.ca import create_authority, default_gateway_certificate, issue_server_certificate
from meshgate.identity.secrets import tls_secret_problems, trust_bundle
from tests.unit.identity.tools import Damage, damaged, damages, der, pem

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
AUTHORITY = create_authority("cluster.local", NOW)
GOOD = issue_server_certificate(AUTHORITY, ["shop.example.com"], NOW)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey


def self_signed(key: Key) -> tuple[bytes, Secret]:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.example.com")])
    edwards = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .sign(key, None if edwards else hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), Secret(pem)


def test_the_bundle_holds_every_root() -> None:
    assert x509.load_pem_x509_certificates(trust_bundle(AUTHORITY)) == list(AUTHORITY.roots)
    other = create_authority("cluster.local", NOW).roots[0]
    both = replace(AUTHORITY, roots=(*AUTHORITY.roots, other))
    assert x509.load_pem_x509_certificates(trust_bundle(both)) == [AUTHORITY.roots[0], other]
    assert b"PRIVATE" not in trust_bundle(both)


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=lambda key: type(key).__name__,
)
def test_good_secrets_have_no_problems(key: Key) -> None:
    assert tls_secret_problems(*self_signed(key), NOW) == ()


def test_our_own_certificates_have_no_problems() -> None:
    default = default_gateway_certificate(NOW)
    for each in (GOOD, default):
        assert tls_secret_problems(each.chain_pem, each.key, NOW) == ()


def test_keys_that_envoy_refuses() -> None:
    curve = self_signed(ec.generate_private_key(ec.SECP256K1()))
    assert tls_secret_problems(*curve, NOW) == (
        "the curve secp256k1 is not supported; use P-256, P-384 or P-521",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cryptography's own opinion of short keys
        short = self_signed(rsa.generate_private_key(65537, 1024))
        assert tls_secret_problems(*short, NOW) == ("the RSA key has 1024 bits; at least 2048 are needed",)
    odd = self_signed(ed448.Ed448PrivateKey.generate())
    assert tls_secret_problems(*odd, NOW) == ("the key is neither RSA nor ECDSA nor Ed25519",)


def test_time_is_checked_along_the_chain() -> None:
    later = GOOD.not_after + timedelta(seconds=1)
    problems = tls_secret_problems(GOOD.chain_pem, GOOD.key, later)
    assert problems[0] == f"the certificate expired at {GOOD.not_after.isoformat()}"
    assert problems[1].startswith("certificate 2 of the chain expired at")
    early = tls_secret_problems(GOOD.chain_pem, GOOD.key, GOOD.not_before - timedelta(seconds=1))
    assert early == (f"the certificate is valid only from {GOOD.not_before.isoformat()}",)


def test_a_key_of_something_else() -> None:
    other = issue_server_certificate(AUTHORITY, ["other.example.com"], NOW)
    assert tls_secret_problems(GOOD.chain_pem, other.key, NOW) == (
        "tls.key does not belong to the certificate in tls.crt",
    )


def test_a_chain_in_the_wrong_order() -> None:
    leaf, issuing = x509.load_pem_x509_certificates(GOOD.chain_pem)
    pem = issuing.public_bytes(Encoding.PEM) + leaf.public_bytes(Encoding.PEM)
    assert tls_secret_problems(pem, GOOD.key, NOW) == (
        "tls.key belongs to certificate 2 of tls.crt; that one must come first",
    )


def test_what_does_not_parse() -> None:
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    broken_key = Secret.of("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    assert tls_secret_problems(b"", Secret(b""), NOW) == (
        "tls.crt holds no PEM certificate",
        "tls.key holds no PEM private key",
    )
    assert tls_secret_problems(broken, broken_key, NOW) == (
        "tls.crt holds a certificate that cannot be read",
        "tls.key holds a private key that cannot be read",
    )
    assert tls_secret_problems(GOOD.chain_pem + broken, GOOD.key, NOW) == (
        "tls.crt holds a certificate that cannot be read",
    )


def test_an_encrypted_key() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    chain, _ = self_signed(key)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"s3cret"))
    assert tls_secret_problems(chain, Secret(pem), NOW) == (
        "tls.key is encrypted; store it without a passphrase",
    )


LEAF, KEY = der(GOOD.chain_pem), der(GOOD.key.reveal())


@given(damages(len(LEAF)), damages(len(KEY)))
@example([(LEAF.index(b"\xa0\x03\x02\x01\x02") + 4, b"\x07")], [])  # no such version of X.509
@example([(LEAF.index(b"*\x86H\xce=\x02\x01") + 2, b"\x00")], [])  # no such kind of key
def test_damaged_bytes_are_a_problem_or_harmless_but_never_raise(leaf: Damage, key: Damage) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cryptography's own opinion of odd serial numbers
        problems = tls_secret_problems(
            pem(damaged(LEAF, leaf), b"CERTIFICATE"), Secret(pem(damaged(KEY, key), b"PRIVATE KEY")), NOW
        )
    for problem in problems:
        assert "\n" not in problem
        assert len(problem) < 200
        assert "BEGIN" not in problem


def test_each_of_those_examples_is_a_problem() -> None:
    version = LEAF.index(b"\xa0\x03\x02\x01\x02") + 4
    kind = LEAF.index(b"*\x86H\xce=\x02\x01") + 2
    assert tls_secret_problems(pem(damaged(LEAF, [(version, b"\x07")]), b"CERTIFICATE"), GOOD.key, NOW) == (
        "tls.crt holds a certificate that cannot be read",
    )
    assert tls_secret_problems(pem(damaged(LEAF, [(kind, b"\x00")]), b"CERTIFICATE"), GOOD.key, NOW) == (
        "the certificate's public key is of an unknown kind; use RSA or ECDSA",
    )
