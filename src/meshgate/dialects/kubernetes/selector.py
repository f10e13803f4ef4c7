"""Label selectors of workloads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, assert_never

from meshgate.dialects.metadata import Labels, QualifiedName
from meshgate.dialects.schema import Items, Spec
from meshgate.model.service import EMPTY


class Expression(Spec):
    key: QualifiedName
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: Items[str] = ()


class LabelSelector(Spec):
    match_labels: Labels = EMPTY
    match_expressions: Items[Expression] = ()

    @property
    def is_empty(self) -> bool:
        return not self.match_labels and not self.match_expressions


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether the selector takes an object with these labels."""
    return all(labels.get(k) == v for k, v in selector.match_labels.items()) and all(
        _holds(expression, labels) for expression in selector.match_expressions
    )


def _holds(expression: Expression, labels: Mapping[str, str]) -> bool:
    match expression.operator:
        case "In":
            return labels.get(expression.key) in expression.values
        case "NotIn":
            return labels.get(expression.key) not in expression.values
        case "Exists":
            return expression.key in labels
        case "DoesNotExist":
            return expression.key not in labels
        case _:
            assert_never(expression.operator)
