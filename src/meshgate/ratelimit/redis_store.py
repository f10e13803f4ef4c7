"""Counters in Redis, exact across gateways.

Concurrent requests are checked together: while one call is on its way, the next ones gather
and go out in a single call of one Lua script. Redis runs a script as one step, so that the
windows of a request are counted all or none, whoever else is counting.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from meshgate.model.policy import RedisTarget
from meshgate.ratelimit.counters import Counter, StoreUnavailable, Taken
from meshgate.stores.redis_client import connect

MAX_BATCH = 128
"""Requests per call: keeps Redis busy for well under a millisecond at a time."""
MAX_WAITING = 8192
"""Requests that may wait for Redis; one more fails at once."""
EXPIRY_SLACK_S = 60
"""How long a counter outlives its window, for gateways whose clocks differ."""
LINGER_S, _BUSY_REQUESTS, _BUSY_S = 0.001, 32, 0.032
"""Under load (the last 32 requests came within 32 ms) a call waits this long for company.

Measured through Envoy at 50 connections: 4.2 k requests/s without, 5.9 k with, since a call
costs this process far more than a request in it does.
"""
_PROBE_FIRST_S, _PROBE_MOST_S = 0.05, 1.0

# KEYS: all counters. ARGV: per request how many counters it has, what it counts, and per counter
# its limit and seconds to live. Answers one line: `;` between requests, each `accepted used used ...`.
_SCRIPT = """
local out, key, arg = {}, 1, 1
while arg <= #ARGV do
  local count, by = tonumber(ARGV[arg]), ARGV[arg + 1]
  local line, accepted = {'1'}, true
  for i = 0, count - 1 do
    local used = redis.call('GET', KEYS[key + i]) or '0'
    line[i + 2] = used
    if tonumber(used) >= tonumber(ARGV[arg + 2 + 2 * i]) then accepted = false end
  end
  if accepted and by ~= '0' then
    for i = 0, count - 1 do
      if redis.call('INCRBY', KEYS[key + i], by) == tonumber(by) then
        redis.call('EXPIRE', KEYS[key + i], ARGV[arg + 3 + 2 * i])
      end
    end
  elseif not accepted then
    line[1] = '0'
  end
  out[#out + 1] = table.concat(line, ' ')
  key, arg = key + count, arg + 2 + 2 * count
end
return {ok = table.concat(out, ';')}
"""

_log = structlog.get_logger("meshgate.ratelimit")


@dataclass(frozen=True, slots=True)
class _Waiting:
    counters: tuple[Counter, ...]
    outcome: asyncio.Future[Taken]
    deadline: float
    """Loop time by which the outcome must be known."""
    now: float
    by: int


class RedisStore:
    """Counts in one Redis database. `run()` must be running for `take()` to get an answer.

    After a failure everybody is told at once that Redis is away, without asking it, until a
    probe in the background (one connection, growing pauses up to a second) has counted again.
    """

    def __init__(self, target: RedisTarget) -> None:
        self._target = target
        self._client = connect(target)
        self._script = self._client.register_script(_SCRIPT)
        self._waiting: deque[_Waiting] = deque()
        self._arrivals: deque[float] = deque(maxlen=_BUSY_REQUESTS)
        self._wake = asyncio.Event()
        self._available = True

    @property
    def available(self) -> bool:
        """Whether Redis answered when it was last asked."""
        return self._available

    async def take(self, counters: tuple[Counter, ...], now: float, by: int = 1) -> Taken:
        """Counts one request in all `counters`, or in none where one of them is full.

        `now`: epoch seconds; `by`: what it counts, 0 only looks. Answers within the target's
        timeout; raises `StoreUnavailable`.
        """
        if not self._available:
            raise StoreUnavailable("the counter store is not available")
        if len(self._waiting) >= MAX_WAITING:
            raise StoreUnavailable("too many requests wait for the counter store")
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Taken] = loop.create_future()
        arrival = loop.time()
        self._arrivals.append(arrival)
        deadline = arrival + self._target.timeout_ms / 1000
        self._waiting.append(_Waiting(counters, outcome, deadline, now, by))
        self._wake.set()
        return await outcome

    async def run(self) -> None:
        """Carries waiting requests to Redis until cancelled; then fails the rest and disconnects."""
        try:
            while True:
                if not self._available:
                    await self._probe()
                await self._wake.wait()
                self._wake.clear()
                while self._available and self._waiting:
                    if self._busy():
                        await asyncio.sleep(LINGER_S)
                    if batch := self._next_batch():
                        await self._count(batch)
        finally:
            self._available = False
            self._fail(self._waiting)
            self._waiting.clear()
            await self._client.aclose()
            await self._client.connection_pool.disconnect()  # aclose leaves a pool that it was given

    def _busy(self) -> bool:
        arrivals = self._arrivals
        full = len(arrivals) == _BUSY_REQUESTS
        return full and asyncio.get_running_loop().time() - arrivals[0] < _BUSY_S

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < MAX_BATCH:
            waiting = self._waiting.popleft()
            if not waiting.outcome.done():  # who gave up meanwhile is not counted
                batch.append(waiting)
        return batch

    async def _count(self, batch: list[_Waiting]) -> None:
        try:
            async with asyncio.timeout_at(min(waiting.deadline for waiting in batch)):
                outcomes = await self._call([(one.counters, one.now, one.by) for one in batch])
        except (RedisError, OSError, ValueError) as error:
            self._available = False
            self._fail([*batch, *self._waiting])
            self._waiting.clear()
            # The class alone: what Redis says about a failed login is nobody else's business.
            _log.warning("redis_unavailable", **self._address(), error=type(error).__name__)
            return
        except asyncio.CancelledError:
            self._fail(batch)
            raise
        for waiting, taken in zip(batch, outcomes, strict=True):
            if not waiting.outcome.done():
                waiting.outcome.set_result(taken)

    async def _call(self, requests: list[tuple[tuple[Counter, ...], float, int]]) -> list[Taken]:
        keys: list[str] = []
        arguments: list[int] = []
        for counters, now, by in requests:
            arguments += (len(counters), by)
            for counter in counters:
                keys.append(counter.key)
                arguments += (counter.limit, max(1, counter.ends - int(now)) + EXPIRY_SLACK_S)
        reply = await self._script(keys=keys, args=arguments)
        lines = [line.split() for line in reply.decode("ascii").split(";")]
        return [Taken(line[0] == "1", tuple(map(int, line[1:]))) for line in lines]

    async def _probe(self) -> None:
        """Returns once Redis counts again (a PING would not notice a full or read-only one)."""
        pause = _PROBE_FIRST_S
        probe = Counter(key="meshgate:rl:probe", limit=2**53, ends=0)
        while True:
            with contextlib.suppress(RedisError, OSError):  # a reply to an old call may still come there
                await self._client.connection_pool.disconnect()
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, _PROBE_MOST_S)
            try:
                async with asyncio.timeout(self._target.timeout_ms / 1000):
                    await self._call([((probe,), 0.0, 1)])
            except (RedisError, OSError, ValueError):
                continue
            self._available = True
            _log.info("redis_available", **self._address())
            return

    @staticmethod
    def _fail(waiting: Iterable[_Waiting]) -> None:
        for one in waiting:
            if not one.outcome.done():
                one.outcome.set_exception(StoreUnavailable("the counter store is not available"))

    def _address(self) -> dict[str, str | int]:
        return {"host": self._target.host, "port": self._target.port}
