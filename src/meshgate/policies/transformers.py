"""Kong's `request-transformer` and `response-transformer`.

Headers, path and method by Envoy's own filters where those suffice; what needs more (bodies,
query parameters, templates with alternatives) by a program of ours. Envoy's own changes of query
parameters (1.40) unescape the whole query and write it back as it is: `a=%26b=2` becomes two
parameters, `%20` a space in the request's first line.
"""

from __future__ import annotations

from dataclasses import replace

from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2 as pb
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from google.protobuf import any_pb2

from meshgate.model.policies.change import Alternatives, Lookup, RequestScript, ScriptedChanges, Template
from meshgate.model.policy import RequestTransformer, ResponseTransformer
from meshgate.policies import scripts
from meshgate.policies.field_changes import header_mutations
from meshgate.policies.packing import boolean, http_filter, pack
from meshgate.policies.parts import RouteParts

REQUEST_FILTER = "meshgate.request_transformer"
REQUEST_SCRIPT = "meshgate.request_transformer.script"
METHOD_FILTER = "meshgate.request_method"
RESPONSE_FILTER = "meshgate.response_transformer"
RESPONSE_SCRIPT = "meshgate.response_transformer.json"
LATE_RESPONSE_FILTER = "meshgate.response_transformer.consumer"
LATE_RESPONSE_SCRIPT = "meshgate.response_transformer.consumer.json"
"""Behind the second choice of the route: `header_mutation` keeps the first route that it met (1.40)."""


def request_filters(policies: tuple[RequestTransformer, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filters, where any route has the plugin."""
    found: list[hcm.HttpFilter] = []
    if any(p.script is None for p in policies):
        found.append(http_filter(REQUEST_FILTER, pb.HeaderMutation(), disabled=True))
    if any(p.http_method for p in policies):
        # Another method must not lead to another route.
        found.append(http_filter(METHOD_FILTER, lua_pb2.Lua(clear_route_cache=boolean(False)), disabled=True))
    if any(p.script is not None for p in policies):
        files = ("json", "form", "multipart", "body", "guard", "request_transformer")
        found.append(scripts.script_filter(REQUEST_SCRIPT, *files))
    return tuple(found)


def request_parts(policy: RequestTransformer) -> RouteParts:
    """Headers and method by the filter; path and host by the route; or all by the program."""
    if policy.script is not None:
        return RouteParts(
            filters={REQUEST_SCRIPT: scripts.script_data(_script(policy.script))},
            host=policy.host,
            own_path=bool(policy.script.uri),
            body_limit=scripts.BODY_LIMIT_BYTES,
        )
    config = pb.HeaderMutationPerRoute()
    config.mutations.request_mutations.extend(header_mutations(policy.headers, "REQ"))
    filters: dict[str, any_pb2.Any] = {REQUEST_FILTER: pack(config)}
    if policy.http_method:
        filters[METHOD_FILTER] = pack(_method(policy.http_method))
    return RouteParts(filters=filters, path=policy.uri, host=policy.host)


def request_replies(policies: tuple[RequestTransformer, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """What the program answers."""
    return scripts.replies() if any(p.script is not None for p in policies) else ()


def _method(name: str) -> lua_pb2.LuaPerRoute:
    """One line of Lua: `header_mutation` may not touch the method (Envoy 1.40)."""
    assert name.isalpha()
    code = f'function envoy_on_request(h) h:headers():replace(":method", "{name}") end'
    return lua_pb2.LuaPerRoute(source_code=base_pb2.DataSource(inline_string=code))


def response_filters(policies: tuple[ResponseTransformer, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filters, where any route has the plugin; must stand outside of all that adds headers."""
    found = [http_filter(RESPONSE_FILTER, pb.HeaderMutation(), disabled=True)] if policies else []
    if any(p.body is not None for p in policies):
        found.append(scripts.script_filter(RESPONSE_SCRIPT, "json", "body", "guard", "response_transformer"))
    return tuple(found)


def response_parts(policy: ResponseTransformer) -> RouteParts:
    """Headers, and members of JSON, of every answer, the gateway's own too."""
    config = pb.HeaderMutationPerRoute()
    config.mutations.response_mutations.extend(header_mutations(policy.headers, "RESP"))
    filters: dict[str, any_pb2.Any] = {RESPONSE_FILTER: pack(config)}
    if policy.body is None:
        return RouteParts(filters=filters)
    steps = ("remove", "rename", "replace", "add", "append")
    filters[RESPONSE_SCRIPT] = scripts.script_data(
        {step: _lists(given) for step in steps if (given := getattr(policy.body, step))}
    )
    return RouteParts(filters=filters, body_limit=scripts.BODY_LIMIT_BYTES)


def late_response_filters(policies: tuple[ResponseTransformer, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The same for routes that are other ones for some consumers."""
    return tuple(_renamed(found, _LATE[found.name]) for found in response_filters(policies))


def late(parts: RouteParts) -> RouteParts:
    """A route's parts with what changes answers behind the second choice of the route."""
    filters = {_LATE.get(name, name): config for name, config in parts.filters.items()}
    return replace(parts, filters=filters)


_LATE = {RESPONSE_FILTER: LATE_RESPONSE_FILTER, RESPONSE_SCRIPT: LATE_RESPONSE_SCRIPT}


def _renamed(found: hcm.HttpFilter, name: str) -> hcm.HttpFilter:
    renamed = hcm.HttpFilter()
    renamed.CopyFrom(found)
    renamed.name = name
    return renamed


def _script(script: RequestScript) -> scripts.Data:
    """The program's data; what is empty is left out."""
    data: dict[str, object] = {}
    if script.method:
        data["method"] = script.method
    if script.uri:
        data["uri"] = _template(script.uri)
    for name, changes in (("headers", script.headers), ("query", script.query), ("body", script.body)):
        steps = _steps(changes)
        if steps:
            data[name] = steps
    return data


def _steps(changes: ScriptedChanges) -> dict[str, object]:
    found: dict[str, object] = {}
    if changes.remove:
        found["remove"] = list(changes.remove)
    if changes.rename:
        found["rename"] = _lists(changes.rename)
    for step, pairs in (("replace", changes.replace), ("add", changes.add), ("append", changes.append)):
        if pairs:
            found[step] = [[name, _template(value)] for name, value in pairs]
    return found


def _template(template: Template) -> object:
    match template:
        case ():
            return ""
        case (str() as text,):
            return text
        case _:
            return [part if isinstance(part, str) else _choices(part) for part in template]


def _choices(found: Alternatives) -> list[dict[str, str]]:
    return [
        {"source": c.source, "name": c.name} if isinstance(c, Lookup) else {"text": c} for c in found.choices
    ]


def _lists(entries: tuple[str, ...] | tuple[tuple[str, str], ...]) -> list[object]:
    return [entry if isinstance(entry, str) else list(entry) for entry in entries]
