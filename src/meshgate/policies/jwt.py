"""Kong's `jwt`: a program finds the token and whose it is, Envoy's `jwt_authn` verifies its signature
with that one credential's key, and a second program judges its claims. Kong's words at each step.

`jwt_authn` is used for signatures alone: it would check `exp` and `nbf` wherever a token has them, take
several tokens, and know a credential by `iss` only.
"""

from __future__ import annotations

import json
from urllib.parse import quote

from envoy.config.core.v3 import base_pb2, substitution_format_string_pb2
from envoy.extensions.filters.common.set_filter_state.v3 import value_pb2
from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2 as pb
from envoy.extensions.filters.http.set_filter_state.v3 import set_filter_state_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from google.protobuf import empty_pb2

from meshgate.model.consumer import Consumer, JwtCredential
from meshgate.model.policy import JwtAuth
from meshgate.policies import jwt_keys, scripts
from meshgate.policies.packing import http_filter, switched_on
from meshgate.policies.parts import RouteParts

FILTER = "envoy.filters.http.jwt_authn"
TOKEN_FILTER, KEY_FILTER, VERIFIED_FILTER = "meshgate.jwt.token", "meshgate.jwt.key", "meshgate.jwt.verified"
CREDENTIAL_HEADER = "x-meshgate-jwt-credential"
"""Carries the name of a verified token's credential, quoted, to the filters behind."""

_TOKEN_HEADER = "x-meshgate-jwt-token"
"""Carries the token from the first program to Envoy's filter; a client's own is removed."""
_STATE, _REQUIREMENT = "meshgate.jwt", "requirement"
_PROOF = "meshgate/jwt"
"""Under this name Envoy notes that it has verified; no key of a RequestAuthentication's."""
_NO_TIME_S = (1 << 32) - 1
"""As far as clocks may differ for Envoy: it looks at no token's times. Our program does."""


def credential_text(key: str) -> str:
    """A credential's name as it stands in `CREDENTIAL_HEADER`."""
    return quote(key, safe="")


def listener_filters(
    policies: tuple[JwtAuth, ...], consumers: tuple[Consumer, ...]
) -> tuple[hcm.HttpFilter, ...]:
    """The programs, and the filter with a requirement for each credential; off where no route asks for it."""
    if not policies:
        return ()
    config = pb.JwtAuthentication()
    config.filter_state_rules.name = _STATE
    for is_base64 in sorted({p.secret_is_base64 for p in policies}):
        for credential in (c for consumer in consumers for c in consumer.jwt):
            name = _provider_name(credential, is_base64=is_base64)
            if name not in config.providers:
                config.providers[name].CopyFrom(_provider(credential, is_base64=is_base64))
            for optional in sorted({bool(p.anonymous) for p in policies if p.secret_is_base64 == is_base64}):
                kind = _kind(is_base64=is_base64, optional=optional)
                requirement = _requirement(name, optional=optional)
                config.filter_state_rules.requires[f"{kind}/{credential_text(credential.key)}"].CopyFrom(
                    requirement
                )
    return (
        scripts.script_filter(
            TOKEN_FILTER, "json", "form", "guard", "base64url", "jwt_answer", "jwt_places", "jwt_token"
        ),
        http_filter(KEY_FILTER, _key_choice(), disabled=True),
        http_filter(FILTER, config, disabled=True),
        spare_filter(),
    )


def spare_filter() -> hcm.HttpFilter:
    """The last of them, which refuses everybody whom the others have not verified."""
    return scripts.script_filter(VERIFIED_FILTER, "json", "guard", "jwt_answer", "jwt_verified")


def route_parts(policy: JwtAuth) -> RouteParts:
    """Where this route's tokens are looked for, and what they must hold."""
    realm = f' realm="{policy.realm}"' if policy.realm else ""
    challenge, invalid = f"Bearer{realm}", f'Bearer{realm}{"," if realm else ""} error="invalid_token"'
    answers = {"claim": policy.key_claim_name, "challenge": challenge, "invalid": invalid}
    optional = bool(policy.anonymous)
    looked_for = {
        "parameters": list(policy.uri_param_names),
        "cookies": list(policy.cookie_names),
        "headers": list(policy.header_names),
        "kind": _kind(is_base64=policy.secret_is_base64, optional=optional),
        "exp": policy.verify_exp,
        "nbf": policy.verify_nbf,
        "longest": str(policy.maximum_expiration_s or ""),
        "not_of_preflights": not policy.run_on_preflight,
    }
    filters = {
        TOKEN_FILTER: scripts.script_data({**answers, **looked_for, "optional": optional}),
        KEY_FILTER: switched_on(),
        FILTER: switched_on(),
        VERIFIED_FILTER: scripts.script_data({**answers, "optional": optional}),
    }
    return RouteParts(filters=filters, metadata={"auth": "jwt", "token_realm": f"{realm}," if realm else ""})


def replies(policies: tuple[JwtAuth, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """What the programs answer."""
    return scripts.replies() if policies else ()


def _kind(*, is_base64: bool, optional: bool) -> str:
    """Begins the name of a requirement: how its secret is read, and whether strangers may pass."""
    return ("base64" if is_base64 else "plain") + ("-optional" if optional else "")


def _provider_name(credential: JwtCredential, *, is_base64: bool) -> str:
    read = "base64" if is_base64 and jwt_keys.is_shared(credential) else "plain"
    return f"{read}/{credential_text(credential.key)}"


def _requirement(name: str, *, optional: bool) -> pb.JwtRequirement:
    """That provider's token; where strangers may pass, whoever has none passes without a proof."""
    one = pb.JwtRequirement(provider_name=name)
    if not optional:
        return one
    anything = pb.JwtRequirement(allow_missing_or_failed=empty_pb2.Empty())
    return pb.JwtRequirement(requires_any=pb.JwtRequirementOrList(requirements=[one, anything]))


def _provider(credential: JwtCredential, *, is_base64: bool) -> pb.JwtProvider:
    jwks = {"keys": [jwt_keys.jwk(credential, secret_is_base64=is_base64)]}
    provider = pb.JwtProvider(
        local_jwks=base_pb2.DataSource(inline_string=json.dumps(jwks, sort_keys=True)),
        header_in_metadata=_PROOF,
        clock_skew_seconds=_NO_TIME_S,
    )
    provider.from_headers.add(name=_TOKEN_HEADER)
    return provider


def _key_choice() -> set_filter_state_pb2.Config:
    """Tells Envoy's filter which requirement the token must fulfil: what the first program has noted."""
    text = f"%DYNAMIC_METADATA({_STATE}:{_REQUIREMENT})%"
    noted = substitution_format_string_pb2.SubstitutionFormatString(
        text_format_source=base_pb2.DataSource(inline_string=text), omit_empty_values=True
    )
    choice = value_pb2.FilterStateValue(
        object_key=_STATE, factory_key="envoy.string", format_string=noted, skip_if_empty=True
    )
    return set_filter_state_pb2.Config(on_request_headers=[choice])
