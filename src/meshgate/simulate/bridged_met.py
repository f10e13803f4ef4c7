"""What plugins that the bridge carries out say to a request; see `plugins_met`.

Whether a credential is good is for the bridge to say, often by asking somebody else. Here it is
told where a request has none at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import assert_never
from urllib.parse import urlsplit

from meshgate.model.policies.bridged import (
    Bridged,
    HmacAuth,
    LdapAuth,
    MtlsAuth,
    OAuth2,
    Opa,
    OpenIdConnect,
    Session,
)
from meshgate.model.policies.openid import OpenidMethod
from meshgate.policies.bridge import FILTERS
from meshgate.simulate.verdict import PolicyMet


def bridged_met(policy: Bridged, on: Collection[str], headers: Mapping[str, str]) -> PolicyMet | None:
    """The plugin's part in the request; None where the route's filters `on` do not ask the bridge."""
    if FILTERS[policy.STAGE] not in on:
        return None
    match policy:
        case MtlsAuth():
            says = "a certificate of the client's is needed; whether it has one is not known here"
            return PolicyMet(kind="mtls-auth", says=says, origin=policy.origin)
        case Opa():
            says = f"the Open Policy Agent at {policy.host}:{policy.port} decides; what, is not known here"
            return PolicyMet(kind="opa", says=says, origin=policy.origin)
        case Session():
            says = f"who has a session (cookie {policy.cookie.name}) is known by it"
            return PolicyMet(kind="session", says=says, origin=policy.origin)
        case LdapAuth():
            says = "a name and a password that a directory knows are needed in header authorization"
            return _credential("ldap-auth", says, policy, headers)
        case HmacAuth():
            says = "a signature (HMAC) is needed in header authorization"
            return _credential("hmac-auth", says, policy, headers)
        case OAuth2():
            says = f"a token that this gateway handed out is needed in header {policy.auth_header_name}"
            return _credential("oauth2", says, policy, headers, (policy.auth_header_name,))
        case OpenIdConnect():
            return _openid(policy, headers)
        case _:
            assert_never(policy)


def _openid(policy: OpenIdConnect, headers: Mapping[str, str]) -> PolicyMet:
    kind, provider = "openid-connect", urlsplit(policy.provider.issuer).hostname
    if "cookie" in headers or "authorization" in headers:
        says = f"a session or a token of {provider} is needed; whether there is a good one is not known here"
        return PolicyMet(kind=kind, says=says, origin=policy.origin)
    if OpenidMethod.AUTHORIZATION_CODE in policy.methods:
        says = f"whoever has no session is sent to log in at {provider}"
        return PolicyMet(kind=kind, says=says, origin=policy.origin, refuses=302)
    return _credential(kind, f"a token of {provider} is needed", policy, headers)


def _credential(
    kind: str,
    says: str,
    policy: Bridged,
    headers: Mapping[str, str],
    places: Sequence[str] = ("authorization", "proxy-authorization"),
) -> PolicyMet:
    if any(place in headers for place in places):
        says = f"{says}; whether it is good is not known here"
        return PolicyMet(kind=kind, says=says, origin=policy.origin)
    return PolicyMet(kind=kind, says=f"{says}; there is none", origin=policy.origin, refuses=401)
