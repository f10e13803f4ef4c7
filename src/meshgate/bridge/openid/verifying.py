"""Makes evidence of tokens: each is verified before what it says counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from meshgate.bridge.openid.evidence import Evidence, Tokens
from meshgate.bridge.openid.problems import ProviderError, RefusedError
from meshgate.bridge.openid.provider import KnownProvider
from meshgate.bridge.openid.tokens import (
    Claims,
    Expected,
    looks_signed,
    parse,
    verify_access_hash,
    verify_claims,
    verify_signature,
)
from meshgate.model.policies.openid import OpenidClient, OpenIdConnect, OpenidMethod


class Verifier:
    """Verifies tokens of one plugin's provider."""

    def __init__(self, policy: OpenIdConnect, provider: KnownProvider) -> None:
        self._policy, self._provider = policy, provider
        secrets = [c.secret.reveal() for c in policy.clients if c.secret is not None]
        self._secrets = tuple(secrets) if policy.demands.shared_secret_signatures else ()

    async def signed(self, token: str, expected: Expected, now: float) -> Claims:
        """The claims of a token that is good now. Raises `RefusedError`."""
        claims = await self.signature(token)
        verify_claims(claims, expected, now)
        return claims

    async def signature(self, token: str) -> Claims:
        """The claims of a token that is or was good."""
        found = parse(token)
        shared = found.algorithm.startswith("HS")
        keys = () if shared else await self._provider.keys(found.kid, found.algorithm)
        return verify_signature(found, keys, self._secrets)

    async def expected(self) -> Expected:
        """What every token of the provider must be."""
        metadata = await self._provider.metadata()
        return Expected(issuers=metadata.issuers, leeway_s=self._policy.demands.leeway_s)

    async def granted(
        self,
        method: OpenidMethod,
        client: OpenidClient,
        answer: Mapping[str, Any],
        now: float,
        *,
        nonce: str | None = None,
        before: Tokens | None = None,
    ) -> Evidence:
        """What the token endpoint's answer proves; `before`: the tokens that it renews."""
        tokens = read_tokens(answer, now, before)
        login = method is OpenidMethod.AUTHORIZATION_CODE
        id_claims: Claims | None = None
        if isinstance(answer.get("id_token"), str):
            expected = replace(
                await self.expected(),
                audience=client.id,
                nonce=nonce,
                max_age_s=self._policy.login.max_age_s if login and before is None else None,
            )
            id_claims = await self.signed(tokens.id, expected, now)
            if tokens.access:
                verify_access_hash(id_claims, parse(tokens.id).algorithm, tokens.access)
            if before is not None and before.id and id_claims.get("sub") != self.said(before.id).get("sub"):
                raise RefusedError("the provider renews somebody else's login")
        elif before is not None and before.id:
            id_claims = self.said(before.id)
        elif login and "openid" in self._policy.login.scopes:
            raise RefusedError("the provider gives no ID token")
        if not tokens.access and not tokens.id:
            raise ProviderError("the token endpoint gives no token")
        access_claims = await self._access(tokens.access, now)
        if not tokens.expires_at and access_claims is not None:
            tokens = replace(tokens, expires_at=float(access_claims["exp"]))
        return Evidence(
            method=method,
            tokens=tokens,
            client=client,
            id_claims=id_claims,
            access_claims=access_claims,
            answer=answer,
        )

    async def _access(self, token: str, now: float) -> Claims | None:
        """What an access token that the provider gave says; one that is for others to read says nothing."""
        if not looks_signed(token):
            return None
        try:
            return await self.signed(token, await self.expected(), now)
        except RefusedError:
            return None

    @staticmethod
    def said(token: str) -> Claims:
        """What a token says that was verified before it was sealed."""
        return parse(token).claims


def read_tokens(answer: Mapping[str, Any], now: float, before: Tokens | None = None) -> Tokens:
    """The tokens of an answer of the token endpoint; those that it leaves out stay as they were."""
    old = before or Tokens()
    lasts = answer.get("expires_in")
    if isinstance(lasts, str) and lasts.isascii() and lasts.isdigit():
        lasts = int(lasts)
    known = isinstance(lasts, int | float) and not isinstance(lasts, bool) and 0 <= lasts < 2**40
    return Tokens(
        access=_text(answer, "access_token"),
        id=_text(answer, "id_token") or old.id,
        refresh=_text(answer, "refresh_token") or old.refresh,
        expires_at=now + float(lasts) if known and lasts is not None else 0,
        scope=_text(answer, "scope") or old.scope,
    )


def _text(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    return value if isinstance(value, str) else ""


def active(claims: Mapping[str, Any], issuers: Sequence[str] | frozenset[str], now: float) -> bool:
    """Whether an introspected token (RFC 7662) counts now."""
    if claims.get("active") is not True or claims.get("iss", next(iter(issuers))) not in issuers:
        return False
    ends, begins = claims.get("exp", now + 1), claims.get("nbf", now)
    return isinstance(ends, int | float) and isinstance(begins, int | float) and begins <= now < ends
