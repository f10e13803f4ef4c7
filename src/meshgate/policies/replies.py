"""The gateway's own answers in Kong's words, where Envoy can tell the cases apart.

Envoy says why it refused in the response code details and flags; a mapper per reason
gives the body. What a route adds (message, realm, status) comes from its metadata.
"""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import base_pb2, substitution_format_string_pb2
from envoy.extensions.access_loggers.filters.cel.v3 import cel_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policy import RateLimit
from meshgate.policies.packing import header, pack, uint32
from meshgate.policies.parts import METADATA_NAMESPACE

JSON = "application/json; charset=utf-8"

_JWT_MESSAGES: tuple[tuple[str, str], ...] = (
    ("Jwt_is_missing", '{"message":"Unauthorized"}'),
    ("Jwt_is_expired", '{"exp":"token expired"}'),
    ("Jwt_payload_[exp]", '{"exp":"must be a number"}'),
    ("Jwt_payload_[nbf]", '{"nbf":"must be a number"}'),
    ("Jwt_not_yet_valid", '{"nbf":"token not valid yet"}'),
    ("Jwt_issuer_is_not_configured", '{"message":"No credentials found for given \'iss\'"}'),
    ("Jwt_verification_fails", '{"message":"Invalid signature"}'),
    ("Jwks_doesn't_have_key_to_match_kid_or_alg_from_Jwt", '{"message":"Invalid algorithm"}'),
    ("Jwt_header_[alg]", '{"message":"Bad token; invalid alg"}'),
    ("Jwt_header", '{"message":"Bad token; invalid JSON"}'),
    ("Jwt_payload", '{"message":"Bad token; invalid claims"}'),
    ("Jwt_signature", '{"message":"Bad token; invalid signature"}'),
    ("Jwt_is_not_in_the_form", '{"message":"Bad token; invalid JSON"}'),
    ("", '{"message":"Unauthorized"}'),
)
"""Part of Envoy 1.40's response code details -> Kong's body; the first that fits."""

_KEY_MESSAGES: tuple[tuple[str, str], ...] = (
    ("missing_api_key", "No API key found in request"),
    ("", "Unauthorized"),
)
"""The same for `api_key_auth`; Kong's error object holds them."""

_REALM = f"%METADATA(ROUTE:{METADATA_NAMESPACE}:realm)%"
_TOKEN_REALM = f"%METADATA(ROUTE:{METADATA_NAMESPACE}:token_realm)%"
"""The same of `jwt`, with the comma that Kong puts before what follows."""


def local_replies(
    rate_limits: tuple[RateLimit, ...], of_plugins: Iterable[hcm.ResponseMapper] = ()
) -> hcm.LocalReplyConfig:
    """All mappers of the gateway, `of_plugins` first; anything else keeps Envoy's own answer as JSON."""
    config = hcm.LocalReplyConfig(mappers=of_plugins)
    for part, body in _JWT_MESSAGES:
        invalid = part != "Jwt_is_missing"
        config.mappers.append(
            _unauthorized("jwt_authn_access_denied{" + part, _text(body), "Bearer", invalid=invalid)
        )
    for part, message in _KEY_MESSAGES:
        config.mappers.append(_unauthorized(part, _json(message), "Key", invalid=False))
    for status in sorted({p.error_code for p in rate_limits} | {429}):
        config.mappers.append(limited_reply("_rate_limited", status))
    config.mappers.append(_said("rate_limiter_error", "An unexpected error occurred"))
    config.mappers.append(_said("route_not_found", "no Route matched with those values"))
    config.body_format.CopyFrom(_json("%LOCAL_REPLY_BODY%"))
    return config


def route_says(key: str) -> str:
    """CEL: a text of the route's metadata; where there is none, a comparison with it fails."""
    return f"xds.route_metadata.filter_metadata['{METADATA_NAMESPACE}']['{key}']"


def error_reply(reason: str, status: int, message: str, *, when: str = "true") -> hcm.ResponseMapper:
    """Kong's error object for a refusal by `rbac` of that name; `message` may hold `%COMMANDS%`."""
    mapper = hcm.ResponseMapper(filter=_refused_for(reason, when), status_code=uint32(status))
    mapper.body_format_override.CopyFrom(_json(message))
    return mapper


def challenge_reply(reason: str, message: str, scheme: str) -> hcm.ResponseMapper:
    """Kong's error object with 401 for a refusal by `rbac` of that name, with the route's realm."""
    mapper = error_reply(reason, 401, message)
    mapper.headers_to_add.append(header("WWW-Authenticate", f"{scheme}{_REALM}"))
    return mapper


def route_error_reply(key: str, status: int, message: str) -> hcm.ResponseMapper:
    """Kong's error object for any refusal with that status on routes whose metadata has the key."""
    condition = f"response.code == {status} && {route_says(key)} != ''"
    mapper = hcm.ResponseMapper(filter=_cel(condition))
    mapper.body_format_override.CopyFrom(_json(message))
    return mapper


def text_reply(
    reason: str, status: int, body: str, content_type: str = JSON, *, when: str = "true"
) -> hcm.ResponseMapper:
    """A body as it is for a refusal by `rbac` of that name; `body` may hold `%COMMANDS%`."""
    mapper = hcm.ResponseMapper(filter=_refused_for(reason, when), status_code=uint32(status))
    mapper.body_format_override.CopyFrom(_text(body, content_type))
    return mapper


