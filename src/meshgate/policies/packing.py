"""Small constructors for the protobuf wrappers that Envoy's configuration is full of."""

from __future__ import annotations

from envoy.config.core.v3 import base_pb2, extension_pb2
from envoy.config.route.v3 import route_components_pb2 as route_pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from google.protobuf import any_pb2, duration_pb2, wrappers_pb2
from google.protobuf.message import Message
from xds.core.v3 import extension_pb2 as xds_extension_pb2


def pack(message: Message) -> any_pb2.Any:
    """`message` in an Any whose bytes are the same whenever the message is."""
    packed = any_pb2.Any()
    packed.Pack(message, deterministic=True)
    return packed


def extension(name: str, message: Message) -> extension_pb2.TypedExtensionConfig:
    """A typed extension."""
    return extension_pb2.TypedExtensionConfig(name=name, typed_config=pack(message))


def xds_extension(name: str, message: Message) -> xds_extension_pb2.TypedExtensionConfig:
    """A typed extension inside a generic matcher, which has a type of its own for it."""
    return xds_extension_pb2.TypedExtensionConfig(name=name, typed_config=pack(message))


def http_filter(name: str, message: Message, *, disabled: bool = False) -> hcm.HttpFilter:
    """An HTTP filter; `disabled` until a route's own configuration switches it on."""
    return hcm.HttpFilter(name=name, typed_config=pack(message), disabled=disabled)


def switched_on() -> any_pb2.Any:
    """A route's configuration of a filter that is `disabled` elsewhere: on, as it is."""
    on = route_pb.FilterConfig()
    on.config.SetInParent()
    return pack(on)


def duration(ms: float) -> duration_pb2.Duration:
    """A protobuf duration of so many milliseconds."""
    return duration_pb2.Duration(nanos=int(ms % 1000 * 1_000_000), seconds=int(ms // 1000))


def uint32(value: int) -> wrappers_pb2.UInt32Value:
    return wrappers_pb2.UInt32Value(value=value)


def boolean(value: bool) -> wrappers_pb2.BoolValue:
    return wrappers_pb2.BoolValue(value=value)


def header(
    name: str,
    value: str,
    action: base_pb2.HeaderValueOption.HeaderAppendAction.ValueType = (
        base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    ),
) -> base_pb2.HeaderValueOption:
    """A header to set; `value` may hold Envoy's `%COMMANDS%`."""
    return base_pb2.HeaderValueOption(
        header=base_pb2.HeaderValue(key=name, value=value), append_action=action
    )
