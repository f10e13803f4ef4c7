"""What an identity provider says of itself: its endpoints and keys, remembered and looked for again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import structlog

from meshgate.bridge.openid.http import Ask, Question
from meshgate.bridge.openid.keys import VerifyingKey, choose, read_key_set
from meshgate.bridge.openid.problems import ProviderError
from meshgate.core.clock import Clock
from meshgate.model.policies.openid import OpenidEndpoints, OpenidProvider

_log = structlog.get_logger("meshgate.bridge")

WELL_KNOWN = "/.well-known/openid-configuration"
FAILED_S = 5.0
"""How long a failure is remembered, where `rediscovery_s` is not shorter."""
STALE_S = 86400.0
"""How long keys count that the provider no longer confirms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The provider as it is used: what discovery tells, under what the plugin says."""

    issuers: frozenset[str]
    """Whose tokens count."""
    issuer: str
    endpoints: OpenidEndpoints
    auth_methods: tuple[str, ...] = ()
    """By which clients may show who they are; empty: it does not say."""
    needs_pushed: bool = False
    says_issuer: bool = False
    """Whether answers to logins name the issuer (RFC 9207)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    metadata: Metadata
    keys: tuple[VerifyingKey, ...]
    since: float


class KnownProvider:
    """One provider; outlives configurations, so that a new one does not ask all again."""

    def __init__(self, settings: OpenidProvider, ask: Callable[[], Ask], clock: Clock) -> None:
        self._settings, self._ask, self._clock = settings, ask, clock
        self._known: _Known | None = None
        self._failed = False
        self._tried: float | None = None
        self._looking: asyncio.Task[None] | None = None

    async def metadata(self) -> Metadata:
        """Its endpoints. Raises `ProviderError` where it was never reached."""
        return (await self._fresh()).metadata

    async def keys(self, kid: str | None, algorithm: str) -> tuple[VerifyingKey, ...]:
        """Keys that may have made a signature; looks for new ones where none fits, but not too often."""
        known = await self._fresh()
        found = choose(known.keys, kid, algorithm)
        if not found and self._may_look():
            await self._look()
            found = choose((self._known or known).keys, kid, algorithm)
        return found

    async def _fresh(self) -> _Known:
        known, now = self._known, self._clock.monotonic()
        if known is None or now - known.since > STALE_S:
            if self._may_look():
                await self._look()
            known = self._known
            if known is None or now - known.since > STALE_S:
                raise ProviderError("the provider has not said what it is")
        elif now - known.since > self._settings.cache_s and self._may_look():
            # What is known still holds; nobody waits for the newer.
            self._start()
        return known

    def _may_look(self) -> bool:
        if self._looking is not None or self._tried is None:
            return True
        pause = self._settings.rediscovery_s
        waits = min(FAILED_S, pause) if self._failed else pause
        return self._clock.monotonic() - self._tried >= waits

    async def _look(self) -> None:
        await asyncio.shield(self._start())

    def _start(self) -> asyncio.Task[None]:
        if self._looking is None:
            self._tried = self._clock.monotonic()
            self._looking = asyncio.create_task(self._discover())
            self._looking.add_done_callback(self._done)
        return self._looking

    def _done(self, task: asyncio.Task[None]) -> None:
        self._looking = None

    async def _discover(self) -> None:
        try:
            metadata = await self._describe()
            keys: list[VerifyingKey] = []
            for url in dict.fromkeys(u for u in (metadata.endpoints.jwks, *self._settings.extra_jwks) if u):
                keys += read_key_set(await self._object(url))
        except ProviderError as problem:
            self._failed = True
            _log.warning("provider_failed", issuer=self._settings.issuer, reason=str(problem))
            return
        self._failed = False
        self._known = _Known(metadata=metadata, keys=tuple(keys), since=self._clock.monotonic())

    async def _describe(self) -> Metadata:
        said: Mapping[str, Any] = {}
        expected = self._settings.issuer.removesuffix(WELL_KNOWN)
        if self._settings.discovers:
            inner = "/.well-known/" in self._settings.issuer
            url = self._settings.issuer if inner else expected.rstrip("/") + WELL_KNOWN
            said = await self._object(url)
        return described(self._settings, expected, said)

    async def _object(self, url: str) -> Mapping[str, Any]:
        settings = self._settings
        headers = {name: value.reveal_text() for name, value in settings.discovery_headers}
        question = Question(
            url=url, headers=headers, timeout_ms=settings.timeout_ms, ssl_verify=settings.ssl_verify
        )
        reply = await self._ask()(question)
        if reply.status != 200:
            raise ProviderError(f"{urlsplit(url).path} answers {reply.status}")
        return reply.json()


def described(settings: OpenidProvider, expected: str, said: Mapping[str, Any]) -> Metadata:
    """What the discovery document and the plugin say together. Raises `ProviderError`."""
    issuer = said.get("issuer", expected)
    if not isinstance(issuer, str):
        raise ProviderError("the discovery document names no issuer")
    other = "/.well-known/" not in expected and issuer.rstrip("/") != expected.rstrip("/")
    if other and not settings.issuers_allowed:
        # Whoever answers for another may hand out tokens in its name.
        raise ProviderError("the discovery document is another issuer's")
    own = settings.endpoints

    def endpoint(configured: str, name: str) -> str:
        found = configured or said.get(name)
        if not isinstance(found, str) or not found:
            return ""
        if urlsplit(found).scheme not in ("https", urlsplit(settings.issuer).scheme) and not configured:
            raise ProviderError(f"{name} is less secure than the issuer")
        return found

    methods = said.get("token_endpoint_auth_methods_supported")
    return Metadata(
        issuer=issuer,
        issuers=frozenset(settings.issuers_allowed or (issuer,)),
        endpoints=OpenidEndpoints(
            authorization=endpoint(own.authorization, "authorization_endpoint"),
            token=endpoint(own.token, "token_endpoint"),
            userinfo=endpoint(own.userinfo, "userinfo_endpoint"),
            introspection=endpoint(own.introspection, "introspection_endpoint"),
            revocation=endpoint(own.revocation, "revocation_endpoint"),
            end_session=endpoint(own.end_session, "end_session_endpoint"),
            pushed_authorization=endpoint(own.pushed_authorization, "pushed_authorization_request_endpoint"),
            jwks=endpoint(own.jwks, "jwks_uri"),
        ),
        auth_methods=tuple(m for m in methods if isinstance(m, str)) if isinstance(methods, list) else (),
        needs_pushed=said.get("require_pushed_authorization_requests") is True,
        says_issuer=said.get("authorization_response_iss_parameter_supported") is True,
    )
