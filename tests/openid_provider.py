"""A small identity provider for tests: it signs what it is told to, and fails when it is told to.

It logs everybody in at once as `ann`. For how a real provider behaves see tests/browser.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlencode

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "shop", "hush: the shop's own secret, 32+ bytes"
_KEYS = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]


@dataclass(slots=True, kw_only=True)
class Login:
    """What the authorization endpoint was told."""

    asked: Mapping[str, str]
    used: bool = False


@dataclass(slots=True)
class Provider:
    """The provider, and what it is to do wrong."""

    port: int = 0
    key: int = 0
    """Which of its keys signs; only that one is published."""
    down: bool = False
    """Answers 503 to everything."""
    holds: set[str] = field(default_factory=set)
    """Paths that take requests and do not answer, until they are taken out of it."""
    asked: Counter[str] = field(default_factory=Counter)
    """Path -> how often."""
    discovery: dict[str, object] = field(default_factory=dict)
    """Over what it says of itself."""
    id_claims: dict[str, object] = field(default_factory=dict)
    """Over what its ID tokens say."""
    access_claims: dict[str, object] = field(default_factory=dict)
    """The same of access tokens."""
    access_lasts_s: int = 300
    refuse_login: bool = False
    logins: dict[str, Login] = field(default_factory=dict)
    refresh_tokens: set[str] = field(default_factory=set)
    opaque: dict[str, dict[str, object]] = field(default_factory=dict)
    """Token that is not signed -> what introspection tells."""
    revoked: list[str] = field(default_factory=list)
    posted: list[dict[str, str]] = field(default_factory=list)
    """Forms of the token endpoint."""

    def reset(self) -> None:
        """Forgets all and does nothing wrong."""
        fresh = Provider(self.port)
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def kid(self) -> str:
        return f"key-{self.key}"

    def token(self, **claims: object) -> str:
        """A token that is good for a while; claims that are None are left out."""
        return self.signed({}, **claims)

    def signed(self, header: Mapping[str, object], **claims: object) -> str:
        """The same, with more in its header."""
        now = int(time.time())
        said = {"iss": self.issuer, "sub": "user-7", "iat": now, "exp": now + 600, **claims}
        kept = {name: value for name, value in said.items() if value is not None}
        shown = {"kid": self.kid, **header}
        return jwt.encode(kept, _KEYS[self.key], algorithm="RS256", headers=shown)

    def public_key(self, number: int = 0) -> rsa.RSAPublicKey:
        return _KEYS[number].public_key()

    def jwks(self) -> dict[str, object]:
        found = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(_KEYS[self.key].public_key()))
        return {"keys": [{**found, "kid": self.kid, "use": "sig", "alg": "RS256"}]}


@asynccontextmanager
async def providing() -> AsyncIterator[Provider]:
    """The provider on a port of its own."""
    provider = Provider()
    application = web.Application(middlewares=[_counting(provider)])
    handlers = _Handlers(provider)
    application.router.add_get("/.well-known/openid-configuration", handlers.configuration)
    application.router.add_get("/jwks", handlers.jwks)
    application.router.add_get("/authorize", handlers.authorize)
    application.router.add_post("/token", handlers.token)
    application.router.add_get("/userinfo", handlers.user_info)
    application.router.add_post("/introspect", handlers.introspect)
    application.router.add_post("/revoke", handlers.revoke)
    application.router.add_post("/par", handlers.pushed)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    provider.port = runner.addresses[0][1]
    try:
        yield provider
    finally:
        await runner.cleanup()


def _counting(provider: Provider) -> Any:
    @web.middleware
    async def count(request: web.Request, handler: Any) -> web.StreamResponse:
        provider.asked[request.path] += 1
        while request.path in provider.holds:
            await asyncio.sleep(0.02)
        if provider.down:
            return web.Response(status=503)
        found: web.StreamResponse = await handler(request)
        return found

    return count


class _Handlers:
    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._pushed: dict[str, dict[str, str]] = {}

    async def configuration(self, request: web.Request) -> web.Response:
        base = self._provider.issuer
        names = {
            "authorization_endpoint": "authorize",
            "token_endpoint": "token",
            "userinfo_endpoint": "userinfo",
            "introspection_endpoint": "introspect",
            "revocation_endpoint": "revoke",
            "end_session_endpoint": "logout",
            "pushed_authorization_request_endpoint": "par",
            "jwks_uri": "jwks",
        }
        said = {"issuer": base, **{name: f"{base}/{path}" for name, path in names.items()}}
        return web.json_response({**said, **self._provider.discovery})

    async def jwks(self, request: web.Request) -> web.Response:
        return web.json_response(self._provider.jwks())

    async def authorize(self, request: web.Request) -> web.Response:
        asked = {**request.query, **self._pushed.get(request.query.get("request_uri", ""), {})}
        back = {"state": asked["state"]}
        if self._provider.refuse_login:
            back["error"] = "access_denied"
        else:
            back["code"] = secrets.token_urlsafe(16)
            self._provider.logins[back["code"]] = Login(asked=asked)
        raise web.HTTPFound(f"{asked['redirect_uri']}?{urlencode(back)}")

    async def token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self._provider.posted.append(form)
        client = _client(request, form)
        granted = self._granted(form, client)
        if granted is None:
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response(granted)

    def _granted(self, form: Mapping[str, str], client: str | None) -> dict[str, object] | None:
        provider = self._provider
        if client is None:
            return None
        match form["grant_type"]:
            case "authorization_code":
                login = provider.logins.get(form["code"])
                if login is None or login.used or not _fits(login.asked, form):
                    return None
                login.used = True
                return self._tokens(client, login.asked)
            case "password" if (form["username"], form["password"]) == ("ann", "secret"):
                return self._tokens(client)
            case "client_credentials":
                return {"access_token": provider.token(sub=client), "expires_in": provider.access_lasts_s}
            case "refresh_token" if form["refresh_token"] in provider.refresh_tokens:
                provider.refresh_tokens.discard(form["refresh_token"])
                return self._tokens(client)
            case _:
                return None

    def _tokens(self, client: str, asked: Mapping[str, str] = MappingProxyType({})) -> dict[str, object]:
        provider = self._provider
        refresh = secrets.token_urlsafe(16)
        provider.refresh_tokens.add(refresh)
        lasts = provider.access_lasts_s
        profile = {"preferred_username": "ann", "groups": ["staff", "night shift"]}
        since = int(time.time()) if "max_age" in asked else None
        nonce = asked.get("nonce")
        said = {"aud": client, "nonce": nonce, "auth_time": since, **profile, **provider.id_claims}
        access = {"scope": "openid profile", "exp": int(time.time()) + lasts, **profile}
        return {
            "access_token": provider.token(**{**access, **provider.access_claims}),
            "id_token": provider.token(**said),
            "refresh_token": refresh,
            "token_type": "Bearer",
            "expires_in": lasts,
        }

    async def user_info(self, request: web.Request) -> web.Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token in self._provider.opaque:
            return web.json_response({"sub": "user-8", "preferred_username": "bob"})
        try:
            claims = jwt.decode(token, self._provider.public_key(self._provider.key), algorithms=["RS256"])
        except jwt.PyJWTError:
            return web.json_response({"error": "invalid_token"}, status=401)
        return web.json_response({"sub": claims["sub"], "email": "ann@shop.example"})

    async def introspect(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        if _client(request, form) is None:
            return web.Response(status=401)
        return web.json_response(self._provider.opaque.get(form["token"], {"active": False}))

    async def revoke(self, request: web.Request) -> web.Response:
        form = await request.post()
        self._provider.revoked.append(str(form["token_type_hint"]))
        return web.Response()

    async def pushed(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        uri = f"urn:pushed:{len(self._pushed)}"
        self._pushed[uri] = form
        return web.json_response({"request_uri": uri, "expires_in": 60}, status=201)


def _client(request: web.Request, form: Mapping[str, str]) -> str | None:
    """The client that shows its secret, by header, form or signed assertion."""
    scheme, _, pair = request.headers.get("authorization", "").partition(" ")
    if scheme == "Basic":
        name, _, secret = base64.b64decode(pair).decode().partition(":")
        return unquote(name) if unquote(secret) == SECRET else None
    if "client_assertion" in form:
        claims = jwt.decode(
            form["client_assertion"], SECRET, algorithms=["HS256"], audience=str(request.url), issuer=CLIENT
        )
        return str(claims["sub"])
    return form.get("client_id") if form.get("client_secret") == SECRET else None


def _fits(asked: Mapping[str, str], form: Mapping[str, str]) -> bool:
    """Whether a code comes from where it was sent, with PKCE's verifier where there was a challenge."""
    challenge = asked.get("code_challenge", "")
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode() if challenge else ""
    return form["redirect_uri"] == asked["redirect_uri"] and made == challenge
