"""Changes of headers and query parameters as Envoy's `header_mutation`, in Kong's order."""

from __future__ import annotations

from collections.abc import Iterator

from envoy.config.common.mutation_rules.v3 import mutation_rules_pb2
from envoy.config.core.v3 import base_pb2
from google.protobuf import struct_pb2

from meshgate.model.policies.change import FieldChanges
from meshgate.policies.packing import header

_SET = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_REPLACE = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS
_ADD = base_pb2.HeaderValueOption.ADD_IF_ABSENT
_APPEND = base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD


def header_mutations(changes: FieldChanges, source: str) -> Iterator[mutation_rules_pb2.HeaderMutation]:
    """Mutations one by one; `source` is Envoy's command for a header: `REQ` or `RESP`."""
    mutation = mutation_rules_pb2.HeaderMutation
    for name in changes.remove:
        yield mutation(remove=name)
    for old, new in changes.rename:
        # Of a header that is not there nothing is written: Envoy leaves empty values out.
        yield mutation(append=header(new, f"%{source}({old})%", _SET))
        yield mutation(remove=old)
    for pairs, action in ((changes.replace, _REPLACE), (changes.add, _ADD), (changes.append, _APPEND)):
        for name, value in pairs:
            yield mutation(append=header(name, value, action))


def query_mutations(changes: FieldChanges) -> Iterator[base_pb2.KeyValueMutation]:
    """The same for query parameters, of which none is renamed."""
    append = base_pb2.KeyValueAppend
    for name in changes.remove:
        yield base_pb2.KeyValueMutation(remove=name)
    for pairs, action in (
        (changes.replace, append.OVERWRITE_IF_EXISTS),
        (changes.add, append.ADD_IF_ABSENT),
        (changes.append, append.APPEND_IF_EXISTS_OR_ADD),
    ):
        for name, value in pairs:
            record = base_pb2.KeyValuePair(key=name, value=struct_pb2.Value(string_value=value))
            yield base_pb2.KeyValueMutation(append=append(record=record, action=action))
