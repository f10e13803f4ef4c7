"""What is asked of the provider: tokens, what they are, whose they are, and their end."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never
from urllib.parse import quote, urlencode

import jwt

from meshgate.bridge.openid.http import Ask, Question, Reply
from meshgate.bridge.openid.problems import ProviderError, RefusedError
from meshgate.bridge.openid.provider import Metadata
from meshgate.model.policies.openid import OpenidClient, OpenidClientAuth, OpenidProvider

Form = tuple[tuple[str, str], ...]
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class More:
    """What a plugin adds to a question."""

    form: Form = ()
    headers: Mapping[str, str]


class Endpoints:
    """Asks one provider, as one client or another."""

    def __init__(self, settings: OpenidProvider, ask: Ask, metadata: Metadata, now: float) -> None:
        self._settings, self._ask, self.metadata, self._now = settings, ask, metadata, now

    async def grant(self, client: OpenidClient, form: Form, more: More) -> Mapping[str, Any]:
        """The token endpoint's answer. Raises `RefusedError` where it refuses."""
        url = self._url(self.metadata.endpoints.token, "token")
        reply = await self._post(url, client, client.auth, (*form, *more.form), more.headers)
        if reply.status in (400, 401, 403):
            raise RefusedError(_refusal(reply))
        if reply.status != 200:
            raise ProviderError(f"the token endpoint answers {reply.status}")
        said = reply.json()
        if not isinstance(said.get("access_token", ""), str):
            raise ProviderError("the token endpoint gives no token")
        return said

    async def introspect(
        self, client: OpenidClient, auth: OpenidClientAuth | None, form: Form, more: More
    ) -> Mapping[str, Any]:
        """What the provider says of a token (RFC 7662)."""
        url = self._url(self.metadata.endpoints.introspection, "introspection")
        reply = await self._post(url, client, auth or client.auth, (*form, *more.form), more.headers)
        if reply.status != 200:
            raise ProviderError(f"the introspection endpoint answers {reply.status}")
        return reply.json()

    async def user_info(self, access_token: str, more: More) -> Mapping[str, Any]:
        """What the provider says of the user. Raises `RefusedError` where the token is not good."""
        url = self._url(self.metadata.endpoints.userinfo, "userinfo")
        if more.form:
            url += ("&" if "?" in url else "?") + urlencode(more.form)
        headers = {**more.headers, "authorization": f"Bearer {access_token}"}
        reply = await self._ask(self._question(url, None, headers))
        if reply.status in (400, 401, 403):
            raise RefusedError("the provider does not know the token")
        if reply.status != 200:
            raise ProviderError(f"the userinfo endpoint answers {reply.status}")
        return reply.json()

    async def revoke(
        self, client: OpenidClient, auth: OpenidClientAuth | None, name: str, token: str, hint: str
    ) -> None:
        """Ends a token (RFC 7009), where the provider has a way to."""
        if url := self.metadata.endpoints.revocation:
            form = ((name, token), ("token_type_hint", hint))
            await self._post(url, client, auth or client.auth, form, {})

    async def push(self, client: OpenidClient, form: Form) -> str:
        """Leaves the parameters of a login with the provider (RFC 9126); gives what stands for them."""
        url = self._url(self.metadata.endpoints.pushed_authorization, "pushed authorization request")
        reply = await self._post(url, client, client.auth, form, {})
        said = reply.json() if reply.status == 201 else {}
        uri = said.get("request_uri")
        if not isinstance(uri, str):
            raise ProviderError(f"the pushed authorization request endpoint answers {reply.status}")
        return uri

    async def _post(
        self,
        url: str,
        client: OpenidClient,
        auth: OpenidClientAuth | None,
        form: Form,
        headers: Mapping[str, str],
    ) -> Reply:
        shown, own = prove(client, auth or chosen(client, self.metadata), url, self._now)
        return await self._ask(self._question(url, (*form, *shown), {**headers, **own}))

    def _question(self, url: str, form: Form | None, headers: Mapping[str, str]) -> Question:
        settings = self._settings
        return Question(
            url=url,
            form=form,
            headers=headers,
            timeout_ms=settings.timeout_ms,
            ssl_verify=settings.ssl_verify,
        )

    @staticmethod
    def _url(url: str, name: str) -> str:
        if not url:
            raise ProviderError(f"the provider has no {name} endpoint")
        return url


def _refusal(reply: Reply) -> str:
    try:
        code = reply.json().get("error")
    except ProviderError:
        code = None
    known = code if isinstance(code, str) and code.replace("_", "").isalnum() and len(code) < 40 else "no"
    return f"the provider says {known}"


def chosen(client: OpenidClient, metadata: Metadata) -> OpenidClientAuth:
    """How a client shows who it is where its registration is not told."""
    if client.secret is None:
        return OpenidClientAuth.PRIVATE_KEY_JWT if client.jwk is not None else OpenidClientAuth.NONE
    basic, post = OpenidClientAuth.BASIC, OpenidClientAuth.POST
    taken = metadata.auth_methods
    return post if taken and basic.value not in taken and post.value in taken else basic


def prove(
    client: OpenidClient, auth: OpenidClientAuth, audience: str, now: float
) -> tuple[Form, Mapping[str, str]]:
    """(form, headers) by which a client shows who it is."""
    named: Form = (("client_id", client.id),)
    secret = client.secret.reveal_text() if client.secret is not None else ""
    match auth:
        case OpenidClientAuth.NONE:
            return named, {}
        case OpenidClientAuth.POST:
            return (*named, ("client_secret", secret)), {}
        case OpenidClientAuth.BASIC:
            # RFC 6749, 2.3.1: each is a form's value first.
            pair = f"{quote(client.id, safe='')}:{quote(secret, safe='')}"
            return (), {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        case OpenidClientAuth.SECRET_JWT:
            made = _assertion(client, secret, client.algorithm or "HS256", audience, now)
            return (*named, ("client_assertion_type", _ASSERTION), ("client_assertion", made)), {}
        case OpenidClientAuth.PRIVATE_KEY_JWT:
            made = _signed_assertion(client, audience, now)
            return (*named, ("client_assertion_type", _ASSERTION), ("client_assertion", made)), {}
        case _:
            assert_never(auth)


def _signed_assertion(client: OpenidClient, audience: str, now: float) -> str:
    if client.jwk is None:
        raise ProviderError("the client has no key to sign with")
    written = json.loads(client.jwk.reveal_text())
    algorithm = client.algorithm or written.get("alg") or _algorithm(written)
    key = jwt.PyJWK.from_dict(written, algorithm=algorithm).key
    return _assertion(client, key, algorithm, audience, now, kid=written.get("kid"))


def _algorithm(key: Mapping[str, Any]) -> str:
    curves = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
    return {"RSA": "RS256", "OKP": "EdDSA"}.get(key.get("kty", ""), curves.get(key.get("crv", ""), "RS256"))


def _assertion(
    client: OpenidClient, key: Any, algorithm: str, audience: str, now: float, kid: str | None = None
) -> str:
    """A token that only the client can have made (RFC 7523)."""
    claims = {
        "iss": client.id,
        "sub": client.id,
        "aud": audience,
        "jti": secrets.token_urlsafe(16),
        "iat": int(now),
        "exp": int(now) + _ASSERTION_S,
    }
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid} if kid else None)
