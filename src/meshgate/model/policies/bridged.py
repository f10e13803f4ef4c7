"""Policies that Envoy cannot carry out by itself: it asks `bridge`, a process of ours.

One call asks about all of them that a route has at one stage. A policy says for itself how
long its answer may take and whether it must see the body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.model.policies.client_certificate import MtlsAuth
from meshgate.model.policies.directory import LdapAuth
from meshgate.model.policies.oauth import OAuth2
from meshgate.model.policies.open_policy import Opa
from meshgate.model.policies.openid import OpenIdConnect, OpenidSession
from meshgate.model.policies.session import Session
from meshgate.model.policies.session_store import SessionsInRedis
from meshgate.model.policies.stages import Stage

__all__ = [
    "BRIDGED",
    "BRIDGED_AUTHENTICATION",
    "Bridged",
    "BridgedAuthentication",
    "BridgedPolicy",
    "HmacAuth",
    "LdapAuth",
    "MtlsAuth",
    "OAuth2",
    "Opa",
    "OpenIdConnect",
    "Session",
    "Stage",
]


class BridgedPolicy(Protocol):
    """What each of them has."""

    STAGE: ClassVar[Stage]
    PRIORITY: ClassVar[int]
    """Kong's: of one stage, higher ones are asked first."""

    @property
    def deadline_ms(self) -> int:
        """How long an answer may take at the most."""
        ...

    @property
    def max_body_bytes(self) -> int:
        """How much of the request's body it must see; 0: none. Longer ones get 413."""
        ...

    @property
    def anonymous(self) -> str:
        """Username or id of the consumer that stands for strangers; empty: they are refused."""
        ...

    @property
    def origin(self) -> Origin:
        """Where it is written."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HmacAuth:
    """Kong's `hmac-auth`: a signature over parts of the request says who asks."""

    STAGE: ClassVar[Stage] = Stage.AUTHENTICATION
    PRIORITY: ClassVar[int] = 1030

    hide_credentials: bool = False
    clock_skew_s: float = 300
    anonymous: str = ""
    validate_request_body: bool = False
    enforce_headers: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ("hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512")
    realm: str = ""
    origin: Origin = BUILT_IN

    @property
    def deadline_ms(self) -> int:
        """Nobody else is asked."""
        return 1000

    @property
    def max_body_bytes(self) -> int:
        """Of a body whose digest is to be compared."""
        return 1024 * 1024 if self.validate_request_body else 0


BridgedAuthentication = Session | MtlsAuth | OAuth2 | LdapAuth | OpenIdConnect | HmacAuth
Bridged = BridgedAuthentication | Opa
"""All of them."""

BRIDGED_AUTHENTICATION: tuple[type[BridgedAuthentication], ...] = (
    Session,
    MtlsAuth,
    OAuth2,
    LdapAuth,
    OpenIdConnect,
    HmacAuth,
)
BRIDGED: tuple[type[Bridged], ...] = (*BRIDGED_AUTHENTICATION, Opa)


def servers(policy: Bridged) -> tuple[tuple[str, int], ...]:
    """(host, port) of those that it asks, where these may be services of ours."""
    match policy:
        case Opa() | LdapAuth():
            return ((policy.host, policy.port),)
        case OpenIdConnect(session=OpenidSession(store=SessionsInRedis() as store)):
            return store.servers
        case _:
            return ()
