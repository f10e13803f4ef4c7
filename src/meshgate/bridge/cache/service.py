"""The cache's gRPC side: what Envoy asks of it, and what the control plane tells it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping

import grpc
import structlog
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb
from google.protobuf.message import DecodeError

from meshgate.bridge.cache import wire
from meshgate.bridge.cache.exchange import Exchange, Go, Then
from meshgate.bridge.cache.given import Given
from meshgate.bridge.cache.store import Selector, Store
from meshgate.core.clock import Clock
from meshgate.model.policies.cached import CacheLimits, ProxyCache
from meshgate.policies.proxy_cache import RULE

MAX_EXCHANGES = 8_000
"""At once; what comes beyond them passes as if there were no cache."""
PROCESSOR = "envoy.service.ext_proc.v3.ExternalProcessor"
CACHE = "meshgate.bridge.v1.Cache"
"""Of ours: `Purge` and `Stats`, in JSON."""

_log = structlog.get_logger("meshgate.bridge")
_Context = grpc.aio.ServicerContext[bytes, bytes]


class CacheService:
    """One store, and the policies of one configuration."""

    def __init__(self, clock: Clock, refresh: Callable[[], bool]) -> None:
        """`refresh` looks for a newer configuration; true where there was one."""
        self.store = Store()
        self._clock, self._refresh = clock, refresh
        self._open = 0
        self._policies: Mapping[str, ProxyCache] = {}

    def replace(self, policies: Mapping[str, ProxyCache], limits: CacheLimits) -> None:
        """Goes by these policies from now on, by their ids."""
        self._policies = policies
        self.store.limit(limits)

    def handlers(self) -> tuple[grpc.GenericRpcHandler[bytes, bytes], ...]:
        """What a server needs to serve it."""
        process = grpc.stream_stream_rpc_method_handler(self.process)
        ours = {
            "Purge": grpc.unary_unary_rpc_method_handler(self.purge),
            "Stats": grpc.unary_unary_rpc_method_handler(self.stats),
        }
        return (
            grpc.method_handlers_generic_handler(PROCESSOR, {"Process": process}),
            grpc.method_handlers_generic_handler(CACHE, ours),
        )

    async def process(self, messages: AsyncIterator[bytes], context: _Context) -> AsyncIterator[bytes]:
        """One request and its answer. The end of the stream means: do as if there were no cache."""
        rule = _rule(context)
        policy = self._policies.get(rule)
        if policy is None and self._refresh():
            # Envoy was quicker than the poll.
            policy = self._policies.get(rule)
        if policy is not None and self._open >= MAX_EXCHANGES:
            return
        if policy is None:
            _log.warning("unknown_cache_rule", rule=rule)
            return
        self._open += 1
        exchange = Exchange(rule, policy, self.store, lambda: self._clock.now().timestamp())
        try:
            async for message in messages:
                phase, said = _step(exchange, pb.ProcessingRequest.FromString(message))
                if isinstance(said, Given):
                    yield wire.given(said)
                    return
                yield wire.passed(said, phase)
                if said.then is Then.NOTHING:
                    return
        except (DecodeError, UnicodeError):
            _log.warning("cache_message_unreadable")
        finally:
            self._open -= 1
            exchange.end()

    async def purge(self, message: bytes, _: _Context) -> bytes:
        """Forgets what a selector, as JSON, means."""
        selector = Selector(**json.loads(message))
        return json.dumps({"purged": self.store.purge(selector.meets)}).encode()

    async def stats(self, _: bytes, __: _Context) -> bytes:
        """What there is, and what happened since the start."""
        store = self.store
        sizes = {"entries": len(store), "bytes": store.bytes, "max_bytes": store.max_bytes}
        return json.dumps({**sizes, **store.counts.as_dict()}).encode()


def _step(exchange: Exchange, message: pb.ProcessingRequest) -> tuple[str, Go | Given]:
    """(which part of the message it was, what becomes of it)"""
    phase = message.WhichOneof("request") or ""
    match phase:
        case "request_headers":
            head = message.request_headers
            return phase, exchange.request(wire.read_request(head), ended=head.end_of_stream)
        case "request_body":
            body = message.request_body
            return phase, exchange.request_body(body.body, whole=body.end_of_stream)
        case "response_headers":
            head = message.response_headers
            headers = wire.read_headers(head)
            status = next((value for name, value in headers if name == ":status"), "0")
            return phase, exchange.response(int(status), headers, ended=head.end_of_stream)
        case "response_body":
            body = message.response_body
            return phase, exchange.response_body(body.body, ended=body.end_of_stream)
        case _:
            raise DecodeError(phase)


def _rule(context: _Context) -> str:
    metadata = context.invocation_metadata() or ()
    return next((str(value) for key, value in metadata if key == RULE), "")
