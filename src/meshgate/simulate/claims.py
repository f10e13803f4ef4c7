"""Claims that choose a route: read from the request's token as if its signature were good.

Whether it is, and whether the token is still valid, is Envoy's to say.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence

from envoy.type.matcher.v3 import metadata_pb2, string_pb2

from meshgate.model.authorization import Guard, JwtRule
from meshgate.policies.request_authentication import LISTS, PAYLOAD
from meshgate.simulate.strings import parameters, string_matches

CLAIMS = "@claims"
"""Where the claims are among a request's headers, as JSON: a name that no header can have."""


def with_claims(guard: Guard, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers, and the claims of the first token in them that an issuer of the guard's signed."""
    for rule in guard.jwt:
        payload = _payload(_token(rule, headers))
        if payload is not None and payload.get("iss") == rule.issuer:
            lists = {
                n: v.split() for n in (*LISTS, *rule.space_delimited) if isinstance(v := payload.get(n), str)
            }
            return {**headers, CLAIMS: json.dumps(payload | lists)}
    return dict(headers)


def metadata_matches(matcher: metadata_pb2.MetadataMatcher, headers: Mapping[str, str]) -> bool:
    """Whether a condition on a verified token's claims holds."""
    value: object = {PAYLOAD: json.loads(headers[CLAIMS])} if CLAIMS in headers else {}
    for segment in matcher.path:
        value = value.get(segment.key) if isinstance(value, dict) else None
    wanted = matcher.value
    if wanted.HasField("present_match"):
        return (value is not None) is not matcher.invert
    texts = [one.string_match for one in wanted.or_match.value_matchers if one.HasField("string_match")]
    return any(_fits(text, value) for text in texts) is not matcher.invert


def _fits(wanted: string_pb2.StringMatcher, value: object) -> bool:
    values: Sequence[object] = value if isinstance(value, list) else [value]
    return any(isinstance(one, str) and string_matches(wanted, one) for one in values)


def _token(rule: JwtRule, headers: Mapping[str, str]) -> str:
    own = (*rule.from_headers, *rule.from_params, *rule.from_cookies)
    places = rule.from_headers or (() if own else (("authorization", "Bearer "),))
    for name, prefix in places:
        value = headers.get(name.lower(), "")
        if value.startswith(prefix) and value != prefix:
            return value[len(prefix) :]
    query = parameters(headers[":path"])
    for name in rule.from_params or (() if own else ("access_token",)):
        if name in query:
            return query[name]
    cookies = dict(part.strip().partition("=")[::2] for part in headers.get("cookie", "").split(";"))
    return next((cookies[name] for name in rule.from_cookies if name in cookies), "")


def _payload(token: str) -> dict[str, object] | None:
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
