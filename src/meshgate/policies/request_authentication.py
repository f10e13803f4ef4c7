"""RequestAuthentications with Envoy's `jwt_authn`: no token passes, a bad one is 401.

What a good token says lands in the metadata that authorization rules read. Keys that are
fetched are asked for by a request and kept for five minutes; a fetch that fails refuses
the token, whatever was known before (Envoy 1.40 with `async_fetch` would keep old keys).
"""

from __future__ import annotations

from collections.abc import Callable

from envoy.config.common.mutation_rules.v3 import mutation_rules_pb2
from envoy.config.core.v3 import base_pb2, extension_pb2
from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2 as pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.extensions.http.early_header_mutation.header_mutation.v3 import header_mutation_pb2

from meshgate.model.authorization import Attribute, Guard, JwtRule, RemoteKeys
from meshgate.policies import scripts
from meshgate.policies.matching_text import quote, regex
from meshgate.policies.packing import duration, extension, http_filter

FILTER = "meshgate.request_authentication"
"""Not Envoy's usual name: routes of the edge switch Kong's `jwt` on by that one."""
TAKING_FILTER = "meshgate.request_authentication.taken"
TOKEN_METADATA = "envoy.filters.http.jwt_authn"
"""Where Envoy's filter writes, whatever it is called."""
PAYLOAD = "payload"
LISTS = ("scope", "permission")
"""Claims that are lists in one text for Istio."""
_CACHE_MS = 300_000

ClusterOf = Callable[[RemoteKeys], str]
"""The cluster that leads to a key set."""


def http_filters(guard: Guard, cluster: ClusterOf, *, chooses: bool = False) -> tuple[hcm.HttpFilter, ...]:
    """The filter that checks tokens; none where nobody's tokens are to be checked.

    `chooses`: routes ask for claims, so the route is chosen anew once the token is verified.
    """
    if not guard.jwt or guard.closed:
        return ()
    config = pb.JwtAuthentication(bypass_cors_preflight=True)
    names = [f"origins-{i}" for i in range(len(guard.jwt))]
    for name, rule in zip(names, guard.jwt, strict=True):
        config.providers[name].CopyFrom(_provider(rule, cluster))
        config.providers[name].clear_route_cache = chooses
    one = config.rules.add()
    one.match.prefix = "/"
    one.requires.CopyFrom(_requirement(names))
    return (http_filter(FILTER, config), *_taking([rule for rule in guard.jwt if _is_taken(rule)]))


def _is_taken(rule: JwtRule) -> bool:
    """Whether a program takes the tokens out of requests: Envoy 1.40 would write the query anew and unescape
    it, so that `a=%26b=2` became two parameters."""
    return not rule.forward and bool(_parameters(rule))


def _taking(rules: list[JwtRule]) -> tuple[hcm.HttpFilter, ...]:
    if not rules:
        return ()
    known: dict[str, tuple[dict[str, str], dict[str, bool]]] = {}
    for rule in rules:
        headers, parameters = known.setdefault(rule.issuer, ({}, {}))
        headers.update(_headers(rule))
        parameters.update(dict.fromkeys(_parameters(rule), True))
    data = {issuer: {"headers": h, "parameters": p} for issuer, (h, p) in sorted(known.items())}
    before = f"local rules = {scripts.literal(data)}\n"
    return (scripts.script_filter(TAKING_FILTER, "json", "guard", "token_taken", before=before, always=True),)


def _parameters(rule: JwtRule) -> tuple[str, ...]:
    return rule.from_params if _has_places(rule) else ("access_token",)


def _headers(rule: JwtRule) -> tuple[tuple[str, str], ...]:
    return rule.from_headers if _has_places(rule) else (("authorization", "Bearer "),)


def _has_places(rule: JwtRule) -> bool:
    """Whether the rule names a place of its own; Envoy has its own two where not."""
    return bool(rule.from_headers or rule.from_params or rule.from_cookies)


def removal(guard: Guard) -> tuple[extension_pb2.TypedExtensionConfig, ...]:
    """Removes what only a verified token may say, before routing and all filters.

    And names with underscores in place of the hyphens of a header that a token or a rule is
    about: many programs take `x_user` for `x-user`.
    """
    # A header that brings tokens cannot be removed before they are read; the filter itself sets it.
    brings = {name.lower() for rule in guard.jwt for name, _ in rule.from_headers}
    names = sorted({name for rule in guard.jwt for name in rule.output_headers} - brings)
    mutations = [mutation_rules_pb2.HeaderMutation(remove=name) for name in names]
    compared = {
        c.key[0] for p in guard.policies for r in p.rules for c in r.when if c.attribute is Attribute.HEADER
    }
    for name in sorted(compared.union(*(rule.output_headers for rule in guard.jwt))):
        if pattern := _underscored(name):
            mutation = mutation_rules_pb2.HeaderMutation()
            mutation.remove_on_match.key_matcher.CopyFrom(regex(pattern))
            mutations.append(mutation)
    if not mutations:
        return ()
    found = header_mutation_pb2.HeaderMutation(mutations=mutations)
    return (extension("envoy.http.early_header_mutation.header_mutation", found),)


def _underscored(name: str) -> str:
    """A pattern of the spellings of a name with at least one underscore for a hyphen; empty without any."""
    parts = [quote(part) for part in name.split("-")]
    hyphens = range(1, len(parts))
    either = "[_-]"
    return "|".join(either.join(parts[:i]) + "_" + either.join(parts[i:]) for i in hyphens)


def _requirement(names: list[str]) -> pb.JwtRequirement:
    """A valid token of any issuer, or none at all: Istio's form for several of them."""
    single = [pb.JwtRequirement(provider_name=name) for name in names]
    missing = pb.JwtRequirement()
    missing.allow_missing.SetInParent()
    if len(names) == 1:
        return _any(*single, missing)
    none = pb.JwtRequirement(
        requires_all=pb.JwtRequirementAndList(requirements=[_any(one, missing) for one in single])
    )
    return _any(*single, none)


def _any(*requirements: pb.JwtRequirement) -> pb.JwtRequirement:
    return pb.JwtRequirement(requires_any=pb.JwtRequirementOrList(requirements=requirements))


def _provider(rule: JwtRule, cluster: ClusterOf) -> pb.JwtProvider:
    provider = pb.JwtProvider(
        issuer=rule.issuer,
        audiences=rule.audiences,
        forward=rule.forward or _is_taken(rule),
        forward_payload_header=rule.payload_header,
        payload_in_metadata=PAYLOAD,
        from_params=rule.from_params,
        from_cookies=rule.from_cookies,
    )
    provider.normalize_payload_in_metadata.space_delimited_claims.extend(
        dict.fromkeys((*LISTS, *rule.space_delimited))
    )
    for name, prefix in rule.from_headers:
        provider.from_headers.add(name=name, value_prefix=prefix)
    for header, claim in rule.claim_headers:
        provider.claim_to_headers.add(header_name=header, claim_name=claim)
    if rule.remote is not None:
        remote = provider.remote_jwks
        remote.http_uri.uri = rule.remote.url
        remote.http_uri.cluster = cluster(rule.remote)
        remote.http_uri.timeout.CopyFrom(duration(rule.timeout_ms))
        remote.cache_duration.CopyFrom(duration(_CACHE_MS))
    elif rule.jwks is not None:
        provider.local_jwks.CopyFrom(base_pb2.DataSource(inline_string=rule.jwks.reveal_text()))
    return provider
