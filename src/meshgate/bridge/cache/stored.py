"""What may be kept of an answer, and as what (RFC 9111, section 3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from meshgate.bridge.cache.directives import (
    RequestDirectives,
    ResponseDirectives,
    http_date,
    response_directives,
)
from meshgate.bridge.cache.freshness import Times, explicit_lifetime_s, initial_age_s
from meshgate.bridge.cache.keys import Selected, selected
from meshgate.bridge.request import Headers, Request
from meshgate.model.policies.cached import ProxyCache

MAX_HEADER_BYTES = 64 * 1024
KEPT_FOR_REVALIDATION_S = 3600
"""How long a stale answer that can be revalidated is kept, where `storage_ttl` says nothing."""
ENTRY_BYTES = 2048
"""What an entry costs besides its body and headers."""

_HOP_BY_HOP = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "age",
        "x-cache-status",
        "x-cache-key",
    ]
)
"""Of one connection (section 3.1), or said anew each time."""
_UNDERSTOOD = frozenset((200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501))
"""Statuses whose caching rules are kept here (`must-understand`, section 5.2.2.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One answer that is kept."""

    key: str
    request_path: str
    """With the query."""
    host: str
    route: str
    service: str
    status: int
    headers: Headers
    body: bytes
    times: Times
    said: ResponseDirectives
    selected: Selected
    """What the request said in the headers that Vary names."""
    keep_until: float
    open_to_all: bool
    """Requests with Authorization may have it too (section 3.5)."""

    @property
    def bytes(self) -> int:
        """What it costs in memory, about."""
        asked = sum(len(name) + len(value or "") for name, value in self.selected) + len(self.request_path)
        return ENTRY_BYTES + len(self.body) + header_bytes(self.headers) + asked

    def header(self, name: str) -> str | None:
        """The header's first value."""
        return first(self.headers, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """The head of an answer as it came."""

    status: int
    headers: Headers
    asked: float
    """When its request was sent on; seconds since 1970."""
    received: float


def storable(policy: ProxyCache, request: Request, asked: RequestDirectives, answer: Received) -> bool:
    """Whether this answer to this request may be kept at all, its length aside (section 3)."""
    headers = answer.headers
    if answer.status not in policy.response_codes or answer.status in (206, 304):
        return False
    types = values(headers, "content-type")
    if len(types) != 1 or not any(type_matches(wanted, types[0]) for wanted in policy.content_types):
        return False
    # A cookie is for one client; nobody else may get it, whatever Cache-Control says.
    if any(name in ("set-cookie", "content-range") for name, _ in headers) or vary(headers) is None:
        return False
    if header_bytes(headers) > MAX_HEADER_BYTES:
        return False
    if not policy.cache_control:
        return True
    said = response_directives(values(headers, "cache-control"))
    if said.no_store and not (said.must_understand and answer.status in _UNDERSTOOD):
        return False
    if asked.no_store or said.private or (request.values("authorization") and not _open_to_all(said)):
        return False
    lifetime = _times(policy, said, answer).lifetime_s
    return (lifetime > 0 and not said.no_cache) or (_says_when(said, headers) and _can_be_validated(headers))


def make(
    policy: ProxyCache, key: str, request: Request, answer: Received, body: bytes, others: Headers = ()
) -> Stored:
    """What is kept of an answer that is `storable`. `others`: an older answer's headers, if not said anew."""
    headers = merged(others, kept(answer.headers))
    said = (
        response_directives(values(headers, "cache-control"))
        if policy.cache_control
        else ResponseDirectives()
    )
    times = _times(policy, said, answer if not others else _with_headers(answer, headers))
    return Stored(
        key=key,
        request_path=request.path,
        host=request.host.lower(),
        route=policy.route,
        service=policy.service,
        status=answer.status,
        headers=headers,
        body=body,
        times=times,
        said=said,
        selected=selected(vary(headers) or (), request),
        keep_until=answer.received + _keep_s(policy, said, times, headers),
        open_to_all=not policy.cache_control or _open_to_all(said),
    )


def kept(headers: Headers) -> Headers:
    """The headers that are kept (section 3.1): not those of the connection, nor those that it names."""
    named = {n.strip().lower() for line in values(headers, "connection") for n in line.split(",")}
    gone = _HOP_BY_HOP | named
    return tuple(
        (name, value)
        for name, value in headers
        if name not in gone and not name.startswith((":", "x-envoy-"))
    )


def merged(old: Headers, new: Headers) -> Headers:
    """The old headers with the new ones in place of those of their names (section 3.2)."""
    said = {name for name, _ in new}
    return (*((name, value) for name, value in old if name not in said), *new)


def vary(headers: Headers) -> tuple[str, ...] | None:
    """The headers of the request that the answer depends on; None: nobody knows which (`*`)."""
    names = {n.strip().lower() for line in values(headers, "vary") for n in line.split(",")} - {""}
    return None if "*" in names else tuple(sorted(names))


def type_matches(wanted: str, found: str) -> bool:
    """Whether a content type is one that is wanted, as Kong 3.9 compares them."""
    wanted_type, wanted_parameters = _media_type(wanted)
    found_type, found_parameters = _media_type(found)
    if wanted_parameters != found_parameters or found_type.count("/") != 1:
        return False
    pairs = zip(wanted_type.split("/"), found_type.split("/"), strict=False)
    return wanted_type.count("/") == 1 and all(w in ("*", f) for w, f in pairs)


def values(headers: Headers, name: str) -> tuple[str, ...]:
    """Each line of a header."""
    return tuple(value for key, value in headers if key == name)


def first(headers: Headers, name: str) -> str | None:
    """The header's first line."""
    return next((value for key, value in headers if key == name), None)


def header_bytes(headers: Headers) -> int:
    """How long they are, with what a tuple costs."""
    return sum(len(name) + len(value) + 160 for name, value in headers)


def _media_type(text: str) -> tuple[str, frozenset[tuple[str, str]]]:
    kind, *parameters = text.split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    return kind.strip().lower(), frozenset(
        (n.strip().lower(), v.strip().strip('"').lower()) for n, _, v in pairs
    )


def _open_to_all(said: ResponseDirectives) -> bool:
    return said.public or said.must_revalidate or said.s_maxage is not None


def _says_when(said: ResponseDirectives, headers: Headers) -> bool:
    return said.no_cache or said.max_age is not None or bool(values(headers, "expires"))


def _can_be_validated(headers: Iterable[tuple[str, str]]) -> bool:
    return any(name in ("etag", "last-modified") for name, _ in headers)


def _with_headers(answer: Received, headers: Headers) -> Received:
    ages = tuple(("age", value) for value in values(answer.headers, "age"))
    return Received(
        status=answer.status, headers=(*headers, *ages), asked=answer.asked, received=answer.received
    )


def _times(policy: ProxyCache, said: ResponseDirectives, answer: Received) -> Times:
    """Without `cache_control` an answer is new when it comes, and fresh for the time of the policy."""
    if not policy.cache_control:
        return Times(received=answer.received, initial_age_s=0, lifetime_s=policy.ttl_s)
    written = http_date(first(answer.headers, "date"))
    date = answer.received if written is None else written
    lifetime = explicit_lifetime_s(said, values(answer.headers, "expires"), date)
    age = initial_age_s(values(answer.headers, "age"), date, answer.asked, answer.received)
    return Times(received=answer.received, initial_age_s=age, lifetime_s=lifetime or 0)


def _keep_s(policy: ProxyCache, said: ResponseDirectives, times: Times, headers: Headers) -> float:
    fresh = max(0.0, times.lifetime_s - times.initial_age_s)
    if policy.storage_ttl_s is not None:
        return policy.storage_ttl_s
    if not policy.cache_control:
        return fresh
    useful = max(said.stale_if_error, 0 if said.never_stale else said.stale_while_revalidate)
    return fresh + max(useful, KEPT_FOR_REVALIDATION_S if _can_be_validated(headers) else 0)
