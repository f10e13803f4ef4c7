"""Changes of headers as Envoy's `header_mutation`, in Kong's order."""

from __future__ import annotations

from collections.abc import Iterator

from envoy.config.common.mutation_rules.v3 import mutation_rules_pb2
from envoy.config.core.v3 import base_pb2

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
