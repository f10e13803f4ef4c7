"""JSON Web Tokens, good and bad, for the consumers of the edge's test manifests."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

ALICE_ISSUER, BOB_ISSUER = "alice-issuer", "bob-issuer"
ALICE_SECRET = "a-secret-for-tests-that-is-long-enough"
_BOB = rsa.generate_private_key(public_exponent=65537, key_size=2048)
BOB_PRIVATE_PEM = _BOB.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
BOB_PUBLIC_PEM = _BOB.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
HOUR_S = 3600


def part(value: object) -> str:
    """A part of a token: JSON, or bytes as they are, in base64 for URLs."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(issuer: str, **more: object) -> dict[str, object]:
    """Claims that are good for an hour, `more` added or, where None, left out."""
    found: dict[str, object] = {"iss": issuer, "exp": int(time.time()) + HOUR_S, **more}
    return {name: value for name, value in found.items() if value is not None}


def alice(**more: object) -> str:
    """A token of alice's, HS256."""
    return jwt.encode(claims(ALICE_ISSUER, **more), ALICE_SECRET, "HS256")


def bob(**more: object) -> str:
    """A token of bob's, RS256."""
    return jwt.encode(claims(BOB_ISSUER, **more), BOB_PRIVATE_PEM.decode(), "RS256")


def by_hand(header: Mapping[str, object], payload: object, secret: bytes = b"") -> str:
    """A token that no library would make; signed with HMAC-SHA256 where a secret is given."""
    signed = f"{part(header)}.{part(payload)}"
    signature = hmac.digest(secret, signed.encode(), hashlib.sha256) if secret else b""
    return f"{signed}.{part(signature)}"


def tampered(token: str) -> str:
    """The token with the first byte of its signature changed."""
    head, payload, signature = token.split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    return ".".join((head, payload, part(bytes([raw[0] ^ 1]) + raw[1:])))
