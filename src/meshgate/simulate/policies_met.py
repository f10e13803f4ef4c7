"""The policies that an edge request meets, in the order of Envoy's filters.

A policy counts where the route switches its filter on. Whether a signature is right is
Envoy's to say; everything that can be told without checking one is told here.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import assert_never
from urllib.parse import unquote_plus

from envoy.config.route.v3 import route_components_pb2 as pb

from meshgate.model.consumer import Consumer
from meshgate.model.policies.bridged import BRIDGED_AUTHENTICATION
from meshgate.model.policy import (
    LOGS,
    Acl,
    Acme,
    BasicAuth,
    BotDetection,
    Buffering,
    CorrelationId,
    CrossOrigin,
    ExternalAuth,
    GrpcGateway,
    GrpcWeb,
    HttpsOnly,
    IpRestriction,
    JwtAuth,
    KeyAuth,
    LimitBy,
    LimitStore,
    OnlyVia,
    Opa,
    OpenTelemetry,
    Policy,
    PostFunction,
    PreFunction,
    Prometheus,
    ProxyCache,
    RateLimit,
    Redirection,
    RequestSize,
    RequestTransformer,
    ResponseRateLimit,
    ResponseTransformer,
    Termination,
    Zipkin,
)
from meshgate.policies import jwt, key_auth, key_hidden, rate_limit_quota
from meshgate.simulate.plugins_met import Asked, optional, plugin_met
from meshgate.simulate.strings import decoded_parameters, parameters
from meshgate.simulate.verdict import PolicyMet

ORDER: tuple[type[Policy], ...] = (
    HttpsOnly,
    OnlyVia,
    Buffering,
    PreFunction,
    CorrelationId,
    Zipkin,
    BotDetection,
    CrossOrigin,
    Acme,
    JwtAuth,
    KeyAuth,
    BasicAuth,
    *BRIDGED_AUTHENTICATION,
    GrpcGateway,
    IpRestriction,
    RequestSize,
    Acl,
    Opa,
    ExternalAuth,
    RateLimit,
    ResponseRateLimit,
    RequestTransformer,
    ResponseTransformer,
    Redirection,
    ProxyCache,
    GrpcWeb,
    OpenTelemetry,
    Prometheus,
    *LOGS,
    Termination,
    PostFunction,
)
"""As in Kong, and in `policies.CHAIN`."""


def policies_met(
    route: pb.Route,
    policies: Iterable[Policy],
    asked: Asked,
) -> tuple[PolicyMet, ...]:
    """Each policy of the rule that the route applies; the first that refuses ends the request."""
    on = set(route.typed_per_filter_config)
    known, headers = tuple(asked.consumers), asked.headers
    met: list[PolicyMet] = []
    for policy in sorted(policies, key=_place):
        match policy:
            case JwtAuth() if jwt.FILTER in on:
                met.append(_jwt(policy, known, headers))
            case KeyAuth() if key_auth.FILTER in on:
                met.append(_key(policy, known, headers))
            case KeyAuth() if policy.anonymous:
                met.append(optional(policy.anonymous, _key(policy, known, headers), met))
            case RateLimit() if route.route.rate_limits or rate_limit_quota.FILTER in on:
                met.append(PolicyMet(kind="rate-limiting", says=_limit(policy), origin=policy.origin))
            case _:
                found = plugin_met(policy, on, met, asked)
                if found is not None:
                    met.append(found)
    return tuple(met)


def _place(policy: Policy) -> tuple[int, bool]:
    shared = isinstance(policy, RateLimit) and policy.store is LimitStore.REDIS
    return ORDER.index(type(policy)), shared


def _jwt(policy: JwtAuth, consumers: tuple[Consumer, ...], headers: Mapping[str, str]) -> PolicyMet:
    says = "a token is needed in " + _places(
        header=policy.header_names, query=policy.uri_param_names, cookie=policy.cookie_names
    )
    checks = [name for name, wanted in (("exp", policy.verify_exp), ("nbf", policy.verify_nbf)) if wanted]
    if checks:
        says += f"; it must hold {' and '.join(checks)}"
    if headers[":method"] == "OPTIONS" and not policy.run_on_preflight:
        return PolicyMet(kind="jwt", says="not asked of OPTIONS", origin=policy.origin)
    token = _token(policy, headers)
    if policy.anonymous and (token is None or not _issuer(token, policy.key_claim_name)):
        says += f"; there is none, so this is {policy.anonymous}"
        return PolicyMet(
            kind="jwt", says=says, origin=policy.origin, consumer=policy.anonymous, stranger=True
        )
    if token is None:
        return PolicyMet(kind="jwt", says=f"{says}; there is none", origin=policy.origin, refuses=401)
    issuer = _issuer(token, policy.key_claim_name)
    owner = next((c for c in consumers for j in c.jwt if j.key == issuer), None)
    if owner is None and policy.anonymous:
        says += f"; the token's issuer has no credential, so this is {policy.anonymous}"
        return PolicyMet(
            kind="jwt", says=says, origin=policy.origin, consumer=policy.anonymous, stranger=True
        )
    if owner is None:
        problem = "the token's issuer has no credential" if issuer else "what is there is no token"
        return PolicyMet(kind="jwt", says=f"{says}; {problem}", origin=policy.origin, refuses=401)
    return PolicyMet(
        kind="jwt",
        says=f"{says}; Envoy checks its signature and times",
        origin=policy.origin,
        consumer=owner.username or owner.custom_id,
    )


def _token(policy: JwtAuth, headers: Mapping[str, str]) -> str | None:
    for name in policy.header_names:
        _, bearer, token = headers.get(name.lower(), "").partition("Bearer ")
        if bearer:
            return token.strip()
    query = parameters(headers[":path"])
    for name in policy.uri_param_names:
        if name in query:
            return query[name]
    cookies = dict(
        part.strip().partition("=")[::2] for part in headers.get("cookie", "").split(";") if part.strip()
    )
    return next((cookies[name] for name in policy.cookie_names if name in cookies), None)


def _issuer(token: str, claim: str) -> str:
    """The claim of a token's payload, else of its header, unverified; empty where it is no token."""
    parts = token.split(".")
    if len(parts) != 3:
        return ""
    for part in (parts[1], parts[0]):
        try:
            claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        except (binascii.Error, ValueError, RecursionError):
            return ""
        found = claims.get(claim) if isinstance(claims, dict) else None
        if found:
            return found if isinstance(found, str) else ""
    return ""


