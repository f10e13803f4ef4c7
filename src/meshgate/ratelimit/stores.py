"""The Redis connections of a service: one store per target, each with its task."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from meshgate.model.policy import LimitStore, RateLimit, RedisTarget
from meshgate.ratelimit.redis_store import RedisStore


def redis_of(rule: RateLimit) -> RedisTarget | None:
    """The Redis that counts for this rule; None where this process does."""
    return rule.redis if rule.store is LimitStore.REDIS else None


class RedisStores:
    """Opens a store when a rule first needs it and closes it when none does."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._open: dict[RedisTarget, tuple[RedisStore, asyncio.Task[None]]] = {}

    def of(self, target: RedisTarget) -> RedisStore:
        """The running store of this target."""
        if target not in self._open:
            store = RedisStore(target)
            self._open[target] = (store, self._tasks.create_task(store.run()))
        return self._open[target][0]

    def keep(self, targets: Iterable[RedisTarget]) -> None:
        """Closes every store but these targets'; requests that wait for one fail."""
        for target in self._open.keys() - set(targets):
            _, task = self._open.pop(target)
            task.cancel()
