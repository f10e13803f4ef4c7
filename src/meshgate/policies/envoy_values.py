"""Values written in Envoy's own words (EnvoyFilter), as Envoy's messages.

Reads proto3 JSON strictly: what Envoy 1.40 does not know is an error with its path. The type of
an Any is found by its `@type`; a TypedStruct becomes the message that it stands for.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any  # protobuf's stubs do not type reflection

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import extension_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from google.protobuf import any_pb2, descriptor_pool, json_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from meshgate.core.origin import FieldPath
from meshgate.model.envoy_patch import ApplyTo

MESSAGES: Mapping[ApplyTo, type[Message]] = {
    ApplyTo.LISTENER: listener_pb2.Listener,
    ApplyTo.LISTENER_FILTER: listener_components_pb2.ListenerFilter,
    ApplyTo.FILTER_CHAIN: listener_components_pb2.FilterChain,
    ApplyTo.NETWORK_FILTER: listener_components_pb2.Filter,
    ApplyTo.HTTP_FILTER: hcm.HttpFilter,
    ApplyTo.ROUTE_CONFIGURATION: route_pb2.RouteConfiguration,
    ApplyTo.VIRTUAL_HOST: route_components_pb2.VirtualHost,
    ApplyTo.HTTP_ROUTE: route_components_pb2.Route,
    ApplyTo.CLUSTER: cluster_pb2.Cluster,
    ApplyTo.EXTENSION_CONFIG: extension_pb2.TypedExtensionConfig,
}
"""What the value of a patch is."""

_ANY = "google.protobuf.Any"
_TYPED_STRUCTS = ("udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct")
_PREFIX = "type.googleapis.com/"
_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+(\.[A-Z][A-Za-z0-9]*)+")
_OLD = re.compile(r"^envoy\..*\.v[12](alpha[0-9]*)?\.")
_ROOTS = ("envoy.", "xds.", "udpa.", "google.")
"""Packages in which messages of Envoy's configuration are."""
_MOST_FAULTS = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a value."""

    path: FieldPath
    """In the value."""
    message: str
    known: tuple[str, ...] = ()
    """Names that would have been right."""
    written: str = ""
    """What is there instead of one of them."""


def parse(apply_to: ApplyTo, value: object) -> tuple[Message | None, tuple[Fault, ...]]:
    """The message that a value stands for, or what is wrong with it."""
    kind = MESSAGES[apply_to]
    reading = _Reading()
    cleaned = reading.message(kind.DESCRIPTOR, value, ())
    if not reading.faults:
        message = kind()
        try:
            json_format.ParseDict(cleaned, message, descriptor_pool=descriptor_pool.Default())
        except (json_format.ParseError, TypeError, ValueError) as error:
            reading.fault((), _short(error))
        else:
            return message, ()
    return None, tuple(reading.faults[:_MOST_FAULTS])


def message_class(type_name: str) -> type[Message] | None:
    """The message of that full name, loaded where it was not; None where Envoy has none."""
    descriptor = _descriptor(type_name)
    return GetMessageClass(descriptor) if descriptor is not None else None


def unpack(packed: any_pb2.Any) -> Message | None:
    """What is in an Any; None where it cannot be read."""
    kind = message_class(packed.TypeName())
    if kind is None:
        return None
    message = kind()
    return message if packed.Unpack(message) else None


@cache
def _descriptor(type_name: str) -> Any:
    if not _NAME.fullmatch(type_name) or not type_name.startswith(_ROOTS):
        return None
    pool = descriptor_pool.Default()
    for _ in _loaded(type_name):
        try:
            return pool.FindMessageTypeByName(type_name)
        except KeyError:
            continue
    return None


def _loaded(type_name: str) -> Iterator[None]:
    """First what is there, then the modules of the message's package one after the other."""
    yield
    package = ".".join(part for part in type_name.split(".") if part[0].islower())
    try:
        found = importlib.import_module(package)
    except ImportError:
        return
    for module in pkgutil.iter_modules(getattr(found, "__path__", ())):
        if module.name.endswith("_pb2"):
            importlib.import_module(f"{package}.{module.name}")
            yield


