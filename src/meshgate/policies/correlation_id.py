"""Kong's `correlation-id` with Envoy's `header_mutation`.

Envoy numbers connections and streams but does not count requests, so `uuid#counter` is a new
UUID with the number of the connection, and `tracker` ends in connection, stream and time.
"""

from __future__ import annotations

from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2 as pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policies.change import IdGenerator
from meshgate.model.policy import CorrelationId
from meshgate.policies.packing import header, http_filter, pack
from meshgate.policies.parts import RouteParts

FILTER = "meshgate.correlation_id"

_FORMATS = {
    IdGenerator.UUID: "%UNIQUE_ID%",
    IdGenerator.UUID_COUNTER: "%UNIQUE_ID%#%CONNECTION_ID%",
    IdGenerator.TRACKER: (
        "%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%-%DOWNSTREAM_LOCAL_PORT%-0-%CONNECTION_ID%-"
        "%STREAM_ID%-%START_TIME(%s.%3f)%"
    ),
}


def listener_filters(policies: tuple[CorrelationId, ...], name: str = FILTER) -> tuple[hcm.HttpFilter, ...]:
    """The filter, where any route has the plugin."""
    return (http_filter(name, pb.HeaderMutation(), disabled=True),) if policies else ()


def route_parts(policy: CorrelationId) -> RouteParts:
    """Sets the header where the client has not; tells the client where the plugin says so."""
    config = pb.HeaderMutationPerRoute()
    absent = base_pb2.HeaderValueOption.ADD_IF_ABSENT
    generated = header(policy.header_name, _FORMATS[policy.generator], absent)
    config.mutations.request_mutations.add(append=generated)
    if policy.echo_downstream:
        echo = header(policy.header_name, f"%REQ({policy.header_name})%")
        config.mutations.response_mutations.add(append=echo)
    return RouteParts(filters={FILTER: pack(config)})
