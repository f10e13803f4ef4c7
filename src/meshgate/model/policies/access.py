"""Policies that decide who gets in, and with how much."""

from __future__ import annotations

from dataclasses import dataclass

from meshgate.core.origin import BUILT_IN, Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpsOnly:
    """Kong's `protocols: https`: plain HTTP is sent to HTTPS, or told to go there."""

    status: int = 426
    """426, or a redirect's."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlyVia:
    """Kong's `protocols: grpc` and `snis`: other requests do not get to the route's service."""

    grpc: bool = False
    """Calls of gRPC alone."""
    server_names: tuple[str, ...] = ()
    """What was asked for in the TLS handshake must be one of them; requests without TLS are not asked."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffering:
    """Kong's `request-buffering` and `response-buffering`: bodies are held back until they are whole."""

    requests: bool = False
    responses: bool = False
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicAuth:
    """Kong's `basic-auth`: a username and a password say who asks."""

    hide_credentials: bool = False
    realm: str = "service"
    anonymous: str = ""
    """Username or id of the consumer that stands for strangers; empty: they are refused."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Acl:
    """Kong's `acl`: the groups of the consumer decide."""

    groups: tuple[str, ...]
    deny: bool = False
    """Members of a group are refused; else they alone get in."""
    hide_groups_header: bool = False
    credentials_first: bool = False
    """Groups that a credential says count in place of its consumer's."""
    include_consumer_groups: bool = False
    """The KongConsumerGroups that the consumer is in count too."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class IpRestriction:
    """Kong's `ip-restriction`: `deny` counts before `allow`; an empty `allow` lets all in."""

    allow: tuple[str, ...] = ()
    """Networks in CIDR form, e.g. `10.0.0.0/8`."""
    deny: tuple[str, ...] = ()
    status: int = 403
    message: str = ""
    """Empty: Kong's sentence, with the client's address."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class BotDetection:
    """Kong's `bot-detection`: regular expressions (RE2) tried anywhere in User-Agent."""

    allow: tuple[str, ...] = ()
    """Tried first; a match ends the search."""
    deny: tuple[str, ...] = ()
    """Tried before the built-in list."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSize:
    """Kong's `request-size-limiting`."""

    max_body_bytes: int
    require_content_length: bool = False
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Termination:
    """Kong's `request-termination`: an answer in place of the service's."""

    status: int
    body: str
    """Just as it is sent; empty for none."""
    content_type: str
    trigger: str = ""
    """Name of a header or query parameter without which nothing happens; empty: always."""
    echo: str | None = None
    """With it, the answer shows the request and this message; None: `body` is the answer."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirection:
    """Kong's `redirect`."""

    status: int
    location: str
    """Where to; with `keep_path` only scheme and authority."""
    keep_path: bool = False
    """The request's own path and query are put behind `location`."""
    origin: Origin = BUILT_IN