class _Reading:
    """Walks a value along a message's fields."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def fault(self, path: FieldPath, message: str, known: Sequence[str] = (), written: object = "") -> None:
        """Notes something that is wrong."""
        self.faults.append(Fault(path, message, tuple(known), str(written)))

    def message(self, descriptor: Any, value: object, path: FieldPath) -> Any:
        """The value as it can be parsed: TypedStructs resolved, nulls gone."""
        if descriptor.full_name == _ANY:
            return self._any(value, path)
        if descriptor.full_name.startswith("google.protobuf."):
            return self._leaf(descriptor, value, path)
        if not isinstance(value, Mapping):
            self.fault(path, f"must be an object ({descriptor.full_name})")
            return None
        fields = _fields(descriptor)
        result: dict[str, Any] = {}
        for key, inner in value.items():
            field = fields.get(key)
            here = (*path, key)
            if field is None:
                self.fault(here, f"is no field of {descriptor.full_name}", tuple(fields), key)
            elif inner is not None:
                result[key] = self._field(field, inner, here)
        return result

    def _field(self, field: Any, value: object, path: FieldPath) -> Any:
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            if not isinstance(value, Mapping):
                self.fault(path, "must be an object")
                return None
            inner = kind.fields_by_name["value"]
            if inner.message_type is None:
                return self._scalar(field, value, path)
            return {k: self.message(inner.message_type, v, (*path, k)) for k, v in value.items()}
        if field.is_repeated:
            if not isinstance(value, Sequence) or isinstance(value, str | bytes):
                self.fault(path, "must be a list")
                return None
            return [self._one(field, item, (*path, i)) for i, item in enumerate(value)]
        return self._one(field, value, path)

    def _one(self, field: Any, value: object, path: FieldPath) -> Any:
        if field.message_type is not None:
            return self.message(field.message_type, value, path)
        return self._scalar(field, [value] if field.is_repeated else value, path, value)

    def _scalar(self, field: Any, value: object, path: FieldPath, result: object = None) -> Any:
        probe = GetMessageClass(field.containing_type)()
        try:
            json_format.ParseDict({field.json_name: value}, probe)
        except (json_format.ParseError, TypeError, ValueError) as error:
            known = [v.name for v in field.enum_type.values] if field.enum_type is not None else ()
            self.fault(path, _short(error), known, value)
        return value if result is None else result

    def _leaf(self, descriptor: Any, value: object, path: FieldPath) -> Any:
        """Durations, wrappers, Structs: each has a JSON form of its own."""
        try:
            json_format.ParseDict(value, GetMessageClass(descriptor)())  # type: ignore[arg-type]
        except (json_format.ParseError, TypeError, ValueError, AttributeError) as error:
            self.fault(path, _short(error))
        return value

    def _any(self, value: object, path: FieldPath) -> Any:
        if not isinstance(value, Mapping) or not isinstance(value.get("@type"), str):
            self.fault(path, "must be an object with @type")
            return None
        type_name = str(value["@type"]).rpartition("/")[2]
        rest = {key: inner for key, inner in value.items() if key != "@type"}
        if type_name in _TYPED_STRUCTS:
            named = rest.get("type_url", rest.get("typeUrl"))
            if not isinstance(named, str):
                self.fault(path, "must have type_url")
                return None
            written = rest.get("value", {})
            return self._resolved(named.rpartition("/")[2], written, (*path, "value"), (*path, "type_url"))
        return self._resolved(type_name, rest, path, (*path, "@type"))

    def _resolved(self, type_name: str, value: object, path: FieldPath, named_at: FieldPath) -> Any:
        # The protos still hold what Envoy itself left behind in 1.17.
        old = _OLD.search(type_name) is not None
        descriptor = None if old else _descriptor(type_name)
        if descriptor is None:
            hint = "; Envoy's v2 interface is gone, write the v3 type" if old else ""
            self.fault(named_at, f"{type_name[:120]} is no type that Envoy knows here{hint}")
            return None
        cleaned = self.message(descriptor, value, path)
        if not isinstance(cleaned, Mapping):
            return {"@type": _PREFIX + type_name, "value": cleaned}
        return {"@type": _PREFIX + type_name, **cleaned}


@cache
def _fields(descriptor: Any) -> dict[str, Any]:
    """By the name in the proto, then by the JSON name."""
    found = {field.name: field for field in descriptor.fields}
    found.update({field.json_name: field for field in descriptor.fields if field.json_name not in found})
    return found


def _short(error: Exception) -> str:
    """The last sentence of protobuf's error, without its paths."""
    text = str(error).splitlines()[0].rpartition(" field: ")[2].removesuffix(".")
    text = re.sub(r" at \"?[\w.\[\]]+\"?$", "", text)
    return f"cannot be read: {text[:160]}"
