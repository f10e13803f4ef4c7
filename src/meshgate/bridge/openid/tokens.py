"""What a token must be: a signature by a known key, and claims that hold now. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from meshgate.bridge.openid.keys import ALGORITHMS, VerifyingKey
from meshgate.bridge.openid.problems import RefusedError

Claims = Mapping[str, Any]

MAX_TOKEN_BYTES = 16 * 1024
SHARED = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Algorithms of a shared secret -> the least bytes of the secret (RFC 7518, 3.2)."""
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_FUTURE_S = 60
"""How far ahead of ours a provider's clock may be for `iat`, beside the leeway."""
_OTHER_TYPES = ("logout+jwt", "secevent+jwt", "dpop+jwt", "oauth-authz-req+jwt", "token-introspection+jwt")
"""Signed by the same keys, and no tokens of anybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unverified:
    """A signed token (RFC 7515, compact form), not verified."""

    text: str
    algorithm: str
    kid: str | None
    claims: Claims


def looks_signed(token: str) -> bool:
    """Whether it is meant to be a signed token; all others are only known to who made them."""
    return _COMPACT.fullmatch(token) is not None and isinstance(_header(token), dict)


def _header(token: str) -> object:
    try:
        return json.loads(_decoded(token.partition(".")[0]))
    except (ValueError, RecursionError):
        return None


def parse(token: str) -> Unverified:
    """The parts. Raises `RefusedError`."""
    if len(token) > MAX_TOKEN_BYTES:
        raise RefusedError("the token is too long")
    if not _COMPACT.fullmatch(token):
        raise RefusedError("the token is not a signed one")
    first, second, _ = token.split(".")
    header, claims = _object(first), _object(second)
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or (algorithm not in ALGORITHMS and algorithm not in SHARED):
        raise RefusedError("the token's algorithm is not accepted")
    if "crit" in header or header.get("b64", True) is not True:
        raise RefusedError("the token demands what is not known here")
    kind = header.get("typ")
    if isinstance(kind, str) and kind.lower().removeprefix("application/") in _OTHER_TYPES:
        raise RefusedError("it is no token of that kind")
    if kid is not None and not isinstance(kid, str):
        raise RefusedError("the token's key has no valid name")
    return Unverified(text=token, algorithm=algorithm, kid=kid, claims=claims)


def _object(part: str) -> dict[str, Any]:
    try:
        found = json.loads(_decoded(part), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise RefusedError("the token cannot be read") from error
    if not isinstance(found, dict):
        raise RefusedError("the token cannot be read")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two members with one name somebody else may read the other one."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is there twice")
    return found


def _decoded(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def verify_signature(
    token: Unverified, keys: Iterable[VerifyingKey], secrets: Iterable[bytes] = ()
) -> Claims:
    """The claims, where one of the keys made the signature. Raises `RefusedError`.

    `secrets` are for the algorithms of a shared secret alone, so a public key is never one.
    """
    if token.algorithm in SHARED:
        candidates: list[Any] = [s for s in secrets if len(s) >= SHARED[token.algorithm]]
    else:
        candidates = [k.key for k in keys if k.fits(token.algorithm)]
    for key in candidates:
        try:
            jwt.PyJWS().decode(token.text, key=key, algorithms=[token.algorithm])
        except jwt.PyJWTError:
            continue
        return token.claims
    raise RefusedError("no known key made the token's signature")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the claims of a token must be."""

    issuers: frozenset[str]
    leeway_s: float = 0
    audience: str | None = None
    """Of an ID token: the client."""
    nonce: str | None = None
    max_age_s: float | None = None


def verify_claims(claims: Claims, expected: Expected, now: float) -> None:
    """Raises `RefusedError` where a standard claim (RFC 7519, OpenID Connect Core 3.1.3.7) does not hold."""
    if claims.get("iss") not in expected.issuers:
        raise RefusedError("the token is of another issuer")
    if _time(claims, "exp", needed=True) <= now - expected.leeway_s:
        raise RefusedError("the token has expired")
    if _time(claims, "nbf") > now + expected.leeway_s:
        raise RefusedError("the token is not valid yet")
    if _time(claims, "iat") > now + expected.leeway_s + _FUTURE_S:
        raise RefusedError("the token is from the future")
    if expected.audience is not None:
        _verify_audience(claims, expected.audience)
    if expected.nonce is not None and not same(claims.get("nonce"), expected.nonce):
        raise RefusedError("the ID token is not the answer to this login")
    if expected.max_age_s is not None:
        since = now - _time(claims, "auth_time", needed=True)
        if since > expected.max_age_s + expected.leeway_s:
            raise RefusedError("the login is too long ago")


def _verify_audience(claims: Claims, audience: str) -> None:
    named = claims.get("aud")
    audiences = named if isinstance(named, list) else [named]
    party = claims.get("azp")
    if audience not in audiences or (party is not None and party != audience):
        raise RefusedError("the ID token is for another client")
    if len(audiences) > 1 and party is None:
        raise RefusedError("the ID token is for several clients and names none of them")


def _time(claims: Claims, name: str, *, needed: bool = False) -> float:
    """Seconds since 1970; 0 for none where none is needed."""
    value = claims.get(name)
    if value is None and not needed:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        raise RefusedError(f"the token's {name} is missing or no time")
    return float(value)


def verify_access_hash(claims: Claims, algorithm: str, access_token: str) -> None:
    """Raises `RefusedError` where an ID token names another access token (`at_hash`)."""
    said = claims.get("at_hash")
    if said is None or algorithm == "EdDSA":
        return
    digest = hashlib.new(f"sha{algorithm[-3:]}", access_token.encode()).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    if not same(said, half):
        raise RefusedError("the ID token belongs to another access token")


def same(one: object, other: str) -> bool:
    """Compares texts in a time that does not depend on them."""
    return isinstance(one, str) and hmac.compare_digest(one.encode(), other.encode())
