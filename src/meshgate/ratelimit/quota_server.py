"""The gRPC side of quotas: `envoy.service.rate_limit_quota.v3.RateLimitQuotaService` (RLQS).

Oddities of Envoy 1.40 that shape it: reports come every 5 s whatever `reporting_interval` says;
of a lease's time to live only whole seconds count; a token bucket is replaced only where a
number of it differs, so each new lease has other nanoseconds in its (endless) fill interval.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import grpc
from envoy.service.rate_limit_quota.v3 import rlqs_pb2
from envoy.type.v3 import ratelimit_strategy_pb2
from google.protobuf.message import DecodeError

from meshgate.core.clock import Clock
from meshgate.model.policy import RateLimit
from meshgate.ratelimit.quota import Lease
from meshgate.ratelimit.quota_book import LEASE_S, BucketKey, Orders, QuotaBook, Usage
from meshgate.ratelimit.windows import Calendar

QUOTA_SERVICE = "envoy.service.rate_limit_quota.v3.RateLimitQuotaService"
_ENDLESS_S = 365 * 86400
"""Of a fill interval: Envoy's slowest bucket gets one token a year."""
_DENY_ALL = ratelimit_strategy_pb2.RateLimitStrategy.DENY_ALL

_Context = grpc.aio.ServicerContext[bytes, bytes]


class _Outbox:
    """What one gateway is to be told next; of each bucket the newest alone."""

    def __init__(self) -> None:
        self._orders: dict[BucketKey, Lease | None] = {}
        self._wake = asyncio.Event()

    def put(self, orders: Mapping[BucketKey, Lease | None]) -> None:
        self._orders.update(orders)
        self._wake.set()

    async def next(self) -> dict[BucketKey, Lease | None]:
        await self._wake.wait()
        self._wake.clear()
        orders, self._orders = self._orders, {}
        return orders


class QuotaServer:
    """Keeps the streams of all gateways. Lives on one event loop."""

    def __init__(self, clock: Clock, refresh: Callable[[], object]) -> None:
        """`refresh` looks for rules that have come just now."""
        self._clock = clock
        self._refresh = refresh
        self._book = QuotaBook()
        self._calendar = Calendar()
        self._outboxes: dict[str, _Outbox] = {}

    def replace_rules(self, rules: Mapping[str, RateLimit]) -> None:
        """Counts by these rules from now on."""
        self._book.replace_rules(rules)

    def handler(self) -> grpc.GenericRpcHandler[bytes, bytes]:
        """What the gRPC server needs."""
        method = grpc.stream_stream_rpc_method_handler(self._stream)
        return grpc.method_handlers_generic_handler(QUOTA_SERVICE, {"StreamRateLimitQuotas": method})

    async def run(self) -> None:
        """Begins windows anew when it is time, until cancelled."""
        while True:
            moment = self._clock.now()
            # Just behind the full second, when all windows of that second have begun.
            await asyncio.sleep(1.001 - moment.microsecond / 1_000_000)
            now = self._clock.now()
            self._tell(self._book.roll(self._clock.monotonic(), self._calendar.spans(now)))

    async def _stream(self, reports: AsyncIterator[bytes], context: _Context) -> None:
        gateway, outbox = self._book.join(), _Outbox()
        self._outboxes[gateway] = outbox
        try:
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(self._write(outbox, context))
                async for message in reports:
                    self._take(gateway, message)
                writing.cancel()
        except* DecodeError:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not a report")
        finally:
            del self._outboxes[gateway]
            self._book.leave(gateway, self._clock.monotonic())

    def _take(self, gateway: str, message: bytes) -> None:
        reports = rlqs_pb2.RateLimitQuotaUsageReports.FromString(message)
        usages = [
            Usage(frozenset(u.bucket_id.bucket.items()), u.num_requests_allowed, u.num_requests_denied)
            for u in reports.bucket_quota_usages
        ]
        if not all(self._book.knows(usage.bucket) for usage in usages):
            self._refresh()  # Envoy was quicker than the poll
        spans = self._calendar.spans(self._clock.now())
        self._tell(self._book.report(gateway, usages, self._clock.monotonic(), spans))

    def _tell(self, orders: Orders) -> None:
        for gateway, its in orders.of.items():
            if gateway in self._outboxes:
                self._outboxes[gateway].put(its)

    @staticmethod
    async def _write(outbox: _Outbox, context: _Context) -> None:
        while True:
            orders = await outbox.next()
            if orders:
                await context.write(encode(orders))


def encode(orders: Mapping[BucketKey, Lease | None]) -> bytes:
    """The serialised `RateLimitQuotaResponse`."""
    response = rlqs_pb2.RateLimitQuotaResponse()
    for bucket, lease in orders.items():
        action = response.bucket_action.add()
        action.bucket_id.bucket.update(dict(bucket))
        if lease is None:
            action.abandon_action.SetInParent()
            continue
        assignment = action.quota_assignment_action
        assignment.assignment_time_to_live.seconds = LEASE_S
        if not lease.requests:
            assignment.rate_limit_strategy.blanket_rule = _DENY_ALL
            continue
        tokens = assignment.rate_limit_strategy.token_bucket
        tokens.max_tokens = lease.requests
        tokens.tokens_per_fill.value = 1
        tokens.fill_interval.seconds = _ENDLESS_S
        tokens.fill_interval.nanos = lease.number % 1_000_000_000
    message: bytes = response.SerializeToString()
    return message
