"""The trust bundle that proxies get, and what is wrong with a user's TLS Secret.

Pure. The problems are sentences for a user's eyes: they name what was found but never
quote a key. What counts is what Envoy 1.40 does with a certificate (tried with it).
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificatePublicKeyTypes,
    PrivateKeyTypes,
    PublicKeyTypes,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from meshgate.core.secret import Secret
from meshgate.identity.ca import Authority

MIN_RSA_BITS = 2048
"""Envoy refuses a whole listener for a shorter key."""

_CURVES = ("secp256r1", "secp384r1", "secp521r1")


def trust_bundle(authority: Authority) -> bytes:
    """The PEM certificates of all trusted roots, for a proxy's validation context."""
    return b"".join(root.public_bytes(Encoding.PEM) for root in authority.roots)


def tls_secret_problems(chain_pem: bytes, key: Secret, now: datetime) -> tuple[str, ...]:
    """Why Envoy or a client would refuse this `tls.crt` and `tls.key`; empty if nothing is wrong.

    Checks that both parse, belong together, have a key that Envoy can use, and that no
    certificate of the chain is outside its validity at `now`.
    """
    chain, problems = _chain(chain_pem)
    private, key_problems = _private_key(key)
    problems += key_problems
    if chain:
        problems += _public_key_problems(chain[0])
        problems += (problem for place, each in enumerate(chain) for problem in _expiry(place, each, now))
    if chain and private:
        problems += _mismatch(chain, private)
    return tuple(problems)


def _chain(pem: bytes) -> tuple[list[x509.Certificate], list[str]]:
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        return [], ["tls.crt holds no PEM certificate"]
    try:
        return x509.load_pem_x509_certificates(pem), []
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        return [], ["tls.crt holds a certificate that cannot be read"]


def _private_key(key: Secret) -> tuple[PrivateKeyTypes | None, list[str]]:
    pem = key.reveal()
    if b"PRIVATE KEY-----" not in pem:
        return None, ["tls.key holds no PEM private key"]
    try:
        return load_pem_private_key(pem, password=None), []
    except TypeError:  # cryptography's answer to "encrypted, but no password given"
        return None, ["tls.key is encrypted; store it without a passphrase"]
    except (ValueError, UnsupportedAlgorithm):
        return None, ["tls.key holds a private key that cannot be read"]


def _public_key_problems(leaf: x509.Certificate) -> list[str]:
    try:
        public = leaf.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return ["the certificate's public key is of an unknown kind; use RSA or ECDSA"]
    match public:
        case rsa.RSAPublicKey() if public.key_size < MIN_RSA_BITS:
            return [f"the RSA key has {public.key_size} bits; at least {MIN_RSA_BITS} are needed"]
        case ec.EllipticCurvePublicKey() if public.curve.name not in _CURVES:
            return [f"the curve {public.curve.name} is not supported; use P-256, P-384 or P-521"]
        case rsa.RSAPublicKey() | ec.EllipticCurvePublicKey() | ed25519.Ed25519PublicKey():
            return []
        case _:
            return ["the key is neither RSA nor ECDSA nor Ed25519"]


def _expiry(place: int, certificate: x509.Certificate, now: datetime) -> list[str]:
    which = "the certificate" if place == 0 else f"certificate {place + 1} of the chain"
    if now >= certificate.not_valid_after_utc:
        return [f"{which} expired at {certificate.not_valid_after_utc.isoformat()}"]
    if now < certificate.not_valid_before_utc:
        return [f"{which} is valid only from {certificate.not_valid_before_utc.isoformat()}"]
    return []


def _mismatch(chain: list[x509.Certificate], private: PrivateKeyTypes) -> list[str]:
    wanted = _public_bytes(private.public_key())
    for place, certificate in enumerate(chain):
        try:
            found = _public_bytes(certificate.public_key()) == wanted
        except (ValueError, UnsupportedAlgorithm):
            if place == 0:
                return []  # said already
            continue
        if found and place == 0:
            return []
        if found:
            return [f"tls.key belongs to certificate {place + 1} of tls.crt; that one must come first"]
    return ["tls.key does not belong to the certificate in tls.crt"]


def _public_bytes(key: CertificatePublicKeyTypes | PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
