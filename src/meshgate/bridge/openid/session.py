"""A login as the client keeps it: sealed, bound to the provider and to what the plugin says."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from meshgate.bridge.openid.evidence import Tokens
from meshgate.bridge.request import Request
from meshgate.bridge.session_cookie import (
    Age,
    CookieForm,
    Lifetimes,
    Sealer,
    Times,
    read_cookie,
    remove_cookie,
    set_cookie,
)
from meshgate.core.secret import Secret
from meshgate.model.policies.openid import LoginCookie, OpenidMethod, OpenidSession

PURPOSE = "openid-connect session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a session holds."""

    method: OpenidMethod
    """By which it began."""
    client_id: str
    tokens: Tokens
    access_verified: bool
    """Whether the access token was verified, so that its claims count."""
    times: Times


def cookie_form(cookie: LoginCookie, scheme: str) -> CookieForm:
    """The cookie for a request that came by that scheme."""
    return CookieForm(
        name=cookie.name,
        path=cookie.path,
        domain=cookie.domain,
        same_site=cookie.same_site,
        http_only=cookie.http_only,
        secure=scheme == "https" if cookie.secure is None else cookie.secure,
    )


class Sessions:
    """Reads and writes the cookies of one plugin."""

    def __init__(self, settings: OpenidSession, issuer: str, fallback: Secret) -> None:
        self._settings, self._issuer = settings, issuer
        self._sealer = Sealer(settings.secret or fallback, PURPOSE)
        self._lifetimes = Lifetimes(
            idling_s=settings.idling_s, rolling_s=settings.rolling_s, absolute_s=settings.absolute_s
        )

    def read(self, request: Request, now: float) -> tuple[Held, Age] | None:
        """The request's session; None where there is none that still counts."""
        form = cookie_form(self._settings.cookie, request.scheme)
        text = read_cookie(form, request.cookies)
        raw = self._sealer.open(text, self._bound(request)) if text else None
        if raw is None:
            return None
        held = _read(json.loads(raw))
        age = held.times.age(self._lifetimes, now)
        return None if age is Age.ENDED else (held, age)

    def store(self, request: Request, held: Held) -> tuple[str, ...]:
        """Values of Set-Cookie."""
        form = cookie_form(self._settings.cookie, request.scheme)
        sealed = self._sealer.seal(json.dumps(_written(held)).encode(), self._bound(request))
        return set_cookie(form, sealed, request.cookies)

    def forget(self, request: Request) -> tuple[str, ...]:
        """Values of Set-Cookie that end the session at the client."""
        return remove_cookie(cookie_form(self._settings.cookie, request.scheme), request.cookies)

    def names(self) -> tuple[str, ...]:
        """Of all its cookies, which no service needs to see."""
        return cookie_form(self._settings.cookie, "").names()

    def _bound(self, request: Request) -> str:
        seen = {
            "ip": request.client_ip,
            "scheme": request.scheme,
            "user-agent": request.header("user-agent") or "",
        }
        parts = [self._issuer, self._settings.audience]
        return json.dumps(parts + [f"{name}={seen[name]}" for name in self._settings.bind])


def touched(held: Held, age: Age, now: float) -> Held:
    """The session, used now."""
    times = held.times.renewed_at(now) if age is Age.RENEW else held.times.touched(now)
    return replace(held, times=times)


def _written(held: Held) -> dict[str, Any]:
    tokens, times = held.tokens, held.times
    return {
        "m": held.method.value,
        "c": held.client_id,
        "a": tokens.access,
        "i": tokens.id,
        "r": tokens.refresh,
        "e": tokens.expires_at,
        "s": tokens.scope,
        "v": held.access_verified,
        "t": [times.created, times.renewed, times.used],
    }


def _read(found: dict[str, Any]) -> Held:
    created, renewed, used = found["t"]
    return Held(
        method=OpenidMethod(found["m"]),
        client_id=found["c"],
        tokens=Tokens(
            access=found["a"], id=found["i"], refresh=found["r"], expires_at=found["e"], scope=found["s"]
        ),
        access_verified=found["v"],
        times=Times(created=created, renewed=renewed, used=used),
    )
