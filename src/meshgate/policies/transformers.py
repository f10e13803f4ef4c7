"""Kong's `request-transformer` and `response-transformer` with Envoy's `header_mutation`."""

from __future__ import annotations

from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2 as pb
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from google.protobuf import any_pb2

from meshgate.model.policy import RequestTransformer, ResponseTransformer
from meshgate.policies.field_changes import header_mutations, query_mutations
from meshgate.policies.packing import http_filter, pack
from meshgate.policies.parts import RouteParts

REQUEST_FILTER = "meshgate.request_transformer"
METHOD_FILTER = "meshgate.request_method"
RESPONSE_FILTER = "meshgate.response_transformer"


def request_filters(policies: tuple[RequestTransformer, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, where any route has the plugin."""
    found = [http_filter(REQUEST_FILTER, pb.HeaderMutation(), disabled=True)] if policies else []
    if any(p.http_method for p in policies):
        found.append(http_filter(METHOD_FILTER, lua_pb2.Lua(), disabled=True))
    return tuple(found)


def request_parts(policy: RequestTransformer) -> RouteParts:
    """Headers, query and method by the filter; path and host by the route."""
    config = pb.HeaderMutationPerRoute()
    config.mutations.request_mutations.extend(header_mutations(policy.headers, "REQ"))
    config.mutations.query_parameter_mutations.extend(query_mutations(policy.query))
    filters: dict[str, any_pb2.Any] = {REQUEST_FILTER: pack(config)}
    if policy.http_method:
        filters[METHOD_FILTER] = pack(_method(policy.http_method))
    return RouteParts(filters=filters, path=policy.uri, host=policy.host)


def _method(name: str) -> lua_pb2.LuaPerRoute:
    """One line of Lua: `header_mutation` may not touch the method (Envoy 1.40)."""
    assert name.isalpha()
    code = f'function envoy_on_request(h) h:headers():replace(":method", "{name}") end'
    return lua_pb2.LuaPerRoute(source_code=base_pb2.DataSource(inline_string=code))


def response_filters(policies: tuple[ResponseTransformer, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, where any route has the plugin; must stand outside of all that adds headers."""
    return (http_filter(RESPONSE_FILTER, pb.HeaderMutation(), disabled=True),) if policies else ()


def response_parts(policy: ResponseTransformer) -> RouteParts:
    """Headers of every answer, the gateway's own too."""
    config = pb.HeaderMutationPerRoute()
    config.mutations.response_mutations.extend(header_mutations(policy.headers, "RESP"))
    return RouteParts(filters={RESPONSE_FILTER: pack(config)})
