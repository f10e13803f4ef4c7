"""Kong's `session`: a cookie in place of credentials (schema of Kong 3.9.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from meshgate.dialects.kong.plugins.config import Config, Line, Report, Word
from meshgate.dialects.schema import Items, SecretText, fault
from meshgate.model.policies.session import Session, SessionCookie

Seconds = Annotated[float, Field(ge=0, le=400 * 86_400)]
Told = Literal[
    "id", "audience", "subject", "timeout", "idling-timeout", "rolling-timeout", "absolute-timeout"
]
SameSite = Literal["Strict", "Lax", "None", "Default"]
GOOD_SECRET, SHORTEST_SECRET = 32, 8
_COOKIE = re.compile(r"[!#$&'*+.^_`|~0-9A-Za-z-]+")


def _cookie_name(text: str) -> str:
    if not _COOKIE.fullmatch(text):
        raise fault("MG2103", "must be the name of a cookie")
    return text


def _attribute(text: str) -> str:
    if not text.isascii() or not text.isprintable() or set(text) & {";", ",", '"', " "}:
        raise fault("MG2103", "must be text that a cookie's attribute can hold")
    return text


CookieName = Annotated[str, AfterValidator(_cookie_name)]
CookieAttribute = Annotated[str, AfterValidator(_attribute)]


class SessionConfig(Config):
    """Every field of the plugin."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "store_metadata": "nobody could ask for what would be stored",
        "hash_subject": "no subject is stored",
        "stale_ttl": "a session is renewed in place, so no old one is left",
        "cookie_discard": "a session is renewed in place, so no old one is left",
        "cookie_renew": "sessions are renewed in the last quarter of rolling_timeout",
    }

    secret: SecretText | None = None
    storage: Literal["cookie", "kong"] = "cookie"
    audience: Line = "default"
    idling_timeout: Seconds = 900
    rolling_timeout: Seconds = 3600
    absolute_timeout: Seconds = 86_400
    cookie_name: CookieName = "session"
    cookie_path: CookieAttribute = "/"
    cookie_domain: CookieAttribute = ""
    cookie_same_site: SameSite = "Strict"
    cookie_http_only: bool = True
    cookie_secure: bool = True
    remember: bool = False
    remember_cookie_name: CookieName = "remember"
    remember_rolling_timeout: Seconds = 604_800
    remember_absolute_timeout: Seconds = 2_592_000
    response_headers: Items[Told] = ()
    request_headers: Items[Told] = ()
    read_body_for_logout: bool = False
    logout_methods: Items[Literal["GET", "POST", "DELETE"]] = ("POST", "DELETE")
    logout_query_arg: Word = "session_logout"
    logout_post_arg: Word = "session_logout"
    cookie_lifetime: Seconds | None = None
    cookie_idletime: Seconds | None = None
    cookie_samesite: Literal["Strict", "Lax", "None", "off"] | None = None
    cookie_httponly: bool | None = None
    cookie_persistent: bool | None = None


_OLD = (
    ("cookie_lifetime", "rolling_timeout"),
    ("cookie_idletime", "idling_timeout"),
    ("cookie_samesite", "cookie_same_site"),
    ("cookie_httponly", "cookie_http_only"),
    ("cookie_persistent", "remember"),
)
"""Spellings of Kong 2 and what they are called now."""


def lower_session(config: SessionConfig, report: Report) -> Session:
    """The policy; old spellings are taken and named."""
    config = _renamed(config, report)
    _check(config, report)
    return Session(
        secret=config.secret,
        in_cookie=config.storage == "cookie",
        audience=config.audience,
        cookie=_cookie(config, config.cookie_name),
        idling_s=config.idling_timeout,
        rolling_s=config.rolling_timeout,
        absolute_s=config.absolute_timeout,
        remember=_cookie(config, config.remember_cookie_name) if config.remember else None,
        remember_rolling_s=config.remember_rolling_timeout,
        remember_absolute_s=config.remember_absolute_timeout,
        logout_methods=tuple(dict.fromkeys(config.logout_methods)),
        logout_query_arg=config.logout_query_arg,
        logout_post_arg=config.logout_post_arg,
        read_body_for_logout=config.read_body_for_logout,
        response_headers=tuple(dict.fromkeys(config.response_headers)),
        request_headers=tuple(dict.fromkeys(config.request_headers)),
        origin=report.origin(),
    )


def _renamed(config: SessionConfig, report: Report) -> SessionConfig:
    found: dict[str, object] = {}
    for old, new in _OLD:
        value = getattr(config, old)
        if value is not None:
            report.warn("MG2104", (old,), "is an old spelling", f"write {new}")
            found[new] = "Lax" if value == "off" else value
    return config.model_copy(update=found)


def _check(config: SessionConfig, report: Report) -> None:
    if config.secret is None:
        message = "is not set: one is made up, and sessions end whenever the bridge starts anew"
        report.warn("MG2103", ("secret",), message, "set a secret of 32 random characters or more")
    elif (length := len(config.secret.reveal())) < GOOD_SECRET:
        say = report.error if length < SHORTEST_SECRET else report.warn
        message = f"has fewer than {GOOD_SECRET} characters: whoever guesses it can be anybody"
        say("MG2103", ("secret",), message, "make one with: openssl rand -base64 32")
    if config.cookie_same_site == "None" and not config.cookie_secure:
        message = "must be true with cookie_same_site None, or browsers drop it"
        report.error("MG2103", ("cookie_secure",), message)
    if config.remember and config.remember_cookie_name.startswith(config.cookie_name):
        report.error("MG2103", ("remember_cookie_name",), "must not begin with cookie_name")
    if config.remember and config.cookie_name.startswith(config.remember_cookie_name):
        report.error("MG2103", ("cookie_name",), "must not begin with remember_cookie_name")


def _cookie(config: SessionConfig, name: str) -> SessionCookie:
    return SessionCookie(
        name=name,
        path=config.cookie_path,
        domain=config.cookie_domain,
        same_site=config.cookie_same_site,
        http_only=config.cookie_http_only,
        secure=config.cookie_secure,
    )
