"""The gRPC side: what Envoy asks, on a Unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import grpc
import structlog
from google.protobuf.message import DecodeError

from meshgate.bridge import wire
from meshgate.bridge.cache.service import CacheService
from meshgate.bridge.checks import make_steps
from meshgate.bridge.config import BridgeConfig, parse_config
from meshgate.bridge.deciding import Step, decide
from meshgate.bridge.log_service import METHOD, LogService
from meshgate.bridge.log_service import SERVICE as ACCESS_LOG
from meshgate.bridge.request import Allow, Deny, Identity, Request, failed
from meshgate.bridge.tools import Directory, Kept, Tools
from meshgate.core.clock import Clock
from meshgate.core.retiring import Retiring
from meshgate.model.policies.bridged import Bridged
from meshgate.stores.settings_file import SettingsWatch

AUTHORIZATION = "envoy.service.auth.v3.Authorization"
MAX_CONCURRENT = 10_000
"""Calls at once; one more is refused with RESOURCE_EXHAUSTED."""
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
MAX_CONNECTIONS_TO_ONE = 100
"""Connections to one server (provider, policy agent); who finds them busy waits up to its deadline."""
KEEP_REPLACED_S = 3600.0
"""How long an Envoy that has not got its newest configuration is answered by the rules of the last."""
STOP_GRACE_S = 3.0
"""How long calls in flight may take when the bridge stops."""

_OPTIONS = (
    # Envoy keeps its connection alive with pings, which gRPC would take for abuse after two.
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
)
_log = structlog.get_logger("meshgate.bridge")
_Context = grpc.aio.ServicerContext[bytes, bytes]

MakeSteps = Callable[[Sequence[Bridged], Tools], tuple[Step, ...]]
"""Makes the steps of one rule."""


class Bridge:
    """The newest configuration, and the answers by it."""

    def __init__(self, clock: Clock, make: MakeSteps, state: Path | None = None) -> None:
        self._clock, self._make = clock, make
        self._kept = Kept(clock, self.session, state)
        self._session: aiohttp.ClientSession | None = None
        self._policies: Retiring[tuple[Bridged, ...]] = Retiring(clock, KEEP_REPLACED_S)
        self._rules: Mapping[str, tuple[Step, ...]] = {}
        self._directory = Directory(())
        self.logs = LogService(clock, lambda: self.refresh())
        self.refresh: Callable[[], bool] = lambda: False
        """Looks for a newer configuration; true where there was one."""
        self.cache = CacheService(clock, lambda: self.refresh())

    def replace(self, config: BridgeConfig) -> None:
        """Answers by this configuration from now on."""
        self._directory = Directory(config.consumers)
        tools = Tools(
            directory=self._directory,
            clock=self._clock,
            http=self.session,
            kept=self._kept,
            places=config.places,
        )
        # Replaced ones are made anew too: who is a consumer no more is none by them either.
        known = self._policies.replace(config.rules)
        self._rules = {rule: self._make(policies, tools) for rule, policies in known.items()}
        self.cache.replace(config.caches, config.cache_limits)
        self.logs.replace(config, self._directory)

    def session(self) -> aiohttp.ClientSession:
        """The way to other servers, opened at its first use."""
        if self._session is None or self._session.closed:
            # So many to each server, but no bound on all: one that hangs would hold questions to others.
            connector = aiohttp.TCPConnector(limit=0, limit_per_host=MAX_CONNECTIONS_TO_ONE)
            jar = aiohttp.DummyCookieJar()
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=jar)
        return self._session

    async def check(self, message: bytes, context: _Context) -> bytes:
        """Answers `Check`; a rule that is not known refuses."""
        try:
            rule, request = wire.read(message)
        except DecodeError:
            return wire.denied(failed())
        steps = self._rules.get(rule)
        if steps is None and self.refresh():
            # Envoy was quicker than the poll.
            steps = self._rules.get(rule)
        if steps is None:
            _log.warning("unknown_rule", rule=rule)
            return wire.denied(failed())
        match await decide(steps, request, self._known(request)):
            case Allow() as verdict:
                return wire.allowed(verdict)
            case Deny() as verdict:
                return wire.denied(verdict)

    def _known(self, request: Request) -> Identity | None:
        """Who Envoy's own filters say that it is."""
        consumer, credential = wire.known_id(request)
        if not consumer:
            return None
        return Identity(consumer=self._directory.by_id.get(consumer), credential=credential)

    async def close(self) -> None:
        """Ends connections to other servers."""
        await self.logs.close()
        await self._kept.redis.close()
        if self._session is not None:
            await self._session.close()


@asynccontextmanager
async def serving(
    *, config: Path, listen: str, clock: Clock, make: MakeSteps = make_steps
) -> AsyncIterator[SettingsWatch]:
    """Serves while the context is open. `listen`: `unix:PATH` or `ADDRESS:PORT`.

    Raises `SettingsError` where the configuration cannot be read at the start, and
    `RuntimeError` where the address cannot be bound.
    """
    bridge = Bridge(clock, make, config.parent)

    def apply(text: bytes) -> None:
        found = parse_config(text)
        bridge.replace(found)
        _log.info("configuration_loaded", rules=len(found.rules), consumers=len(found.consumers))

    watch = SettingsWatch(config, apply)
    watch.load()
    bridge.refresh = watch.refresh
    server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=MAX_CONCURRENT)
    check = grpc.unary_unary_rpc_method_handler(bridge.check)
    authorization = grpc.method_handlers_generic_handler(AUTHORIZATION, {"Check": check})
    server.add_generic_rpc_handlers((authorization, *bridge.cache.handlers()))
    log = grpc.stream_unary_rpc_method_handler(bridge.logs.stream)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(ACCESS_LOG, {METHOD: log}),))
    server.add_insecure_port(listen)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(bridge.close)
        await server.start()
        stack.push_async_callback(server.stop, STOP_GRACE_S)
        following = asyncio.create_task(watch.run())
        stack.callback(following.cancel)
        yield watch
