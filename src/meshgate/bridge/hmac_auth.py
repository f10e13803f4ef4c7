"""Kong's `hmac-auth` (3.9): a signature over parts of the request says who asks.

    Authorization: hmac username="alice", algorithm="hmac-sha256", headers="x-date @request-target",
        signature="BASE64"

What is signed is one line for each name in `headers`, joined by line feeds. Of a header that is there
several times all values are signed, joined by `, `; Kong signs the first, and passes the others on.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType

from meshgate.bridge.request import Allow, Deny, Identity, Request, Verdict, refused
from meshgate.bridge.tools import Tools
from meshgate.model.consumer import Consumer, HmacCredential
from meshgate.model.policies.bridged import HmacAuth

_PARAMETERS = re.compile(
    r'\s*[Hh]mac\s*username="([^"]+)",\s*algorithm="([^"]+)",\s*headers="([^"]+)",\s*signature="([^"]+)"\s*'
)
_HASHES: Mapping[str, str] = MappingProxyType(
    {f"hmac-{name}": name for name in ("sha1", "sha224", "sha256", "sha384", "sha512")}
)
_REQUEST_TARGETS = ("@request-target", "(request-target)")
"""Kong's name for it since 3.0, and the one of the draft that Kong follows."""

NO_DATE = (
    "HMAC signature cannot be verified, a valid date or x-date header is required for HMAC Authentication"
)
NOT_VERIFIABLE = "HMAC signature cannot be verified"
NOT_THE_SAME = "HMAC signature does not match"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """What the client says of its signature."""

    place: str
    """The header that says it."""
    username: str
    algorithm: str
    names: tuple[str, ...]
    signature: bytes


class HmacCheck:
    """Who has signed a request."""

    def __init__(self, policy: HmacAuth, tools: Tools) -> None:
        self._policy, self._clock = policy, tools.clock
        self._credentials: Mapping[str, tuple[Consumer, HmacCredential]] = {
            c.username: (consumer, c) for consumer in tools.directory.consumers for c in consumer.hmac
        }
        self._challenge = f'hmac realm="{policy.realm}"' if policy.realm else "hmac"

    async def ask(self, request: Request, known: Identity | None) -> Verdict:
        """The consumer whose secret made the signature, or one of Kong's four refusals."""
        if request.header("authorization") is None and request.header("proxy-authorization") is None:
            return self._refused(request, "Unauthorized")
        if not any(self._is_now(request.header(name)) for name in ("x-date", "date")):
            return self._refused(request, NO_DATE)
        signed = _signed(request)
        if signed is None or not self._acceptable(signed):
            return self._refused(request, NOT_VERIFIABLE)
        found = self._credentials.get(signed.username)
        if found is None:
            return self._refused(request, NOT_VERIFIABLE)
        consumer, credential = found
        text = signing_string(request, signed.names).encode("latin-1", "replace")
        expected = hmac.digest(credential.secret.reveal(), text, _HASHES[signed.algorithm])
        if not hmac.compare_digest(expected, signed.signature):
            return self._refused(request, NOT_THE_SAME)
        if self._policy.validate_request_body and not _body_is_as_signed(request):
            return self._refused(request, NOT_THE_SAME)
        return Allow(
            identity=Identity(consumer=consumer, credential=credential.username),
            remove_headers=(signed.place,) if self._policy.hide_credentials else (),
        )

    def _is_now(self, date: str | None) -> bool:
        when = _parsed(date) if date else None
        if when is None:
            return False
        return abs((self._clock.now() - when).total_seconds()) <= self._policy.clock_skew_s

    def _acceptable(self, signed: _Signed) -> bool:
        enforced = set(self._policy.enforce_headers)
        return (
            signed.algorithm in self._policy.algorithms
            and signed.algorithm in _HASHES
            and enforced.issubset(name.lower() for name in signed.names)
        )

    def _refused(self, request: Request, message: str) -> Deny:
        return refused(message, self._challenge, to=request)


def signing_string(request: Request, names: tuple[str, ...]) -> str:
    """What a client must have signed."""
    return "\n".join(_line(request, name) for name in names)


def _line(request: Request, name: str) -> str:
    value = request.host if name.lower() == "host" else request.header(name.lower())
    if value is not None:
        return f"{name}: {value}"
    if name in _REQUEST_TARGETS:
        return f"{name}: {request.method.lower()} {request.path}"
    if name == "request-line":
        return f"{request.method} {request.path} {_version(request.protocol)}"
    return f"{name}:"


def _version(protocol: str) -> str:
    """As Kong writes it: always with a minor version."""
    return protocol if "." in protocol else f"{protocol}.0"


def _signed(request: Request) -> _Signed | None:
    """From Proxy-Authorization, else from Authorization; None where neither says it well."""
    for place in ("proxy-authorization", "authorization"):
        match = _PARAMETERS.fullmatch(request.header(place) or "")
        if match is None:
            continue
        username, algorithm, names, signature = match.groups()
        try:
            raw = base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        return _Signed(
            place=place, username=username, algorithm=algorithm, names=tuple(names.split(" ")), signature=raw
        )
    return None


def _body_is_as_signed(request: Request) -> bool:
    digest = request.header("digest")
    if digest is None:
        return not request.body
    made = b"SHA-256=" + base64.b64encode(hashlib.sha256(request.body).digest())
    return hmac.compare_digest(made, digest.encode("latin-1", "replace"))


def _parsed(date: str) -> datetime | None:
    """The time in one of HTTP's three forms."""
    try:
        when = parsedate_to_datetime(date)
    except ValueError:
        return None
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when
