"""A request as Envoy shows it, and what a check says about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from meshgate.model.consumer import Consumer
from meshgate.model.service import EMPTY

Headers = tuple[tuple[str, str], ...]
"""Names in lower case, in the request's order; one entry for each line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What Envoy tells of one request."""

    method: str
    scheme: str
    host: str
    """Host or :authority, with its port where it has one."""
    path: str
    """With the query, as it came."""
    headers: Headers = ()
    body: bytes = b""
    """Only where a policy of the route asks for it."""
    protocol: str = "HTTP/1.1"
    client_ip: str = ""
    client_port: int = 0
    gateway_port: int = 0
    """The port that the client connected to."""
    peer_chain_pem: str = ""
    """The certificates that the client showed, whoever signed them; empty for none, and where no plugin
    of the route looks at them."""
    over_tls: bool = False
    """Whether the connection itself is encrypted, whatever a proxy before it says; told where a plugin of
    the listener asks."""
    captures: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    """What the groups of the route's regular expression took of the path, where a plugin wants it."""
    about: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    """What the route says of itself, e.g. `route` and `service`."""

    def header(self, name: str) -> str | None:
        """The header's value, several joined as RFC 9110 has it; None where there is none."""
        values = self.values(name)
        return ", ".join(values) if values else None

    def values(self, name: str) -> tuple[str, ...]:
        """Each line of a header; `name` in lower case."""
        return tuple(value for key, value in self.headers if key == name)

    @property
    def path_only(self) -> str:
        """The path without the query."""
        return self.path.partition("?")[0]

    @property
    def query(self) -> tuple[tuple[str, str], ...]:
        """The query's parameters, decoded, in their order."""
        # Not `urlsplit`, which passes over control characters: others would read other names.
        return tuple(parse_qsl(self.path.partition("?")[2].partition("#")[0], keep_blank_values=True))

    @property
    def cookies(self) -> tuple[tuple[str, str], ...]:
        """The cookies, in their order."""
        found = []
        for line in self.values("cookie"):
            for part in line.split(";"):
                name, equals, value = part.strip().partition("=")
                if equals:
                    found.append((name, value))
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who asks."""

    consumer: Consumer | None = None
    """None where a credential is good and is no consumer's (a token of somebody else's users)."""
    credential: str = ""
    """What the service is told as X-Credential-Identifier; without a consumer it must not be empty."""
    groups: tuple[str, ...] | None = None
    """Groups that the credential itself says (X-Authenticated-Groups); None: it says none. Beside those
    of a consumer `acl` looks at them only where it is told to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """The request may go on."""

    identity: Identity | None = None
    """None: as it was before."""
    set_headers: Headers = ()
    """For the service, in place of what the client sent."""
    remove_headers: tuple[str, ...] = ()
    remove_parameters: tuple[str, ...] = ()
    """Of the query."""
    client_headers: Headers = ()
    """Added to the answer, e.g. Set-Cookie."""
    holds_until: float = 0
    """So long (seconds since 1970) Envoy may repeat it for the same credential; 0: it must ask again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """The client gets this answer."""

    status: int
    headers: Headers = ()
    body: str = ""
    stranger: bool = False
    """True: only because nobody is known; a policy with `anonymous` lets such requests go on."""


Verdict = Allow | Deny


def refused(
    message: str, challenge: str = "", *, status: int = 401, stranger: bool = True, to: Request | None = None
) -> Deny:
    """Kong's answer to who has no valid credential: `{"message":"..."}`, with WWW-Authenticate.

    With the request that it answers `to`, its id is in it: plugins of Kong answer in either way.
    """
    said = {"message": message}
    if to is not None:
        said["request_id"] = to.header("x-request-id") or ""
    headers: Headers = (("content-type", "application/json; charset=utf-8"),)
    if challenge:
        headers += (("www-authenticate", challenge),)
    body = json.dumps(said, separators=(",", ":"))
    return Deny(status=status, headers=headers, body=body, stranger=stranger)


def failed(
    message: str = "An unexpected error occurred", status: int = 500, *, to: Request | None = None
) -> Deny:
    """Kong's answer to a fault that is not the client's."""
    return refused(message, status=status, stranger=False, to=to)
