"""XBackendTrafficPolicy: how many retries a Service gets, and whose requests stay with one pod."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.gateway_api.references import Duration, ObjectRefSpec, duration_ms
from meshgate.dialects.gateway_api.routes import PersistenceSpec
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, Spec, check, fault, problem, written
from meshgate.model.declared import Declared
from meshgate.model.destination import RetryBudget
from meshgate.model.gateway_api import XGATEWAY_GROUP, BackendTrafficPolicyObject
from meshgate.model.names import Name

_HOUR_MS = 3_600_000


def _at_most_an_hour(milliseconds: float) -> float:
    if milliseconds > _HOUR_MS:
        raise fault("MG2002", "must be at most 1h")
    return milliseconds


class BudgetSpec(Spec):
    """`BudgetDetails`."""

    UNSUPPORTED: ClassVar[dict[str, str]] = {
        "interval": "Envoy counts the requests that are under way, not those of a time"
    }

    percent: Annotated[int, Field(ge=0, le=100)] = 20


class RateSpec(Spec):
    """`RequestRate`."""

    count: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    interval: Annotated[Duration, Field(ge=1), AfterValidator(_at_most_an_hour)] = 1000.0


def _is_span(text: object) -> bool:
    try:
        return 1000 <= duration_ms(text) <= _HOUR_MS
    except PydanticCustomError:
        return False


class RetryConstraintSpec(Spec):
    """`RetryConstraint`."""

    budget: BudgetSpec = BudgetSpec()
    min_retry_rate: RateSpec = RateSpec()

    def lower(self) -> RetryBudget:
        """The budget; so many retries in a second as may always be are as many at once."""
        always = math.ceil(self.min_retry_rate.count * 1000 / self.min_retry_rate.interval)
        return RetryBudget(percent=self.budget.percent, min_concurrency=always)


class BackendTrafficPolicySpec(Spec):
    target_refs: Annotated[Items[ObjectRefSpec], Field(min_length=1, max_length=16)]
    retry_constraint: RetryConstraintSpec | None = None
    session_persistence: PersistenceSpec | None = None


class BackendTrafficPolicy(ObjectSpec):
    spec: BackendTrafficPolicySpec


def lower_backend_traffic_policy(document: Document) -> Lowered:
    """The policy (MG2xxx)."""
    value, said = check(BackendTrafficPolicy, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    spec = value.spec
    interval: FieldPath = ("spec", "retryConstraint", "budget", "interval")
    if (text := written(document, interval)) and not _is_span(text):
        said.append(problem(document, "MG2002", interval, "must be a duration from 1s to 1h"))
    declared = BackendTrafficPolicyObject(
        ref=document.ref,
        name=Name(document.namespace, document.ref.name),
        targets=tuple(r.lower(document, ("spec", "targetRefs", i)) for i, r in enumerate(spec.target_refs)),
        retry_budget=spec.retry_constraint.lower() if spec.retry_constraint else None,
        persistence=spec.session_persistence.lower() if spec.session_persistence else None,
        created=document.created,
        generation=document.generation,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(backend_traffic_policies=(declared,)), diagnostics=tuple(said))


X_BACKEND_TRAFFIC_POLICY = KindParser(
    group=XGATEWAY_GROUP,
    kind="XBackendTrafficPolicy",
    versions=frozenset({"v1alpha1"}),
    namespaced=True,
    lower=lower_backend_traffic_policy,
    plural="xbackendtrafficpolicies",
    short_names=("xbtrafficpolicy",),
)
