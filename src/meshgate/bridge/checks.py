"""Which check carries out which policy."""

from __future__ import annotations

from collections.abc import Sequence

from meshgate.bridge.deciding import Step
from meshgate.bridge.hmac_auth import HmacCheck
from meshgate.bridge.ldap_auth import LdapCheck
from meshgate.bridge.mtls_auth import MtlsCheck
from meshgate.bridge.oauth.check import OWN_HEADERS, OAuth2Check
from meshgate.bridge.opa import OpaCheck
from meshgate.bridge.openid.check import OpenIdCheck
from meshgate.bridge.openid.passing import told_headers
from meshgate.bridge.session import SessionCheck
from meshgate.bridge.tools import Tools
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


def make_steps(policies: Sequence[Bridged], tools: Tools) -> tuple[Step, ...]:
    """The steps of one rule, in the order of its policies."""
    return tuple(_step(policy, tools) for policy in policies)


def _step(policy: Bridged, tools: Tools) -> Step:
    anonymous = bool(policy.anonymous)
    match policy:
        case MtlsAuth():
            return Step(name="mtls-auth", ask=MtlsCheck(policy, tools).ask, anonymous=anonymous)
        case Session():
            session = SessionCheck(policy, tools)
            return Step(name="session", ask=session.ask, finish=session.finish)
        case LdapAuth():
            return Step(name="ldap-auth", ask=LdapCheck(policy, tools).ask, anonymous=anonymous)
        case OAuth2():
            return Step(
                name="oauth2",
                ask=OAuth2Check(policy, tools).ask,
                anonymous=anonymous,
                answers_itself=OAuth2Check.answers_itself,
                own_headers=OWN_HEADERS,
            )
        case Opa():
            return Step(name="opa", ask=OpaCheck(policy, tools).ask)
        case HmacAuth():
            return Step(name="hmac-auth", ask=HmacCheck(policy, tools).ask, anonymous=anonymous)
        case OpenIdConnect():
            return Step(
                name="openid-connect",
                ask=OpenIdCheck(policy, tools).ask,
                anonymous=anonymous,
                own_headers=told_headers(policy.upstream),
            )
