"""The plugin's clients: several lists, of which the n-th entries belong together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeVar

import jwt

from meshgate.core.secret import Secret
from meshgate.dialects.kong.plugins.config import Report
from meshgate.dialects.kong.plugins.openid_connect.config import OpenidConnectConfig
from meshgate.model.policies.openid import OpenidClient, OpenidClientAuth

T = TypeVar("T")
_LISTS = (
    "client_secret",
    "redirect_uri",
    "login_redirect_uri",
    "logout_redirect_uri",
    "unauthorized_redirect_uri",
    "forbidden_redirect_uri",
    "unexpected_redirect_uri",
)


def lower_clients(config: OpenidConnectConfig, report: Report) -> tuple[OpenidClient, ...]:
    """One for each `client_id`; of a list that is shorter the first entry counts, as in Kong."""
    count = len(config.client_id)
    for name in (*_LISTS, "client_auth", "client_alg", "client_jwk"):
        if len(getattr(config, name)) > max(count, 1):
            report.error("MG2103", (name,), f"has more entries than client_id, which has {count}")
    return tuple(_client(config, i, report) for i in range(count))


def _client(config: OpenidConnectConfig, i: int, report: Report) -> OpenidClient:
    # A secret is for one client; Kong takes the first one's only where there is one client.
    secret = config.client_secret[i] if i < len(config.client_secret) else None
    written = _nth(config.client_jwk, i)
    key = Secret.of(json.dumps(written.members(), sort_keys=True)) if written is not None else None
    auth = _auth(config, i, report)
    _check(auth, secret, key, report)
    return OpenidClient(
        id=config.client_id[i],
        secret=secret,
        jwk=key,
        auth=auth,
        algorithm=_nth(config.client_alg, i) or "",
        redirect_uri=_nth(config.redirect_uri, i) or "",
        login_redirect_uri=_nth(config.login_redirect_uri, i) or "",
        logout_redirect_uri=_nth(config.logout_redirect_uri, i) or "",
        unauthorized_redirect_uri=_nth(config.unauthorized_redirect_uri, i) or "",
        forbidden_redirect_uri=_nth(config.forbidden_redirect_uri, i) or "",
        unexpected_redirect_uri=_nth(config.unexpected_redirect_uri, i) or "",
    )


def _nth(items: Sequence[T], i: int) -> T | None:
    if i < len(items):
        return items[i]
    return items[0] if items else None


def _auth(config: OpenidConnectConfig, i: int, report: Report) -> OpenidClientAuth | None:
    written = _nth(config.client_auth, i) or config.token_endpoint_auth_method
    others = (config.introspection_endpoint_auth_method, config.revocation_endpoint_auth_method)
    for name in (written, *others, config.pushed_authorization_request_endpoint_auth_method):
        if name in ("tls_client_auth", "self_signed_tls_client_auth"):
            report.error("MG1104", ("client_auth",), f"{name} is not supported")
            return None
    return OpenidClientAuth(written) if written else None


def _check(auth: OpenidClientAuth | None, secret: Secret | None, key: Secret | None, report: Report) -> None:
    needs_secret = (OpenidClientAuth.BASIC, OpenidClientAuth.POST, OpenidClientAuth.SECRET_JWT)
    if auth in needs_secret and secret is None:
        report.error("MG2103", ("client_secret",), f"is required where client_auth is {auth.value}")
    if auth is OpenidClientAuth.PRIVATE_KEY_JWT and key is None:
        report.error("MG2103", ("client_jwk",), "is required where client_auth is private_key_jwt")
    if key is not None:
        try:
            jwt.PyJWK.from_json(key.reveal_text())
        except (jwt.PyJWTError, ValueError, TypeError):
            report.error("MG2103", ("client_jwk",), "is no key that can sign (the value is not shown)")
