"""Kong's `rate-limiting` with `policy: local` in our own filter: fixed windows of the calendar.

Kong 3.9's counting and headers. All rules of a route are one setting; what is counted stays
when rules change, for a rule's name does.
"""

from __future__ import annotations

from collections.abc import Iterator

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policy import Limits, LimitStore, RateLimit
from meshgate.policies.native import filter_settings, route_settings
from meshgate.policies.packing import http_filter
from meshgate.policies.parts import RouteParts
from meshgate.policies.rate_limit_local import SECONDS, reply_metadata

FILTER = "meshgate.limits"
_NO_LIMIT = -1


def listener_filters(policies: tuple[RateLimit, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter where any rule is counted in the gateway; off until a route says what it counts."""
    if not any(p.store is LimitStore.LOCAL for p in policies):
        return ()
    return (http_filter(FILTER, filter_settings("limits"), disabled=True),)


def route_parts(policies: tuple[RateLimit, ...]) -> RouteParts:
    """What a route counts."""
    if not _local(policies):
        return RouteParts()
    return RouteParts(filters={FILTER: route_settings("limits", rules(policies))}, metadata=replies(policies))


def rules(policies: tuple[RateLimit, ...]) -> list[str | int]:
    """The limits that the gateway counts for itself, as the filter reads them."""
    local = _local(policies)
    return [len(local), *(value for policy in local for value in _rule(policy))]


def replies(policies: tuple[RateLimit, ...]) -> dict[str, str]:
    """What their refusals say, for the gateway's local replies."""
    local = _local(policies)
    return reply_metadata(local[-1]) if local else {}


def _local(policies: tuple[RateLimit, ...]) -> list[RateLimit]:
    return [p for p in policies if p.store is LimitStore.LOCAL]


def _rule(policy: RateLimit) -> Iterator[str | int]:
    yield policy.rule_id
    yield policy.limit_by.value
    yield policy.header_name.lower() or policy.path
    yield policy.error_code
    yield _grpc_message(policy.error_message)
    yield int(policy.hide_client_headers)
    yield from _windows(policy.limits)
    yield len(policy.consumer_limits)
    for exception in policy.consumer_limits:
        yield exception.consumer_id
        yield from _windows(exception.limits)


def _grpc_message(text: str) -> str:
    """As gRPC writes it into a header: bytes that are no printable ASCII, and `%`, as %XX."""
    return "".join(chr(b) if 0x20 <= b < 0x7F and b != 0x25 else f"%{b:02X}" for b in text.encode())


def _windows(limits: Limits) -> Iterator[int]:
    found = dict(limits.windows())
    return (found.get(name, _NO_LIMIT) for name in SECONDS)
