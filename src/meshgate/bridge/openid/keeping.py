"""Sessions that a request brings: read, renewed with the provider, and written again."""

from __future__ import annotations

from dataclasses import replace

from meshgate.bridge.openid.asking import AT, Asking
from meshgate.bridge.openid.evidence import Evidence
from meshgate.bridge.openid.problems import ProviderError, RefusedError
from meshgate.bridge.openid.session import Held, Sessions, touched
from meshgate.bridge.openid.verifying import Verifier
from meshgate.bridge.openid.visit import Visit
from meshgate.bridge.session_cookie import Age, Times
from meshgate.model.policies.openid import OpenidClient, OpenIdConnect

SOON_S = 10.0
"""An access token that ends so soon is renewed, so that it does not end on its way."""


class Keeping:
    """Answers by a session."""

    def __init__(self, policy: OpenIdConnect, asking: Asking, verifier: Verifier, sessions: Sessions) -> None:
        self._policy, self._asking = policy, asking
        self._verifier, self._sessions = verifier, sessions

    @staticmethod
    def begun(visit: Visit, evidence: Evidence) -> Held:
        """A new session; nothing of an older one becomes part of it."""
        return Held(
            method=evidence.method,
            client_id=evidence.client.id if evidence.client is not None else "",
            tokens=evidence.tokens,
            access_verified=evidence.access_claims is not None,
            times=Times.starting(visit.now),
        )

    async def find(self, visit: Visit) -> Evidence | None:
        """What the request's session proves; None where there is none that still counts."""
        found = await self._sessions.read(visit.request, visit.now)
        if found is None:
            return None
        held, age = found
        client = next((c for c in self._policy.clients if c.id == held.client_id), None)
        if client is None or held.method not in self._policy.methods:
            return None
        try:
            held, evidence = await self._renewed(visit, held, client)
            if self._policy.session.reverify:
                await self._verified_again(held)
        except RefusedError:
            visit.cookies += await self._sessions.forget(visit.request)
            return None
        if evidence is not None or age is not Age.FRESH:
            held = touched(held, age, visit.now)
            visit.cookies += await self._sessions.store(visit.request, held, visit.now)
        return evidence or self._evidence(held, client)

    def _evidence(self, held: Held, client: OpenidClient) -> Evidence:
        tokens = held.tokens
        return Evidence(
            method=held.method,
            tokens=tokens,
            client=client,
            id_claims=self._verifier.said(tokens.id) if tokens.id else None,
            access_claims=self._verifier.said(tokens.access) if held.access_verified else None,
        )

    async def _renewed(self, visit: Visit, held: Held, client: OpenidClient) -> tuple[Held, Evidence | None]:
        """The session, with new tokens where the old ones end. Raises `RefusedError` where it is over."""
        tokens, now = held.tokens, visit.now
        if not tokens.expires_at or now < tokens.expires_at - SOON_S:
            return held, None
        good = now < tokens.expires_at + self._policy.demands.leeway_s
        if not tokens.refresh or not self._policy.session.refresh_tokens:
            if good:
                return held, None
            raise RefusedError("the session's token has expired")
        try:
            answer = await self._asking.renew(visit, client, tokens.refresh)
        except ProviderError:
            if good:
                return held, None
            raise
        evidence = await self._verifier.granted(held.method, client, answer, float(answer[AT]), before=tokens)
        renewed = replace(held, tokens=evidence.tokens, access_verified=evidence.access_claims is not None)
        return renewed, evidence

    async def _verified_again(self, held: Held) -> None:
        """An ID token may have ended meanwhile; that somebody made it up, or its key is gone, counts."""
        for token in (held.tokens.id, held.tokens.access if held.access_verified else ""):
            if token:
                await self._verifier.signature(token)
