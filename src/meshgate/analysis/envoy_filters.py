"""Patches of Envoy's configuration that hang on what others patch."""

from __future__ import annotations

from meshgate.core.findings import Findings
from meshgate.model.declared import Declared
from meshgate.model.envoy_patch import Operation
from meshgate.model.graph import Model

_RELATIVE = (Operation.INSERT_BEFORE, Operation.INSERT_AFTER, Operation.REPLACE)


def analyze(declared: Declared, model: Model, advice: Findings) -> None:
    """MG3111: a place told by another filter, in an EnvoyFilter without a priority.

    Such patches are applied in the order of creation; where another EnvoyFilter adds or removes the
    filter that is named, that decides whether they find it.
    """
    for one in declared.envoy_filters:
        for patch in one.patches:
            if patch.operation in _RELATIVE and one.priority == 0:
                advice.note(
                    "MG3111",
                    patch.origin,
                    one.ref,
                    f"{patch.operation.value} looks for a filter that another EnvoyFilter may add or remove, "
                    "and which comes first is left to their age",
                    "set priority, or use INSERT_FIRST or ADD",
                )
