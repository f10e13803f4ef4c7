"""Kong's `acme`: no filter; what an authority asks for is answered without anything around it."""

from __future__ import annotations

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policy import Acme
from meshgate.policies.replies import said_by_itself

METADATA = "acme"
"""Key of the metadata of a challenge's route."""


def listener_filters(policies: tuple[Acme, ...]) -> tuple[hcm.HttpFilter, ...]:
    """None."""
    return ()


def replies(policies: tuple[Acme, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """The answer without Kong's error object around it."""
    return (said_by_itself("direct_response", METADATA),) if policies else ()
