"""Settings of our own filters inside Envoy: `meshgate/native`, in C (ADR 027).

They are a shared library that Envoy loads. A proxy that has none gets the same done by Envoy's
filters, with the differences that docs/rate-limiting.md names.
"""

from __future__ import annotations

from collections.abc import Iterable

from envoy.extensions.dynamic_modules.v3 import dynamic_modules_pb2 as modules_pb2
from envoy.extensions.filters.http.dynamic_modules.v3 import dynamic_modules_pb2 as pb
from google.protobuf import any_pb2, wrappers_pb2
from google.protobuf.message import Message

from meshgate.policies.packing import pack

MODULE = "meshgate_filters"
"""The library is `lib<MODULE>.so`, in the folder that Envoy's environment names."""


def items(values: Iterable[str | int]) -> bytes:
    """Values as the filters read them: `<length>:<bytes>`, one after the other."""
    found = bytearray()
    for value in values:
        text = str(value).encode()
        found += b"%d:" % len(text)
        found += text
    return bytes(found)


def filter_settings(name: str, values: Iterable[str | int] = ()) -> Message:
    """The filter of that name, with what `native/filters.h` says that it reads."""
    made: Message = pb.DynamicModuleFilter(
        dynamic_module_config=_module(), filter_name=name, filter_config=_packed(values)
    )
    return made


def route_settings(name: str, values: Iterable[str | int]) -> any_pb2.Any:
    """The same for one route."""
    return pack(
        pb.DynamicModuleFilterPerRoute(
            dynamic_module_config=_module(), per_route_config_name=name, filter_config=_packed(values)
        )
    )


def _module() -> modules_pb2.DynamicModuleConfig:
    # What it counts must outlive a change of the configuration.
    return modules_pb2.DynamicModuleConfig(name=MODULE, do_not_close=True)


def _packed(values: Iterable[str | int]) -> any_pb2.Any:
    return pack(wrappers_pb2.StringValue(value=items(values).decode()))
