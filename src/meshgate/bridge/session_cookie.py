"""Sessions that the client carries itself: sealed text in cookies, and when they end.

What is sealed can neither be read nor changed, nor used under another name or for another
audience. Each text has a key of its own (HKDF-SHA256 of the secret and a random salt), so
AES-GCM never sees a key and a nonce twice, whatever the number of sessions.
"""

from __future__ import annotations

import base64
import binascii
import enum
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from meshgate.core.secret import Secret

_VERSION = b"\x01"
_SALT_BYTES, _KEY_BYTES, _NONCE_BYTES, _TAG_BYTES = 24, 32, 12, 16
CHUNK_BYTES = 3800
"""Browsers keep cookies of at most 4,096 bytes, name and attributes included."""
MAX_CHUNKS = 9
_TOUCH_S = 60
"""A session that is used is noted at most this often, so that most answers carry no cookie."""

_PAST = "Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0"

Cookies = tuple[tuple[str, str], ...]
"""As `Request.cookies` has them."""


class Sealer:
    """Seals with one secret; `purpose` keeps what it seals apart from all else under that secret."""

    def __init__(self, secret: Secret, purpose: str) -> None:
        self._secret, self._purpose = secret, purpose.encode()

    def seal(self, content: bytes, bound_to: str) -> str:
        """Text for a cookie (base64url), to be opened only with the same `bound_to`."""
        salt = os.urandom(_SALT_BYTES)
        key, nonce = self._key(salt)
        sealed = AESGCM(key).encrypt(nonce, content, self._bound(bound_to))
        return _encoded(_VERSION + salt + sealed)

    def open(self, text: str, bound_to: str) -> bytes | None:
        """What was sealed; None for everything else, without saying why."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        if raw[:1] != _VERSION or len(raw) < 1 + _SALT_BYTES + _TAG_BYTES or _encoded(raw) != text:
            return None
        key, nonce = self._key(raw[1 : 1 + _SALT_BYTES])
        try:
            return AESGCM(key).decrypt(nonce, raw[1 + _SALT_BYTES :], self._bound(bound_to))
        except InvalidTag:
            return None

    def _key(self, salt: bytes) -> tuple[bytes, bytes]:
        made = HKDF(
            algorithm=SHA256(), length=_KEY_BYTES + _NONCE_BYTES, salt=salt, info=b"meshgate/" + self._purpose
        ).derive(self._secret.reveal())
        return made[:_KEY_BYTES], made[_KEY_BYTES:]

    def _bound(self, bound_to: str) -> bytes:
        return _VERSION + bound_to.encode()


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class CookieForm:
    """A cookie's name and attributes."""

    name: str
    path: str = "/"
    domain: str = ""
    same_site: str = "Strict"
    """`Strict`, `Lax` or `None`; empty or `Default`: none is said, and browsers take Lax."""
    http_only: bool = True
    secure: bool = True

    def names(self) -> tuple[str, ...]:
        """Of the cookie and of those that carry what does not fit into it."""
        return (self.name, *(f"{self.name}{i}" for i in range(2, MAX_CHUNKS + 1)))


def read_cookie(form: CookieForm, cookies: Cookies) -> str | None:
    """The value that `set_cookie` spread over cookies; None where one is missing. Of two with one
    name the first counts: browsers send the one with the longer path first."""
    first = dict(reversed(cookies))
    count, dot, start = first.get(form.name, "").partition(".")
    if not dot or len(count) != 1 or not count.isascii() or not count.isdigit() or count == "0":
        return None
    parts = [first.get(name) for name in form.names()[1 : int(count)]]
    whole = [start, *(part for part in parts if part is not None)]
    return "".join(whole) if len(whole) == int(count) else None


def set_cookie(
    form: CookieForm, value: str, cookies: Cookies = (), *, max_age_s: int | None = None
) -> tuple[str, ...]:
    """Values of Set-Cookie that store it; parts of an older and longer value in `cookies` are removed.

    `value` must be of base64url's characters. Raises `ValueError` where it is too long for any client.
    """
    parts = [value[i : i + CHUNK_BYTES] for i in range(0, len(value), CHUNK_BYTES)] or [""]
    if len(parts) > MAX_CHUNKS:
        raise ValueError(f"a session of {len(value)} bytes is too large for cookies")
    parts[0] = f"{len(parts)}.{parts[0]}"
    made = [_line(form, name, part, max_age_s) for name, part in zip(form.names(), parts, strict=False)]
    return (*made, *_removed(form, form.names()[len(parts) :], cookies))


def remove_cookie(form: CookieForm, cookies: Cookies) -> tuple[str, ...]:
    """Values of Set-Cookie that make the client forget it."""
    return _removed(form, form.names(), cookies)


def _removed(form: CookieForm, names: Iterable[str], cookies: Cookies) -> tuple[str, ...]:
    held = {name for name, _ in cookies}
    return tuple(_line(form, name, "", 0) for name in names if name in held)


def _line(form: CookieForm, name: str, value: str, max_age_s: int | None) -> str:
    parts = [f"{name}={value}"]
    if max_age_s is not None:
        parts.append(f"Max-Age={max_age_s}" if max_age_s > 0 else _PAST)
    parts.append(f"Path={form.path}")
    if form.domain:
        parts.append(f"Domain={form.domain}")
    if form.same_site not in ("", "Default"):
        parts.append(f"SameSite={form.same_site}")
    if form.secure:
        parts.append("Secure")
    if form.http_only:
        parts.append("HttpOnly")
    return "; ".join(parts)


class Age(enum.Enum):
    """What a session's age asks for."""

    FRESH = enum.auto()
    TOUCH = enum.auto()
    """Its use must be noted, or it will seem to idle."""
    RENEW = enum.auto()
    """It nears the end of its rolling time: a new one replaces it."""
    ENDED = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """How long a session lasts, in seconds; 0: without end."""

    idling_s: float = 900
    """Without a request."""
    rolling_s: float = 3600
    """Until it must be renewed, which requests do by themselves in its last quarter."""
    absolute_s: float = 86400
    """Whatever happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When a session began, was last renewed and last used; seconds since 1970."""

    created: float
    renewed: float
    used: float

    @classmethod
    def starting(cls, now: float) -> Times:
        """Of a session that begins."""
        return cls(created=now, renewed=now, used=now)

    def age(self, lifetimes: Lifetimes, now: float) -> Age:
        """Whether it still counts, and what is to be done. One from the future has ended too."""
        spans = (
            (self.created, lifetimes.absolute_s),
            (self.renewed, lifetimes.rolling_s),
            (self.used, lifetimes.idling_s),
        )
        if any(since > now + 60 or (limit and now - since > limit) for since, limit in spans):
            return Age.ENDED
        if lifetimes.rolling_s and now - self.renewed > lifetimes.rolling_s * 0.75:
            return Age.RENEW
        if lifetimes.idling_s and now - self.used > min(_TOUCH_S, lifetimes.idling_s / 4):
            return Age.TOUCH
        return Age.FRESH

    def left(self, lifetimes: Lifetimes, now: float) -> float | None:
        """Seconds until it ends, where nobody uses it; None: it has no end."""
        ends = (
            (self.created, lifetimes.absolute_s),
            (self.renewed, lifetimes.rolling_s),
            (self.used, lifetimes.idling_s),
        )
        return min((since + limit - now for since, limit in ends if limit), default=None)

    def touched(self, now: float) -> Times:
        """The same, used now."""
        return replace(self, used=now)

    def renewed_at(self, now: float) -> Times:
        """The same, renewed now; its absolute end stays."""
        return replace(self, renewed=now, used=now)
