"""Questions to the provider whose answers are remembered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Any

from meshgate.bridge.openid.endpoints import Endpoints, Form
from meshgate.bridge.openid.http import asking
from meshgate.bridge.openid.memory import OpenidMemory
from meshgate.bridge.openid.problems import RefusedError
from meshgate.bridge.openid.provider import KnownProvider
from meshgate.bridge.openid.verifying import active
from meshgate.bridge.openid.visit import Visit
from meshgate.bridge.tools import Tools
from meshgate.model.policies.openid import OpenidCaching, OpenidClient, OpenIdConnect

AT = "_at"
"""Member of a remembered answer: when it was given."""
_RENEWED_S = 60.0
"""How long requests with an older cookie get the tokens of a renewal: many providers take a refresh
token once only, and browsers ask for several things at once."""
_EARLY_S = 5.0
"""Tokens are not remembered up to their last moment."""


class Asking:
    """Asks one plugin's provider."""

    def __init__(self, policy: OpenIdConnect, tools: Tools) -> None:
        self._policy, self._tools = policy, tools
        self._memory: OpenidMemory = tools.kept.openid
        self._ask = asking(tools.http)
        self.provider: KnownProvider = self._memory.provider(policy.provider, lambda: self._ask)

    async def endpoints(self, now: float) -> Endpoints:
        """The provider's endpoints. Raises `ProviderError`."""
        return Endpoints(self._policy.provider, self._ask, await self.provider.metadata(), now)

    async def redeem(self, visit: Visit, client: OpenidClient, form: Form) -> Mapping[str, Any]:
        """Tokens for a code, which is good for once."""
        endpoints = await self.endpoints(visit.now)
        return await endpoints.grant(client, form, visit.more(self._policy.token_extra))

    async def grant(self, visit: Visit, client: OpenidClient, form: Form) -> Mapping[str, Any]:
        """Tokens for a credential that may be shown again."""
        more = visit.more(self._policy.token_extra)

        async def make() -> tuple[Mapping[str, Any], float]:
            endpoints = await self.endpoints(visit.now)
            said = await endpoints.grant(client, form, more)
            lasts = said.get("expires_in")
            known = isinstance(lasts, int | float) and not isinstance(lasts, bool)
            holds_s = held_s(self._policy.caching, float(lasts) - _EARLY_S if known and lasts else None)
            return {**said, AT: visit.now}, holds_s if self._policy.caching.tokens else 0

        flat = [text for pair in (*form, *more.form, *more.headers.items()) for text in pair]
        return await self._remembered("grant", client, make, *flat)

    async def renew(self, visit: Visit, client: OpenidClient, token: str) -> Mapping[str, Any]:
        """New tokens for a session."""
        form = (("grant_type", "refresh_token"), ("refresh_token", token))

        async def make() -> tuple[Mapping[str, Any], float]:
            endpoints = await self.endpoints(visit.now)
            said = await endpoints.grant(client, form, visit.more(self._policy.token_extra))
            return {**said, AT: visit.now}, _RENEWED_S

        return await self._remembered("renew", client, make, token)

    async def introspect(self, visit: Visit, client: OpenidClient, token: str) -> Mapping[str, Any]:
        """What the provider says of a token. Raises `RefusedError` where it is not good."""
        settings = self._policy.introspection
        form = ((settings.token_name, token), ("token_type_hint", settings.hint))
        more = visit.more(settings.extra)

        async def make() -> tuple[Mapping[str, Any], float]:
            endpoints = await self.endpoints(visit.now)
            said = await endpoints.introspect(client, settings.auth, form, more)
            ends = said.get("exp")
            known = isinstance(ends, int | float) and not isinstance(ends, bool)
            lasts_s = float(ends) - visit.now if known and ends else None
            if said.get("active") is not True:
                return said, self._policy.caching.negative_s
            return said, held_s(self._policy.caching, lasts_s) if settings.cached else 0

        flat = [text for pair in (*more.form, *more.headers.items()) for text in pair]
        said = await self._remembered("introspect", client, make, token, *flat)
        if not active(said, (await self.provider.metadata()).issuers, visit.now):
            raise RefusedError("the token is not active")
        return said

    async def user_info(self, visit: Visit, token: str, lasts_s: float | None) -> Mapping[str, Any]:
        """What the provider says of the user. Raises `RefusedError` where the token is not good."""
        more = visit.more(self._policy.user_info_extra)

        async def make() -> tuple[Mapping[str, Any], float]:
            endpoints = await self.endpoints(visit.now)
            said = await endpoints.user_info(token, more)
            return said, held_s(self._policy.caching, lasts_s) if self._policy.caching.user_info else 0

        flat = [text for pair in (*more.form, *more.headers.items()) for text in pair]
        return await self._remembered("user info", None, make, token, *flat)

    async def _remembered(
        self,
        kind: str,
        client: OpenidClient | None,
        make: Callable[[], Awaitable[tuple[Mapping[str, Any], float]]],
        *secret: str,
    ) -> Mapping[str, Any]:
        key: Hashable = (kind, self._policy.provider, client, self._memory.digest(*secret))
        return await self._memory.answers.get(key, make)


def held_s(caching: OpenidCaching, lasts_s: float | None) -> float:
    """How long an answer is remembered; never longer than what it is about lasts."""
    wanted = max(caching.default_s if lasts_s is None else lasts_s, caching.least_s)
    if caching.most_s is not None:
        wanted = min(wanted, caching.most_s)
    return max(0.0, wanted if lasts_s is None else min(wanted, lasts_s))
