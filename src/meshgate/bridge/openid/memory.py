"""What outlives a configuration: providers that were asked, and their answers."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from meshgate.bridge.openid.expiring import Expiring
from meshgate.bridge.openid.http import Ask
from meshgate.bridge.openid.provider import KnownProvider
from meshgate.core.clock import Clock
from meshgate.core.secret import Secret
from meshgate.model.policies.openid import OpenidProvider

MOST_PROVIDERS = 1000
MOST_ANSWERS = 20_000


class OpenidMemory:
    """Kept in `Tools`; holds tokens, in the memory of this process alone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._providers: OrderedDict[OpenidProvider, KnownProvider] = OrderedDict()
        self._salt = secrets.token_bytes(32)
        self.secret = Secret(secrets.token_bytes(32))
        """Seals sessions where no secret is configured: they end with the process."""
        self.answers: Expiring[Mapping[str, Any]] = Expiring(clock, MOST_ANSWERS)

    def provider(self, settings: OpenidProvider, ask: Callable[[], Ask]) -> KnownProvider:
        """The one that these settings lead to."""
        found = self._providers.get(settings)
        if found is None:
            found = self._providers[settings] = KnownProvider(settings, ask, self._clock)
        self._providers.move_to_end(settings)
        while len(self._providers) > MOST_PROVIDERS:
            self._providers.popitem(last=False)
        return found

    def digest(self, *secret: str) -> bytes:
        """Stands for a credential among the keys of `answers`, without being one."""
        return hmac.digest(self._salt, "\0".join(secret).encode(), hashlib.sha256)
