"""Plugins that change requests and answers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tests.docs.kong_sections.section import Section

_HANDSHAKE = {"certificate": "closed where set", "rewrite": "works, just before access"}

SECTIONS: Mapping[str, Section] = MappingProxyType(
    {
        "correlation-id": Section(
            test="envoy/test_kong_transformers.py",
            config="{generator: uuid, echo_downstream: true}",
            text=(
                "A header that names the request, kept where the client sent one. `uuid#counter` is a "
                "new UUID and the number of the connection, `tracker` ends in a UUID and the time: "
                "Envoy does not count requests. A header that is there and empty stays empty."
            ),
        ),
        "grpc-gateway": Section(
            test="envoy/test_kong_grpc_gateway.py",
            config="{proto: protos/shop.proto}",
            text=(
                "JSON becomes gRPC: see [grpc.md](grpc.md). Instead of by a file, the service can be "
                "described by a ConfigMap or by itself."
            ),
        ),
        "grpc-web": Section(
            test="envoy/test_kong_small_plugins.py",
            config="{allow_origin_header: 'https://shop.example'}",
            text=(
                "gRPC-Web of browsers becomes gRPC; name the Service's port `grpc`. Requests that are "
                "no gRPC-Web pass as they are; Kong answers 400. With `proto` requests may be JSON too "
                "([grpc.md](grpc.md#grpc-web))."
            ),
            notes={"pass_stripped_path": "the path is as konghq.com/strip-path says"},
        ),
        "post-function": Section(
            test="envoy/test_kong_functions.py",
            config='{access: [\'kong.service.request.set_header("x-by", "gateway")\']}',
            text="As `pre-function`, behind all other plugins.",
            notes=_HANDSHAKE,
        ),
        "pre-function": Section(
            test="envoy/test_kong_functions.py",
            config="{access: ['kong.log(kong.request.get_path())']}",
            text=(
                "Lua of your own before all other plugins, in Envoy. The route answers 503 unless meshgate "
                "runs with `--allow-lua`. What such Lua may use: [lua.md](lua.md)."
            ),
            notes=_HANDSHAKE,
        ),
        "request-transformer": Section(
            test="envoy/test_kong_bodies.py",
            config="{add: {headers: ['x-from:gateway'], body: ['via:$(headers.user-agent or \"none\")']}}",
            text=(
                "Headers, query, body, path and method, in Kong's order. Envoy's own filters do it where "
                "they suffice, which sort query parameters by name; else a program in Lua does all of it, "
                "for bodies, renamed parameters, templates beyond one name, and `http_method` GET, HEAD "
                "or TRACE. Of templates `$(headers.NAME)`, `$(query_params.NAME)`, `$(uri_captures.NAME)`, "
                "`$(uri_captures[1])` and `$(shared.NAME)` work, also as choices: `$(headers.a or 'none')`; "
                "other Lua closes the route. Members of JSON that nobody changes stay as they were "
                "written, whatever their size and depth. A body that is not what Content-Type says passes "
                "as it is, as in Kong; one of more than 8 MiB gets 413. `Host` can be replaced. A path "
                "that a template makes is refused with 400 where it holds `.` or `..`."
            ),
        ),
        "response-transformer": Section(
            test="envoy/test_kong_bodies.py",
            config="{remove: {json: [secret]}, add: {json: ['ok:true'], json_types: [boolean]}}",
            text=(
                "Headers and JSON members of every answer, the gateway's own too. Members that nobody "
                "changes stay as they were written. A body that cannot be read as a JSON object (it may "
                "be compressed) passes as it is, as in Kong; one of more than 8 MiB makes a 500."
            ),
        ),
    }
)
