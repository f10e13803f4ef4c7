"""How browsers log in, stay logged in, and log out: config to policy."""

from __future__ import annotations

from collections.abc import Sequence

from meshgate.core.secret import Secret
from meshgate.dialects.kong.plugins.config import Report
from meshgate.dialects.kong.plugins.openid_connect.config import OpenidConnectConfig, set_to_null
from meshgate.dialects.kong.plugins.openid_connect.redis_fields import lower_session_store
from meshgate.model.policies.openid import (
    LoginCookie,
    OpenidLogin,
    OpenidLoginAction,
    OpenidLogout,
    OpenidMethod,
    OpenidSession,
)


def methods_of(names: Sequence[str]) -> frozenset[OpenidMethod]:
    """Those of the names that the bridge knows."""
    return frozenset(OpenidMethod(name) for name in names if name != "kong_oauth2")


def _same_site(text: str) -> str:
    return "" if text == "Default" else text


def lower_session(config: OpenidConnectConfig, report: Report) -> OpenidSession:
    """What is remembered of whom, and in which cookie."""
    secret: Secret | None = config.session_secret
    if secret is None and config.client_secret:
        # Sealing derives keys from it for this purpose alone.
        secret = config.client_secret[0]
    return OpenidSession(
        secret=secret,
        audience=config.session_audience,
        cookie=LoginCookie(
            name=config.session_cookie_name,
            path=config.session_cookie_path,
            domain=config.session_cookie_domain or "",
            same_site=_same_site(config.session_cookie_same_site),
            http_only=config.session_cookie_http_only,
            secure=config.session_cookie_secure,
        ),
        idling_s=config.session_idling_timeout,
        rolling_s=config.session_rolling_timeout,
        absolute_s=config.session_absolute_timeout,
        bind=tuple(sorted(set(config.session_bind))),
        disabled_for=methods_of(config.disable_session),
        reverify=config.reverify,
        refresh_tokens=config.refresh_tokens,
        store=lower_session_store(config, report, wanted=config.session_storage == "redis"),
    )


def lower_login(config: OpenidConnectConfig, report: Report) -> OpenidLogin:
    """What the provider is asked when somebody logs in."""
    names, values = config.authorization_query_args_names, config.authorization_query_args_values
    if len(names) != len(values):
        report.error("MG2103", ("authorization_query_args_values",), f"must have {len(names)} values")
    unset = set_to_null("login_tokens", report)
    return OpenidLogin(
        cookie=LoginCookie(
            name=config.authorization_cookie_name,
            path=config.authorization_cookie_path,
            domain=config.authorization_cookie_domain or "",
            same_site=_same_site(config.authorization_cookie_same_site),
            http_only=config.authorization_cookie_http_only,
            secure=config.authorization_cookie_secure,
        ),
        lasts_s=config.authorization_rolling_timeout,
        scopes=tuple(dict.fromkeys(config.scopes)),
        audience=config.audience,
        arguments=tuple(zip(names, values, strict=False)),
        client_arguments=config.authorization_query_args_client,
        response_mode=config.response_mode,
        max_age_s=config.max_age,
        pkce=config.require_proof_key_for_code_exchange is not False,
        pushed=config.require_pushed_authorization_requests,
        action=OpenidLoginAction(config.login_action),
        methods=methods_of(config.login_methods),
        tokens=() if unset else tuple(dict.fromkeys(config.login_tokens)),
        tokens_in_query=config.login_redirect_mode == "query",
        preserve_query=config.preserve_query_args,
    )


def lower_logout(config: OpenidConnectConfig) -> OpenidLogout:
    """Which requests log out, and what ends with it."""
    return OpenidLogout(
        methods=tuple(dict.fromkeys(config.logout_methods)),
        query_arg=config.logout_query_arg or "",
        post_arg=config.logout_post_arg or "",
        uri_suffix=config.logout_uri_suffix or "",
        revoke_access=config.logout_revoke and config.logout_revoke_access_token,
        revoke_refresh=config.logout_revoke and config.logout_revoke_refresh_token,
    )
