"""Tokens for the demo, good and bad ones; the secrets are the shop's, which are public."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

ALICE = ("alice-issuer", "demo-only-secret-of-alice-known-to-everybody")
CAROL = ("carol-issuer", "demo-only-secret-of-carol-known-to-everybody")
"""Issuer and secret, as in examples/shop/manifests/consumers.yaml."""
ALICE_KEY = "demo-only-key-of-alice"
_HOUR_S = 3600


def token(issuer: str, secret: str, *, lives_s: int = _HOUR_S, algorithm: str = "HS256") -> str:
    """A JSON Web Token (RFC 7519); a negative `lives_s` makes an expired one, `none` an unsigned one."""
    claims = {"iss": issuer, "exp": int(time.time()) + lives_s}
    signed = f"{_encode({'alg': algorithm, 'typ': 'JWT'})}.{_encode(claims)}"
    if algorithm == "none":
        return f"{signed}."
    return f"{signed}.{_base64(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"


def tampered(good: str) -> str:
    """The token with other claims under the old signature: it would live ten years."""
    header, claims, signature = good.split(".")
    data = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    return f"{header}.{_encode({**data, 'exp': data['exp'] + 10 * 365 * 24 * _HOUR_S})}.{signature}"


def _encode(data: object) -> str:
    return _base64(json.dumps(data).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
