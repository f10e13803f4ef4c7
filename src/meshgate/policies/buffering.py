"""Kong's `request-buffering` and `response-buffering`, for bodies that say how long they are.

nginx writes what is too long for its memory to a file; Envoy's filter that would do so is work in
progress (1.40), and its `buffer` refuses what is too long. So bodies that are longer than what other
plugins hold back too pass as they come, and so do those that do not say: streams, gRPC, WebSockets.
"""

from __future__ import annotations

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policy import Buffering
from meshgate.policies import scripts
from meshgate.policies.parts import RouteParts

FILTER = "meshgate.buffering"


def listener_filters(policies: tuple[Buffering, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The program, where any route wants it."""
    return (scripts.script_filter(FILTER, "buffering"),) if policies else ()


def route_parts(policy: Buffering) -> RouteParts:
    """Which bodies are held back, and how long they may be."""
    limit = str(scripts.BODY_LIMIT_BYTES)
    wanted = {"request": policy.requests, "response": policy.responses}
    data = {name: limit for name, held in wanted.items() if held}
    return RouteParts(filters={FILTER: scripts.script_data(data)}, body_limit=scripts.BODY_LIMIT_BYTES)
