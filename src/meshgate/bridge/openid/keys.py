"""Keys of an identity provider: a JSON Web Key Set (RFC 7517) as keys that verify."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import AllowedPublicKeys

ALGORITHMS: Mapping[str, str] = {
    "RS256": "RSA",
    "RS384": "RSA",
    "RS512": "RSA",
    "PS256": "RSA",
    "PS384": "RSA",
    "PS512": "RSA",
    "ES256": "secp256r1",
    "ES384": "secp384r1",
    "ES512": "secp521r1",
    "EdDSA": "Ed",
}
"""Asymmetric algorithms (RFC 7518, 8037) -> the family of keys that each is for."""
MAX_KEYS = 100
_LEAST_RSA_BITS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyingKey:
    """A public key, and what it may be used for."""

    kid: str | None
    algorithm: str | None
    """The only one, where the key names one."""
    family: str
    key: AllowedPublicKeys

    def fits(self, algorithm: str) -> bool:
        """Whether it may verify that algorithm's signatures."""
        return self.family == ALGORITHMS.get(algorithm) and self.algorithm in (None, algorithm)


def read_key_set(document: Mapping[str, Any]) -> tuple[VerifyingKey, ...]:
    """The keys that can verify. Shared secrets, weak keys and those for encryption are left out."""
    written = document.get("keys")
    items = written[:MAX_KEYS] if isinstance(written, list) else []
    return tuple(key for item in items if isinstance(item, dict) and (key := _read(item)) is not None)


def _read(item: Mapping[str, Any]) -> VerifyingKey | None:
    kid, algorithm = item.get("kid"), item.get("alg")
    operations = item.get("key_ops")
    if item.get("use", "sig") != "sig" or (isinstance(operations, list) and "verify" not in operations):
        return None
    if item.get("kty") == "oct" or (algorithm is not None and algorithm not in ALGORITHMS):
        return None
    try:
        # Of a private key that somebody published only the public part is taken.
        public = {k: v for k, v in item.items() if k not in ("d", "p", "q", "dp", "dq", "qi", "alg")}
        key = jwt.PyJWK.from_dict(public).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    family = _family(key)
    if family is None or (algorithm is not None and ALGORITHMS[algorithm] != family):
        return None
    return VerifyingKey(
        kid=kid if isinstance(kid, str) else None, algorithm=algorithm, family=family, key=key
    )


def _family(key: object) -> str | None:
    match key:
        case rsa.RSAPublicKey() if key.key_size >= _LEAST_RSA_BITS:
            return "RSA"
        case ec.EllipticCurvePublicKey():
            return key.curve.name if key.curve.name in ALGORITHMS.values() else None
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            return "Ed"
        case _:
            return None


def choose(keys: Iterable[VerifyingKey], kid: str | None, algorithm: str) -> tuple[VerifyingKey, ...]:
    """Those that may have made a signature; a token that names a key is verified by that one alone."""
    return tuple(k for k in keys if k.fits(algorithm) and (kid is None or k.kid == kid))
