"""What a policy adds to one route."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from envoy.config.route.v3 import route_components_pb2 as route_pb
from google.protobuf import any_pb2

METADATA_NAMESPACE = "meshgate"
"""Key of a route's metadata that local replies read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteParts:
    """Additions to an Envoy route; parts of several policies merge."""

    filters: Mapping[str, any_pb2.Any] = field(default_factory=dict)
    """Filter name -> its configuration for the route."""
    rate_limits: tuple[route_pb.RateLimit, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    set_request_headers: tuple[tuple[str, str], ...] = ()
    """On the way to the service, after all filters; values may hold Envoy's `%COMMANDS%`."""
    remove_request_headers: tuple[str, ...] = ()
    path: str = ""
    """Path sent to the service, whatever it was and what else rewrites it; empty: unchanged."""
    host: str = ""
    """The same for the host."""
    own_path: bool = False
    """A filter makes the path that the service gets: nothing else rewrites it."""
    body_limit: int = 0
    """Bytes of a body that a filter may hold back; 0: the listener's own limit."""

    @classmethod
    def merge(cls, parts: Iterable[RouteParts]) -> RouteParts:
        """All of them; the names of filters never collide, for each belongs to one policy."""
        filters: dict[str, any_pb2.Any] = {}
        limits: list[route_pb.RateLimit] = []
        metadata: dict[str, str] = {}
        added: list[tuple[str, str]] = []
        removed: list[str] = []
        path = host = ""
        own_path, body_limit = False, 0
        for part in parts:
            filters.update(part.filters)
            limits.extend(part.rate_limits)
            metadata.update(part.metadata)
            added.extend(part.set_request_headers)
            removed.extend(part.remove_request_headers)
            path, host = part.path or path, part.host or host
            own_path, body_limit = own_path or part.own_path, max(body_limit, part.body_limit)
        return cls(
            filters=filters,
            rate_limits=tuple(limits),
            metadata=metadata,
            set_request_headers=tuple(added),
            remove_request_headers=tuple(removed),
            path=path,
            host=host,
            own_path=own_path,
            body_limit=body_limit,
        )
