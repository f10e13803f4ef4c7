"""What the plugin itself answers: refusals, redirects, tokens. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from urllib.parse import urlencode, urlsplit

from meshgate.bridge.openid.code_flow import with_query
from meshgate.bridge.openid.evidence import Evidence
from meshgate.bridge.request import Deny, Headers, failed, refused
from meshgate.model.policies.openid import OpenidClient, OpenIdConnect

NO_STORE = ("cache-control", "no-store")


def cookies(lines: Iterable[str]) -> Headers:
    """Set-Cookie, once for each."""
    return tuple(("set-cookie", line) for line in lines)


def redirect(address: str, lines: Iterable[str] = ()) -> Deny:
    """Sends the client elsewhere."""
    return Deny(status=302, headers=(("location", address), NO_STORE, *cookies(lines)))


def unauthorized(
    policy: OpenIdConnect, client: OpenidClient | None, reason: str, lines: Iterable[str], *, given: bool
) -> Deny:
    """401, or where the plugin sends such clients; `given`: there was a credential, and it is not good."""
    if client is not None and client.unauthorized_redirect_uri:
        return redirect(client.unauthorized_redirect_uri, lines)
    code = "invalid_token" if given else ""
    message = _message(policy, policy.refusals.unauthorized, reason)
    answer = refused(message, _challenge(policy, code))
    return Deny(status=401, headers=(*answer.headers, *cookies(lines)), body=answer.body, stranger=True)


def forbidden(policy: OpenIdConnect, client: OpenidClient | None, reason: str, lines: Iterable[str]) -> Deny:
    """403, or where the plugin sends such clients."""
    if client is not None and client.forbidden_redirect_uri:
        return redirect(client.forbidden_redirect_uri, lines)
    message = _message(policy, policy.refusals.forbidden, reason)
    challenge = _challenge(policy, "insufficient_scope")
    answer = refused(message, challenge, status=403, stranger=False)
    return Deny(status=403, headers=(*answer.headers, *cookies(lines)), body=answer.body)


def unexpected(policy: OpenIdConnect, client: OpenidClient | None, reason: str) -> Deny:
    """500, or where the plugin sends such clients."""
    if client is not None and client.unexpected_redirect_uri:
        return redirect(client.unexpected_redirect_uri)
    return failed(_message(policy, "An unexpected error occurred", reason))


def _message(policy: OpenIdConnect, message: str, reason: str) -> str:
    return f"{message} ({reason})" if policy.refusals.show_reason else message


def _challenge(policy: OpenIdConnect, code: str) -> str:
    realm = urlsplit(policy.provider.issuer).hostname or ""
    shown = f', error="{code}"' if code and policy.refusals.show_error_code else ""
    return f'Bearer realm="{realm}"{shown}'


def after_login(policy: OpenIdConnect, client: OpenidClient, back: str, evidence: Evidence) -> str:
    """Where the client goes after a login, with the tokens that it is to have."""
    target = client.login_redirect_uri or back
    form = tuple((name, value) for name, value in _tokens(policy, evidence).items() if isinstance(value, str))
    if policy.login.tokens_in_query:
        return with_query(target, form)
    return f"{target.partition('#')[0]}#{urlencode(form)}" if form else target


def tokens_told(policy: OpenIdConnect, evidence: Evidence, lines: Iterable[str], more: Headers) -> Deny:
    """The tokens as JSON."""
    body = json.dumps(_tokens(policy, evidence), separators=(",", ":"))
    kind = ("content-type", "application/json; charset=utf-8")
    return Deny(status=200, headers=(kind, NO_STORE, *more, *cookies(lines)), body=body)


def _tokens(policy: OpenIdConnect, evidence: Evidence) -> dict[str, object]:
    tokens = evidence.tokens
    wanted = policy.login.tokens
    whole = {name: value for name, value in (evidence.answer or {}).items() if not name.startswith("_")}
    found: dict[str, object] = whole if "tokens" in wanted else {}
    for name, value in (
        ("access_token", tokens.access),
        ("id_token", tokens.id),
        ("refresh_token", tokens.refresh),
    ):
        if name in wanted and value:
            found[name] = value
    if "introspection" in wanted and evidence.introspected is not None:
        found["introspection"] = dict(evidence.introspected)
    return found
