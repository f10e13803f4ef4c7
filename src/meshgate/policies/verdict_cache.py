"""What the bridge has said of a token is repeated inside Envoy while it holds: no call for each request.

The bridge alone verifies (ADR 025). A program before the question knows its answers by rule and
credential; a request that holds anything else of which the answer may depend goes to the bridge.
"""

from __future__ import annotations

import hashlib

from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2 as pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policies.bridged import OpenIdConnect
from meshgate.model.policies.openid import CredentialPlace, OpenidMethod, PassedTokens
from meshgate.model.policy import AUTHENTICATION, Policy
from meshgate.policies import scripts
from meshgate.policies.parts import RouteParts

FILTER = "meshgate.verdict_cache"
"""Also the namespace of the metadata that it writes."""
SAID = "meshgate.verdict"
"""Under which the bridge tells Envoy what may be repeated, and until when."""
KNOWN = "known"
"""Set there where the program has done what the bridge would have said."""

_BEARER_HEADERS = ("authorization", "access-token", "x-access-token")


def listener_filters(policies: tuple[Policy, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The program, where the answers to any policy may be repeated."""
    return (scripts.script_filter(FILTER, "verdict_cache"),) if any(map(_repeats, policies)) else ()


def skip_when_known(config: pb.ExtAuthz, policies: tuple[Policy, ...]) -> None:
    """Keeps Envoy from asking about requests that the program has answered."""
    if any(map(_repeats, policies)):
        matcher = config.filter_enabled_metadata
        matcher.filter, matcher.invert = FILTER, True
        matcher.path.add(key=KNOWN)
        matcher.value.bool_match = True


def route_parts(policies: tuple[Policy, ...], rule: str, consumers: str) -> RouteParts:
    """Switches it on where one policy alone says who it is.

    `rule` stands for what the bridge decides by, `consumers` for all of them: other ones, other answers.
    """
    found = [p for p in policies if isinstance(p, AUTHENTICATION)]
    match found:
        case [OpenIdConnect() as policy] if _repeats(policy):
            data = _data(policy)
            who = consumers if policy.mapping.consumer_claims else ""
            told = repr((rule, who, sorted(data.items())))
            whole = {"id": hashlib.sha256(told.encode()).hexdigest()[:20], **data}
            return RouteParts(filters={FILTER: scripts.script_data(whole)})
        case _:
            return RouteParts()


def _repeats(policy: Policy) -> bool:
    """Whether an answer may depend on nothing but a token in a header, and is nothing but headers."""
    if not isinstance(policy, OpenIdConnect):
        return False
    asks = OpenidMethod.INTROSPECTION in policy.methods or policy.introspection.jwt_too
    known = policy.introspection.of_token_alone and len(policy.clients) < 2
    return (
        (OpenidMethod.BEARER in policy.methods or (asks and known))
        and CredentialPlace.HEADER in policy.sources.bearer
        and policy.downstream == PassedTokens()
        and not policy.upstream.user_info
        and not policy.mapping.search_user_info
        and (known or not policy.introspection.jwt_too)
        and not policy.max_body_bytes
    )


def _data(policy: OpenIdConnect) -> dict[str, object]:
    """Where the credential is, and what else of a request the bridge must see."""
    sources, logout = policy.sources, policy.logout
    parameters = ["access_token"]
    if len(policy.clients) > 1:
        parameters.append(sources.client_arg)
    if OpenidMethod.AUTHORIZATION_CODE in policy.methods:
        parameters.append("state")
    parameters += [logout.query_arg] if logout.query_arg else []
    cookies = [policy.session.cookie.name, policy.login.cookie.name]
    cookies += [sources.bearer_cookie] if CredentialPlace.COOKIE in sources.bearer else []
    data: dict[str, object] = {
        "headers": [sources.bearer_header] if sources.bearer_header else list(_BEARER_HEADERS),
        "parameters": parameters,
        "cookies": cookies,
    }
    return {**data, "suffix": logout.uri_suffix} if logout.uri_suffix else data
