"""Reads a jwt credential: the key by name, and what checks signatures by its algorithm."""

from __future__ import annotations

from types import MappingProxyType

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from meshgate.core.secret import Secret
from meshgate.model.consumer import JwtCredential
from meshgate.model.credential_fields import CredentialFields

JWT_KEYS = frozenset({"key", "secret", "algorithm", "rsa_public_key"})
"""What the Secret of one may hold."""

SHARED_KEY_ALGORITHMS = frozenset({"HS256", "HS384", "HS512"})

_CURVES = MappingProxyType({"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"})
_RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
ALGORITHMS = SHARED_KEY_ALGORITHMS | _RSA_ALGORITHMS | frozenset(_CURVES) | {"EdDSA"}
"""What a jwt credential may name (Kong 3.9; `none` is none of them)."""

_MINIMUM_RSA_BITS = 1024
"""Shorter keys have been factored in public; whoever does that signs tokens of their own."""


def read_jwt(fields: CredentialFields) -> JwtCredential | None:
    """The credential, or None where its key or algorithm will not do."""
    key = fields.needed_line(
        "key", "a jwt credential needs a key, the value of the token's issuer claim; Kong would invent one"
    )
    algorithm = _algorithm(fields)
    if algorithm is None:
        return None
    if algorithm in SHARED_KEY_ALGORITHMS:
        secret = _shared_key(fields, algorithm)
        return JwtCredential(key=key, algorithm=algorithm, secret=secret) if key and secret else None
    pem = _public_key(fields, algorithm)
    return JwtCredential(key=key, algorithm=algorithm, public_key_pem=pem) if key and pem else None


def _algorithm(fields: CredentialFields) -> str | None:
    if "algorithm" not in fields.data:
        return "HS256"
    algorithm = fields.text("algorithm")
    if algorithm in ALGORITHMS:
        return algorithm
    shown = repr(algorithm[:32]) if algorithm is not None else "bytes that are no text"
    fields.error(f"must be one of {', '.join(sorted(ALGORITHMS))}, got {shown}", "", ("data", "algorithm"))
    return None


def _shared_key(fields: CredentialFields, algorithm: str) -> Secret | None:
    return fields.secret("secret", f"{algorithm} needs a secret; Kong would invent one")


def _public_key(fields: CredentialFields, algorithm: str) -> str | None:
    path = ("data", "rsa_public_key")
    pem = fields.text("rsa_public_key") if "rsa_public_key" in fields.data else ""
    if not pem:
        fields.error(f"{algorithm} needs a public key", "set rsa_public_key to its PEM text", path)
        return None
    if "PRIVATE KEY" in pem:
        fields.error("is a private key", "give its public half, and replace the key pair", path)
        return None
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        fields.error("must be a public key as PEM text (BEGIN PUBLIC KEY)", "", path)
        return None
    match key:
        case RSAPublicKey():
            fits = algorithm in _RSA_ALGORITHMS and key.key_size >= _MINIMUM_RSA_BITS
            found = f"RSA with {key.key_size} bits"
        case EllipticCurvePublicKey():
            fits = key.curve.name == _CURVES.get(algorithm)
            found = f"an elliptic curve {key.curve.name}"
        case Ed25519PublicKey():
            fits, found = algorithm == "EdDSA", "Ed25519"
        case _:
            fits, found = False, "of another type"
    if not fits:
        fields.error(f"must be {_wanted_key(algorithm)} for {algorithm}, is {found}", "", path)
        return None
    return pem


def _wanted_key(algorithm: str) -> str:
    if algorithm in _RSA_ALGORITHMS:
        return f"RSA with at least {_MINIMUM_RSA_BITS} bits"
    return f"on the curve {_CURVES[algorithm]}" if algorithm in _CURVES else "Ed25519"
