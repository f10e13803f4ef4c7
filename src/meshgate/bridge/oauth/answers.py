"""What the endpoints and the refusals of `oauth2` say, in Kong's words (3.9). Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from meshgate.bridge.request import Deny, Headers

JSON = ("content-type", "application/json; charset=utf-8")
NOT_STORED: Headers = (("cache-control", "no-store"), ("pragma", "no-cache"))


class OAuth2Error(Exception):
    """An answer with `error`; `basic`: the client showed itself by a header and is not known."""

    def __init__(self, error: str, description: str, *, basic: bool = False) -> None:
        super().__init__(error)
        self.said = {"error": error, "error_description": description}
        self.basic = basic


def unknown_client(*, basic: bool = False) -> OAuth2Error:
    """The client's id or secret is wrong."""
    return OAuth2Error("invalid_client", "Invalid client authentication", basic=basic)


def told(said: Mapping[str, object], *, basic: bool = False, status: int | None = None) -> Deny:
    """An endpoint's answer."""
    if status is None:
        status = (401 if basic else 400) if "error" in said else 200
    challenge: Headers = (("www-authenticate", 'Basic realm="OAuth2.0"'),) if basic else ()
    return Deny(status=status, headers=(JSON, *NOT_STORED, *challenge), body=_text(said))


def challenge(realm: str, error: str = "", description: str = "") -> str:
    """A value of WWW-Authenticate."""
    parts = {"realm": realm, "error": error, "error_description": description}
    shown = ", ".join(f'{name}="{value}"' for name, value in parts.items() if value)
    return f"Bearer {shown}" if shown else "Bearer"


def refused(status: int, error: str, description: str, shown: str, *, stranger: bool) -> Deny:
    """An answer with WWW-Authenticate."""
    said = {"error": error, "error_description": description}
    headers: Headers = (JSON, ("www-authenticate", shown))
    return Deny(status=status, headers=headers, body=_text(said), stranger=stranger)


def missing(realm: str) -> Deny:
    """There is no token."""
    description = "The access token is missing"
    return refused(401, "invalid_request", description, challenge(realm), stranger=True)


def invalid(realm: str, description: str = "") -> Deny:
    """It is not good."""
    usual = "The access token is invalid or has expired"
    shown = challenge(realm, "invalid_token", usual)
    return refused(401, "invalid_token", description or usual, shown, stranger=True)


def wrong_method(realm: str, method: str, endpoint: str) -> Deny:
    """The endpoints take POST alone."""
    description = f"The HTTP method {method} is invalid for the {endpoint} endpoint"
    shown = challenge(realm, "invalid_method", description)
    return refused(405, "invalid_method", description, shown, stranger=False)


def _text(said: Mapping[str, object]) -> str:
    return json.dumps({k: v for k, v in said.items() if v is not None}, separators=(",", ":"))
