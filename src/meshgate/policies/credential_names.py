"""Where each way in looks for credentials: names of headers and parameters that no log may show.

Cookies have none here: no log shows any.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_never

from meshgate.model.authorization import JwtRule
from meshgate.model.policy import (
    AUTHENTICATION,
    Authentication,
    BasicAuth,
    HmacAuth,
    JwtAuth,
    KeyAuth,
    LdapAuth,
    MtlsAuth,
    OAuth2,
    OpenIdConnect,
    Policy,
    Session,
)

_CODE_FLOW = ("code", "code_verifier", "client_assertion", "password")
"""Parameters of OAuth 2.0's requests that are worth something to a thief for a while."""
_TOKEN_HEADERS = ("access-token", "x-access-token", "refresh-token", "x-refresh-token")
"""In which `openid-connect` looks besides what is configured."""


def credential_names(policies: Iterable[Policy], rules: Iterable[JwtRule] = ()) -> tuple[str, ...]:
    """All of them in lower case, of Kong's plugins and of Istio's rules."""
    found = {name for p in policies if isinstance(p, AUTHENTICATION) for name in _names(p)}
    for rule in rules:
        found.update((*(header for header, _ in rule.from_headers), *rule.from_params))
    return tuple(sorted({name.lower() for name in found if name}))


def _names(policy: Authentication) -> Iterator[str]:
    match policy:
        case KeyAuth():
            yield from policy.key_names
        case JwtAuth():
            yield from (*policy.header_names, *policy.uri_param_names)
        case OAuth2():
            yield from (policy.auth_header_name, "provision_key", *_CODE_FLOW)
        case OpenIdConnect():
            sources = policy.sources
            yield from (sources.bearer_header, sources.refresh_token_name, *_TOKEN_HEADERS, *_CODE_FLOW)
            for told in (policy.upstream, policy.downstream):
                tokens = (told.access_token, told.id_token, told.refresh_token)
                # `authorization:bearer` is that header, with a word before the token.
                yield from (name.partition(":")[0] for name in (*tokens, told.user_info, told.introspection))
        case BasicAuth() | HmacAuth() | LdapAuth() | MtlsAuth() | Session():
            # Authorization and Proxy-Authorization, which are never shown; certificates; cookies.
            pass
        case _:
            assert_never(policy)
