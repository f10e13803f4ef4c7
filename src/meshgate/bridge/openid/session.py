"""A login as the client or a store keeps it: sealed, bound to the provider and to what the plugin says."""

from __future__ import annotations

import json
import secrets
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
from meshgate.bridge.session_store import SessionStore, StoreError
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
    id: str = ""
    """What names it in a store; empty where it is new, or in the cookie."""


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
    """Reads and writes the sessions of one plugin. Every method but `names` may raise `StoreError`."""

    def __init__(
        self, settings: OpenidSession, issuer: str, fallback: Secret, store: SessionStore | None = None
    ) -> None:
        self._settings, self._issuer, self._store = settings, issuer, store
        self._sealer = Sealer(settings.secret or fallback, PURPOSE)
        self._lifetimes = Lifetimes(
            idling_s=settings.idling_s, rolling_s=settings.rolling_s, absolute_s=settings.absolute_s
        )

    async def read(self, request: Request, now: float) -> tuple[Held, Age] | None:
        """The request's session; None where there is none that still counts."""
        raw = self._opened(request)
        if raw is None:
            return None
        id = ""
        if self._store is not None:
            id = raw.decode()
            text = await self._store.get(id)
            raw = self._sealer.open(text, self._bound(request, id)) if text else None
            if raw is None:
                return None
        held = replace(_read(json.loads(raw)), id=id)
        age = held.times.age(self._lifetimes, now)
        return None if age is Age.ENDED else (held, age)

    async def store(self, request: Request, held: Held, now: float) -> tuple[str, ...]:
        """Values of Set-Cookie. A new session ends the one that the request brought."""
        form = cookie_form(self._settings.cookie, request.scheme)
        content = json.dumps(_written(held)).encode()
        if self._store is not None:
            id = held.id or secrets.token_urlsafe(32)
            if not held.id:
                await self._end(request)
            sealed = self._sealer.seal(content, self._bound(request, id))
            lasts_s = held.times.left(self._lifetimes, now)
            if not await self._store.put(id, sealed, lasts_s, new=not held.id):
                return remove_cookie(form, request.cookies)
            content = id.encode()
        try:
            return set_cookie(form, self._sealer.seal(content, self._bound(request)), request.cookies)
        except ValueError as error:
            raise StoreError("the session is too large for cookies: see session_storage") from error

    async def forget(self, request: Request) -> tuple[str, ...]:
        """Values of Set-Cookie that end the session at the client; in a store it ends for everybody."""
        await self._end(request)
        return remove_cookie(cookie_form(self._settings.cookie, request.scheme), request.cookies)

    async def _end(self, request: Request) -> None:
        if self._store is not None and (id := self._opened(request)) is not None:
            await self._store.end(id.decode())

    def _opened(self, request: Request) -> bytes | None:
        """What the client holds: a session, or the name of one."""
        text = read_cookie(cookie_form(self._settings.cookie, request.scheme), request.cookies)
        return self._sealer.open(text, self._bound(request)) if text else None

    def names(self) -> tuple[str, ...]:
        """Of all its cookies, which no service needs to see."""
        return cookie_form(self._settings.cookie, "").names()

    def _bound(self, request: Request, id: str = "") -> str:
        seen = {
            "ip": request.client_ip,
            "scheme": request.scheme,
            "user-agent": request.header("user-agent") or "",
        }
        parts = [self._issuer, self._settings.audience]
        if self._store is not None:
            # What is sealed for a cookie is never taken for what is sealed for the store.
            parts += ["in the store" if id else "names one", id]
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
