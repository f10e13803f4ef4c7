"""The rules that Envoy's own messages carry (protoc-gen-validate), checked before Envoy does.

Envoy refuses a message that breaks one, and with it the change that brought it. Rules about
formats (patterns, addresses) are left to Envoy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any  # protobuf's stubs do not type reflection

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from validate import validate_pb2

from meshgate.core.origin import FieldPath
from meshgate.policies.envoy_values import Fault, unpack

_NUMBERS = frozenset(
    {
        "float", "double", "int32", "int64", "uint32", "uint64", "sint32", "sint64",
        "fixed32", "fixed64", "sfixed32", "sfixed64",
    }
)  # fmt: skip


def broken_rules(message: Message, *, partial: bool = False) -> Iterator[Fault]:
    """Every rule that the message breaks; `partial`: only what is set counts (it is still to be merged)."""
    yield from _message(message, (), partial)


def _message(message: Message, path: FieldPath, partial: bool) -> Iterator[Fault]:
    if isinstance(message, any_pb2.Any):
        inner = unpack(message)
        if inner is not None:
            yield from _message(inner, path, partial)
        return
    descriptor = message.DESCRIPTOR
    if descriptor.GetOptions().Extensions[validate_pb2.disabled]:
        return
    if not partial:
        for oneof in descriptor.oneofs:
            needed = oneof.GetOptions().Extensions[validate_pb2.required]
            if needed and message.WhichOneof(oneof.name) is None:
                names = ", ".join(field.name for field in oneof.fields)
                yield Fault(path, f"must have one of {names}")
    set_fields = {field.name for field, _ in message.ListFields()}
    for field in descriptor.fields:
        if field.name in set_fields or not (partial or _alternative(field)):
            yield from _field(message, field, (*path, field.name), partial, field.name in set_fields)


def _alternative(field: Any) -> bool:
    """Of a oneof: unset where another is set."""
    return field.containing_oneof is not None


def _field(message: Message, field: Any, path: FieldPath, partial: bool, there: bool) -> Iterator[Fault]:
    value = getattr(message, field.name)
    options = field.GetOptions()
    rules = options.Extensions[validate_pb2.rules] if options.HasExtension(validate_pb2.rules) else None
    if rules is not None and rules.message.skip:
        return
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        if rules is not None and not partial and len(value) < rules.map.min_pairs:
            yield Fault(path, f"must have at least {rules.map.min_pairs}")
        for key, inner in value.items():
            if isinstance(inner, Message):
                yield from _message(inner, (*path, str(key)), partial)
    elif field.is_repeated:
        yield from _repeated(field, value, rules, path, partial)
    elif field.message_type is not None:
        if there:
            if rules is not None:
                yield from _well_known(value, rules, path)
            yield from _message(value, path, partial)
        elif rules is not None and not partial and _is_required(rules):
            yield Fault(path, "is required")
    elif rules is not None:
        yield from _scalar(value, rules, path, there)


def _is_required(rules: Any) -> bool:
    return bool(rules.message.required or rules.any.required or rules.duration.required)


def _repeated(field: Any, value: Any, rules: Any, path: FieldPath, partial: bool) -> Iterator[Fault]:
    if rules is not None and not (rules.repeated.ignore_empty and not value):
        if not partial and len(value) < rules.repeated.min_items:
            yield Fault(path, f"must have at least {rules.repeated.min_items}")
        if rules.repeated.HasField("max_items") and len(value) > rules.repeated.max_items:
            yield Fault(path, f"must have at most {rules.repeated.max_items}")
    for index, item in enumerate(value):
        if field.message_type is not None:
            yield from _message(item, (*path, index), partial)
        elif rules is not None and rules.repeated.HasField("items"):
            yield from _scalar(item, rules.repeated.items, (*path, index), True)


def _well_known(value: Message, rules: Any, path: FieldPath) -> Iterator[Fault]:
    """A duration, or a wrapper with the rules of what it wraps."""
    if isinstance(value, duration_pb2.Duration):
        limits = rules.duration
        nanos = value.ToNanoseconds()
        bounds = {
            name: getattr(limits, name).ToNanoseconds()
            for name in ("lt", "lte", "gt", "gte")
            if limits.HasField(name)
        }
        yield from _bounds(nanos, bounds, path, unit=1_000_000_000)
    elif rules.WhichOneof("type") in (*_NUMBERS, "string") and hasattr(value, "value"):
        yield from _scalar(value.value, rules, path, True)


def _scalar(value: Any, rules: Any, path: FieldPath, there: bool) -> Iterator[Fault]:
    kind = rules.WhichOneof("type")
    if kind is None:
        return
    limits = getattr(rules, kind)
    if not there and getattr(limits, "ignore_empty", False):
        return
    if kind == "string":
        length = len(value)
        if length < limits.min_len or len(value.encode()) < limits.min_bytes:
            yield Fault(path, "must not be empty")
        if limits.HasField("max_len") and length > limits.max_len:
            yield Fault(path, f"must have at most {limits.max_len} characters")
        if getattr(limits, "in") and value not in getattr(limits, "in"):
            yield Fault(path, f"must be one of {', '.join(getattr(limits, 'in'))}")
    elif kind == "bytes":
        if len(value) < limits.min_len:
            yield Fault(path, "must not be empty")
    elif kind == "enum":
        if value in limits.not_in:
            yield Fault(path, "has a value that is not allowed here")
    elif kind in _NUMBERS:
        names = ("lt", "lte", "gt", "gte")
        yield from _bounds(value, {n: getattr(limits, n) for n in names if limits.HasField(n)}, path)


def _bounds(value: Any, bounds: Mapping[str, Any], path: FieldPath, unit: int = 1) -> Iterator[Fault]:
    holds = {
        "lt": lambda limit: value < limit,
        "lte": lambda limit: value <= limit,
        "gt": lambda limit: value > limit,
        "gte": lambda limit: value >= limit,
    }
    signs = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
    for name, limit in bounds.items():
        if not holds[name](limit):
            shown = limit / unit if unit > 1 else limit
            yield Fault(path, f"must be {signs[name]} {shown:g}{' s' if unit > 1 else ''}")
