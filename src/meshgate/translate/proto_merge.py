"""Merging messages as Istio merges a patch into what it made itself."""

from __future__ import annotations

from typing import Any  # protobuf's stubs do not type reflection

from google.protobuf import any_pb2
from google.protobuf.message import Message

from meshgate.policies.envoy_values import unpack
from meshgate.policies.packing import pack


def merge(into: Message, patch: Message, *, replace_lists: bool = False) -> None:
    """Merges `patch` into a message of the same type, as Istio 1.27.

    Set scalars replace, lists are added to (or replace), messages are merged, maps by key; durations
    and wrappers replace as a whole; Anys are merged where their types are equal, else replaced.
    """
    for field, value in patch.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _merge_map(getattr(into, field.name), value, field, replace_lists)
        elif field.is_repeated:
            if replace_lists:
                into.ClearField(field.name)
            getattr(into, field.name).extend(value)
        elif field.message_type is None:
            setattr(into, field.name, value)
        else:
            _merge_message(into, field, value, replace_lists)


def _merge_message(into: Message, field: Any, value: Message, replace_lists: bool) -> None:
    whole = field.message_type.full_name.startswith("google.protobuf.") and not isinstance(value, any_pb2.Any)
    if whole or not into.HasField(field.name):
        getattr(into, field.name).CopyFrom(value)
    else:
        _merge_value(getattr(into, field.name), value, replace_lists)


def _merge_value(into: Any, value: Any, replace_lists: bool) -> None:
    if not isinstance(value, any_pb2.Any):
        merge(into, value, replace_lists=replace_lists)
        return
    old = unpack(into) if into.TypeName() == value.TypeName() else None
    new = unpack(value)
    if old is None or new is None:
        into.CopyFrom(value)
        return
    merge(old, new, replace_lists=replace_lists)
    into.CopyFrom(pack(old))


def _merge_map(into: Any, value: Any, field: Any, replace_lists: bool) -> None:
    messages = field.message_type.fields_by_name["value"].message_type is not None
    for key in value:
        if not messages:
            into[key] = value[key]
        elif key in into:
            _merge_value(into[key], value[key], replace_lists)
        else:
            into[key].CopyFrom(value[key])
