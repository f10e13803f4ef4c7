"""Programs in Lua that Envoy runs: where its own filters do not suffice, and only on such routes.

One program serves all routes; what a route wants of it is data (`filter_context`). Each file in
`lua/` is a module but the last of a program, which has the functions that Envoy calls.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from google.protobuf import any_pb2, json_format, struct_pb2

from meshgate.policies.packing import boolean, http_filter, pack
from meshgate.policies.replies import as_it_is_reply

Data = Mapping[str, object]
"""What a route tells a program: texts, booleans, lists and mappings of them; numbers as texts."""

_PLAIN = frozenset(string.ascii_letters + string.digits + " -_.:/")

BODY_LIMIT_BYTES = 8 << 20
"""Largest body that is held back to be changed or looked into; beyond, 413 (an answer: 500)."""


@lru_cache(maxsize=64)
def source(*files: str) -> str:
    """The text of a program: its modules, each under its own name, and the last file as it is."""
    *modules, main = files
    parts = [f"local {name} = (function()\n{_read(name)}end)()\n" for name in modules]
    return "".join((*parts, _read(main)))


def script_filter(name: str, *files: str, before: str = "", always: bool = False) -> hcm.HttpFilter:
    """A filter that runs the program on routes that say so; it never chooses another route by itself.

    `before`: a text in Lua that the program finds before it. `always`: on every route.
    """
    config = lua_pb2.Lua(clear_route_cache=boolean(False))
    config.default_source_code.CopyFrom(base_pb2.DataSource(inline_string=before + source(*files)))
    return http_filter(name, config, disabled=not always)


def script_data(data: Data) -> any_pb2.Any:
    """Switches a program on for a route, with what it is to do there."""
    per_route = lua_pb2.LuaPerRoute()
    per_route.filter_context.CopyFrom(struct(data))
    return pack(per_route)


def with_more_data(packed: any_pb2.Any, data: Data) -> any_pb2.Any:
    """The same as `script_data` made, and more."""
    per_route = lua_pb2.LuaPerRoute()
    packed.Unpack(per_route)
    per_route.filter_context.MergeFrom(struct(data))
    return pack(per_route)


def literal(value: object) -> str:
    """Texts, `True` and mappings of them as Lua reads them, whatever is in the texts."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"[{literal(k)}]={literal(v)}" for k, v in value.items()) + "}"
    if value is True:
        return "true"
    return (
        '"'
        + "".join(c if c in _PLAIN else f"\\{ord(c):03d}" for c in str(value).encode().decode("latin-1"))
        + '"'
    )


def struct(data: Data) -> struct_pb2.Struct:
    """The same as protobuf has it."""
    return json_format.ParseDict(dict(data), struct_pb2.Struct())


def replies() -> tuple[hcm.ResponseMapper, ...]:
    """What a program answers stays as it wrote it."""
    return (as_it_is_reply("lua_response"),)


def _read(name: str) -> str:
    return (resources.files("meshgate.policies") / "lua" / f"{name}.lua").read_text(encoding="utf-8")