def unauthorized_reply(details: str, challenge: str) -> hcm.ResponseMapper:
    """Kong's 401 for refusals whose details hold that; `challenge` is WWW-Authenticate."""
    condition = f"response.code == 401 && {_details_hold(details)}"
    mapper = hcm.ResponseMapper(filter=_cel(condition))
    mapper.body_format_override.CopyFrom(_json("Unauthorized"))
    mapper.headers_to_add.append(header("WWW-Authenticate", challenge))
    return mapper


def said_by_itself(details: str, key: str) -> hcm.ResponseMapper:
    """An answer that somebody else has made, unchanged, on routes whose metadata has the key."""
    mapper = hcm.ResponseMapper(filter=_cel(f"{_details_hold(details)} && {route_says(key)} != ''"))
    mapper.body_format_override.CopyFrom(
        substitution_format_string_pb2.SubstitutionFormatString(
            text_format_source=base_pb2.DataSource(inline_string="%LOCAL_REPLY_BODY%"), omit_empty_values=True
        )
    )
    return mapper


def said_reply(details: str, key: str, message: str) -> hcm.ResponseMapper:
    """Kong's error object for one of Envoy's reasons, on routes whose metadata has the key."""
    mapper = hcm.ResponseMapper(filter=_cel(f"{_details_hold(details)} && {route_says(key)} != ''"))
    mapper.body_format_override.CopyFrom(_json(message))
    return mapper


def as_it_is_reply(details: str) -> hcm.ResponseMapper:
    """Answers with those details keep their body, status and content type."""
    mapper = hcm.ResponseMapper(filter=_cel(_details_hold(details)))
    mapper.body_format_override.CopyFrom(
        substitution_format_string_pb2.SubstitutionFormatString(
            text_format_source=base_pb2.DataSource(inline_string="%LOCAL_REPLY_BODY%"), omit_empty_values=True
        )
    )
    return mapper


def grpc_error_reply(details: str, of: tuple[int, ...], told: int, code: int) -> hcm.ResponseMapper:
    """A gRPC error as JSON in place of Envoy's answers with that reason and one of these statuses."""
    condition = f"response.code in {list(of)} && {_details_hold(details)}"
    mapper = hcm.ResponseMapper(filter=_cel(condition), status_code=uint32(told))
    body = mapper.body_format_override
    body.content_type = "application/json"
    body.json_format.update({"code": code, "message": "%LOCAL_REPLY_BODY%", "details": []})
    return mapper


def _refused_for(reason: str, when: str) -> accesslog_pb2.AccessLogFilter:
    return _cel(f"{_details_hold(f'matched_policy[{reason}]')} && {when}")


def _cel(expression: str) -> accesslog_pb2.AccessLogFilter:
    return accesslog_pb2.AccessLogFilter(
        extension_filter=accesslog_pb2.ExtensionFilter(
            name="envoy.access_loggers.extension_filters.cel",
            typed_config=pack(cel_pb2.ExpressionFilter(expression=expression)),
        )
    )


def _details_hold(part: str) -> str:
    """CEL: Envoy's reason for its answer. Response flags are set too late to be of use here (1.40)."""
    quoted = part.replace("'", "\\'")
    return f"response.code_details.contains('{quoted}')"


def _metadata_is(key: str, value: str) -> str:
    """CEL: what our route says of itself."""
    return f"{route_says(key)} == '{value}'"


def _unauthorized(
    details: str,
    body: substitution_format_string_pb2.SubstitutionFormatString,
    scheme: str,
    *,
    invalid: bool,
) -> hcm.ResponseMapper:
    auth = "jwt" if scheme == "Bearer" else "key-auth"
    reason = _details_hold(details) if details else _metadata_is("auth", auth)
    mapper = hcm.ResponseMapper(filter=_cel(f"response.code == 401 && {reason}"), body_format_override=body)
    told = f'{_TOKEN_REALM} error="invalid_token"' if invalid else _REALM
    mapper.headers_to_add.append(header("WWW-Authenticate", f"{scheme}{told}"))
    return mapper


def limited_reply(details: str, status: int, *, when: str = "true") -> hcm.ResponseMapper:
    """What a limit's route says, for refusals whose details hold that (all but quotas: `_rate_limited`)."""
    condition = f"{_details_hold(details)} && {_metadata_is('limit_status', str(status))}"
    if when != "true":
        condition += f" && {when}"
    mapper = hcm.ResponseMapper(filter=_cel(condition), status_code=uint32(status))
    mapper.body_format_override.CopyFrom(_json(f"%METADATA(ROUTE:{METADATA_NAMESPACE}:limit_message)%"))
    return mapper


def _said(details: str, message: str) -> hcm.ResponseMapper:
    """Kong's sentence for one of Envoy's reasons."""
    return hcm.ResponseMapper(filter=_cel(_details_hold(details)), body_format_override=_json(message))


def _json(message: str) -> substitution_format_string_pb2.SubstitutionFormatString:
    """Kong's error object; `message` may hold Envoy's `%COMMANDS%`."""
    body = substitution_format_string_pb2.SubstitutionFormatString(content_type=JSON)
    body.json_format.update({"message": message, "request_id": "%REQ(X-REQUEST-ID)%"})
    return body


def _text(body: str, content_type: str = JSON) -> substitution_format_string_pb2.SubstitutionFormatString:
    return substitution_format_string_pb2.SubstitutionFormatString(
        text_format_source=base_pb2.DataSource(inline_string=body), content_type=content_type
    )
