"""What checks are made with: who there is, the time, and the way to other servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import aiohttp

from meshgate.bridge.logins import Logins
from meshgate.bridge.oauth.store import TokenStore
from meshgate.bridge.openid.memory import OpenidMemory
from meshgate.bridge.revocation import Revocations
from meshgate.bridge.session_store import RedisClients
from meshgate.bridge.sessions import Sessions
from meshgate.core.clock import Clock
from meshgate.model.consumer import Consumer
from meshgate.model.service import EMPTY


class Directory:
    """The consumers of one configuration, by what they are found by."""

    def __init__(self, consumers: tuple[Consumer, ...]) -> None:
        self.consumers = consumers

    @cached_property
    def by_id(self) -> dict[str, Consumer]:
        """By id."""
        return {consumer.id: consumer for consumer in self.consumers}

    @cached_property
    def by_name(self) -> dict[str, Consumer]:
        """By username; of two with the same one, the first."""
        return {c.username: c for c in reversed(self.consumers) if c.username}

    @cached_property
    def by_custom_id(self) -> dict[str, Consumer]:
        """By custom id; of two with the same one, the first."""
        return {c.custom_id: c for c in reversed(self.consumers) if c.custom_id}


class Kept:
    """What outlives a configuration."""

    def __init__(
        self, clock: Clock, http: Callable[[], aiohttp.ClientSession], state: Path | None = None
    ) -> None:
        self._state = state
        self.openid = OpenidMemory(clock)
        self.revocations = Revocations(clock, http)
        self.logins = Logins(clock)
        self.sessions = Sessions(clock, state)
        self.redis = RedisClients()

    @cached_property
    def oauth_tokens(self) -> TokenStore:
        """What `oauth2` handed out; the file is made at its first use."""
        return TokenStore(self._state / "oauth2.db" if self._state is not None else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Handed to each check when it is made, which is anew for each configuration.

    What must outlive a configuration (caches, connections) belongs into `Kept` and not into a check.
    """

    directory: Directory
    clock: Clock
    http: Callable[[], aiohttp.ClientSession]
    """The one session to other servers; a check gives each of its requests a deadline."""
    kept: Kept
    places: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    """`host:port` of a service of ours -> `address:port` where it answers."""
