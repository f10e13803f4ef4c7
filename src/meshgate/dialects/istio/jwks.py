"""JSON Web Key Sets (RFC 7517) that are written in a manifest.

Envoy 1.40 refuses a whole listener for a set without a key that it can use, and would go on
with the listener it had. So only keys that are known to work are handed on.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from meshgate.core.secret import Secret

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+={0,2}")
_CURVES: Mapping[str, tuple[ec.EllipticCurve, str]] = {
    "P-256": (ec.SECP256R1(), "ES256"),
    "P-384": (ec.SECP384R1(), "ES384"),
    "P-521": (ec.SECP521R1(), "ES512"),
}
_MEMBERS = ("kty", "alg", "kid", "use", "n", "e", "crv", "x", "y", "k")
MAX_KEYS = 256


def usable_keys(jwks: Secret) -> tuple[Secret | None, int]:
    """(a set of those keys that can verify signatures, how many others there are).

    None where it is no key set, or has no such key.
    """
    try:
        found = json.loads(jwks.reveal())
    except (ValueError, RecursionError):
        return None, 0
    keys = found.get("keys") if isinstance(found, Mapping) else None
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        return None, 0
    good = [_handed_on(key) for key in keys if _is_usable(key)]
    if not good:
        return None, len(keys)
    return Secret.of(json.dumps({"keys": good}, sort_keys=True)), len(keys) - len(good)


def _handed_on(key: Mapping[str, str]) -> dict[str, str]:
    """With the algorithm that its curve leaves: Envoy 1.40 ends its search at an OKP key without one."""
    found = {member: key[member] for member in _MEMBERS if member in key}
    if not found.get("alg") and found["kty"] in ("EC", "OKP"):
        found["alg"] = "EdDSA" if found["kty"] == "OKP" else _CURVES[found["crv"]][1]
    return found


def _is_usable(key: Any) -> bool:
    if not isinstance(key, Mapping) or not all(isinstance(key[m], str) for m in _MEMBERS if m in key):
        return False
    alg = key.get("alg", "")
    try:
        match key.get("kty"):
            case "RSA":
                numbers = rsa.RSAPublicNumbers(e=_number(key["e"]), n=_number(key["n"]))
                numbers.public_key()
                return alg in ("", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
            case "EC":
                curve, own = _CURVES[key["crv"]]
                ec.EllipticCurvePublicNumbers(_number(key["x"]), _number(key["y"]), curve).public_key()
                return alg in ("", own)
            case "OKP":
                ed25519.Ed25519PublicKey.from_public_bytes(_bytes(key["x"]))
                return key["crv"] == "Ed25519" and alg in ("", "EdDSA")
            case "oct":
                return bool(_bytes(key["k"])) and alg in ("", "HS256", "HS384", "HS512")
            case _:
                return False
    except (ValueError, KeyError, binascii.Error):
        return False


def _bytes(text: str) -> bytes:
    if _BASE64URL.fullmatch(text) is None:
        raise ValueError("not base64url")
    bare = text.rstrip("=")
    return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))


def _number(text: str) -> int:
    return int.from_bytes(_bytes(text), "big")