def _key(policy: KeyAuth, consumers: tuple[Consumer, ...], headers: Mapping[str, str]) -> PolicyMet:
    names = policy.key_names
    says = "an API key is needed in " + _places(
        header=names if policy.key_in_header else (), query=names if policy.key_in_query else (), cookie=()
    )
    if policy.key_in_body:
        says += " or the body, which nobody told here"
    query = decoded_parameters(headers[":path"])
    key = ""
    for name in names:
        if not key and not policy.anonymous and _is_twice(name, policy, headers):
            says = f"{says}; {name} is there several times"
            return PolicyMet(kind="key-auth", says=says, origin=policy.origin, refuses=401)
        key = key or (headers.get(name.lower(), "") if policy.key_in_header else "")
        key = key or (query.get(name, "") if policy.key_in_query else "")
    if not key:
        return PolicyMet(kind="key-auth", says=f"{says}; there is none", origin=policy.origin, refuses=401)
    owner = next((c for c in consumers for k in c.keys if k.key.reveal() == key.encode()), None)
    if owner is None:
        return PolicyMet(
            kind="key-auth", says=f"{says}; this one is nobody's", origin=policy.origin, refuses=401
        )
    return PolicyMet(
        kind="key-auth", says=says, origin=policy.origin, consumer=owner.username or owner.custom_id
    )


def _is_twice(name: str, policy: KeyAuth, headers: Mapping[str, str]) -> bool:
    """Whether the first place that has the key has several; a header with a comma in it counts as two."""
    if policy.key_in_header and name.lower() in headers:
        return "," in headers[name.lower()]
    pairs = headers[":path"].partition("?")[2].split("&") if policy.key_in_query else ()
    return [unquote_plus(pair.partition("=")[0]) for pair in pairs].count(name) > 1


def without_key(policies: Iterable[Policy], path: str) -> str:
    """The path as it is after `key-auth`: with `hide_credentials` a key in the query is taken away."""
    for policy in policies:
        if not isinstance(policy, KeyAuth) or not key_hidden.is_needed(policy):
            continue
        bare, _, query = path.partition("?")
        pairs = [pair for pair in query.split("&") if pair]
        kept = [p for p in pairs if unquote_plus(p.partition("=")[0]) not in policy.key_names]
        if len(kept) < len(pairs):
            path = f"{bare}?{'&'.join(kept)}" if kept else bare
    return path


def _places(*, header: Iterable[str], query: Iterable[str], cookie: Iterable[str]) -> str:
    found = [f"header {name}" for name in header]
    found += [f"query parameter {name}" for name in query]
    found += [f"cookie {name}" for name in cookie]
    return " or ".join(found) or "nowhere that is looked at"


def _limit(policy: RateLimit) -> str:
    windows = ", ".join(f"{count} per {window}" for window, count in policy.limits.windows())
    match policy.limit_by:
        case LimitBy.HEADER:
            whom = f"for each value of the header {policy.header_name}"
        case LimitBy.PATH:
            whom = f"for the path {policy.path}"
        case LimitBy.SERVICE:
            whom = "for all clients together"
        case LimitBy.CONSUMER | LimitBy.CREDENTIAL | LimitBy.IP:
            whom = f"for each {'client address' if policy.limit_by is LimitBy.IP else policy.limit_by.value}"
        case _:
            assert_never(policy.limit_by)
    match policy.store:
        case LimitStore.LOCAL:
            where = "counted by each gateway for itself"
        case LimitStore.REDIS:
            then = "lets all through" if policy.fault_tolerant else "refuses all"
            where = f"counted in Redis for all gateways, which {then} while Redis is away"
        case LimitStore.QUOTA:
            then = "all pass" if policy.fault_tolerant else "none passes"
            where = f"lent in parts to all gateways; {then} where the lender is away"
        case _:
            assert_never(policy.store)
    return f"{windows} {whom}, {where}; {policy.error_code} beyond"
