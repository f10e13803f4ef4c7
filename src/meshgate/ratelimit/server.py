"""The gRPC side, on a Unix socket or a loopback port: Envoy's `RateLimitService` (RLS), and quotas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import structlog

from meshgate.core.clock import Clock
from meshgate.ratelimit.counters import StoreUnavailable
from meshgate.ratelimit.descriptors import MalformedRequest
from meshgate.ratelimit.limiter import Limiter, UnknownRuleError
from meshgate.ratelimit.quota_server import QuotaServer
from meshgate.ratelimit.response_limits import ResponseLimiter
from meshgate.ratelimit.response_server import ResponseServer
from meshgate.ratelimit.rules_file import parse, parse_responses
from meshgate.ratelimit.stores import RedisStores
from meshgate.stores.settings_file import SettingsWatch

SERVICE = "envoy.service.ratelimit.v3.RateLimitService"
MAX_CONCURRENT = 10_000
"""Calls at once; one more is refused with RESOURCE_EXHAUSTED."""
STOP_GRACE_S = 3.0
"""How long calls in flight may take when the service stops."""

_OPTIONS = (
    # Envoy keeps its connection alive with pings, which gRPC would take for abuse after two.
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.so_reuseport", 0),
    # A report of quotas holds all of a gateway's buckets; one of 10,000 has about 1.5 MB.
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
)

_log = structlog.get_logger("meshgate.ratelimit")

_Context = grpc.aio.ServicerContext[bytes, bytes]


class _Handler:
    """Answers `ShouldRateLimit` with bytes as they come and go."""

    def __init__(self, limiter: Limiter, watch: SettingsWatch) -> None:
        self._limiter = limiter
        self._watch = watch
        self._complained: set[str] = set()

    async def should_rate_limit(self, message: bytes, context: _Context) -> bytes:
        try:
            try:
                return await self._limiter.decide(message)
            except UnknownRuleError:
                # Envoy was quicker than the poll: look now, then decide once more.
                self._watch.refresh()
                return await self._limiter.decide(message)
        except StoreUnavailable as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        except UnknownRuleError as error:
            self._complain(str(error.args[0]))
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no such rule")
        except MalformedRequest as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        raise AssertionError("abort returned")

    def _complain(self, rule: str) -> None:
        """Logs an unknown rule once, however many requests name it."""
        if rule not in self._complained and len(self._complained) < 1000:
            self._complained.add(rule)
            _log.warning("unknown_rule", rule=rule)


@asynccontextmanager
async def serving(*, rules: Path, listen: str, clock: Clock) -> AsyncIterator[SettingsWatch]:
    """Serves while the context is open. `listen`: `unix:PATH` or `ADDRESS:PORT`.

    Raises, in an exception group, `SettingsError` where the rules cannot be read at
    the start, and `RuntimeError` where the address cannot be bound.
    """
    async with asyncio.TaskGroup() as tasks:
        stores = RedisStores(tasks)
        limiter = Limiter(clock=clock, stores=stores)
        quotas = QuotaServer(clock, lambda: watch.refresh())

        responses = ResponseLimiter(clock=clock, stores=stores, tasks=tasks)

        def apply(text: bytes) -> None:
            found, costs = parse(text), parse_responses(text)
            responses.replace_rules(costs)
            limiter.replace_rules(found, responses.targets())
            quotas.replace_rules(found)
            _log.info("rules_loaded", rules=len(found) + len(costs))

        watch = SettingsWatch(rules, apply)
        watch.load()
        more = (quotas.handler(), ResponseServer(responses, watch.refresh).handler())
        server = _make_server(_Handler(limiter, watch), more, listen)
        await server.start()
        background = (tasks.create_task(watch.run()), tasks.create_task(quotas.run()))
        try:
            yield watch
        finally:
            await server.stop(STOP_GRACE_S)
            for task in background:
                task.cancel()
            stores.keep(())


def _make_server(
    handler: _Handler, more: tuple[grpc.GenericRpcHandler[bytes, bytes], ...], listen: str
) -> grpc.aio.Server:
    server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=MAX_CONCURRENT)
    method = grpc.unary_unary_rpc_method_handler(handler.should_rate_limit)
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(SERVICE, {"ShouldRateLimit": method}),
            *more,
        )
    )
    server.add_insecure_port(listen)
    return server
