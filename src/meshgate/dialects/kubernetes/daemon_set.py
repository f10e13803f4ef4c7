"""apps/v1 DaemonSet: a pod for each machine, so one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from meshgate.core.diagnostics import Severity
from meshgate.dialects.document import Document
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.kubernetes.deployment import lower_template
from meshgate.dialects.kubernetes.pod import PodTemplate
from meshgate.dialects.kubernetes.rollout import RollingUpdateSpec
from meshgate.dialects.kubernetes.selector import LabelSelector
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Spec, check, problem
from meshgate.model.declared import Declared
from meshgate.model.workload import Rollout


class UpdateStrategy(Spec):
    type: Literal["RollingUpdate", "OnDelete"] = "RollingUpdate"
    rolling_update: RollingUpdateSpec | None = None


class DaemonSetDetails(Spec):
    IGNORED: ClassVar[Mapping[str, str]] = {"revisionHistoryLimit": "no old templates are kept"}

    selector: LabelSelector
    template: PodTemplate
    update_strategy: UpdateStrategy = UpdateStrategy()
    min_ready_seconds: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


class DaemonSetSpec(ObjectSpec):
    spec: DaemonSetDetails


def lower(document: Document) -> Lowered:
    """A workload of one pod; the old one goes before the new one begins, unless there may be one more."""
    value, diagnostics = check(DaemonSetSpec, document)
    if value is None:
        return Lowered(diagnostics=tuple(diagnostics))
    spec = value.spec
    if spec.update_strategy.type == "OnDelete":
        at = ("spec", "updateStrategy", "type")
        why = "OnDelete is not supported: changes are rolled out at once"
        diagnostics.append(problem(document, "MG1103", at, why, severity=Severity.WARNING))
    workload, problems = lower_template(spec.template, spec.selector, document)
    rolling = spec.update_strategy.rolling_update
    # Unlike a Deployment's, its surge is 0 where nobody says.
    said = rolling is not None and "max_surge" in rolling.model_fields_set
    surge = said and rolling is not None and str(rolling.max_surge).strip("%") != "0"
    rollout = Rollout(
        max_surge=int(surge), max_unavailable=int(not surge), min_ready_s=spec.min_ready_seconds
    )
    return Lowered(
        declared=Declared(workloads=(replace(workload, rollout=rollout),)),
        diagnostics=(*diagnostics, *problems),
    )


KIND = KindParser(
    group="apps",
    kind="DaemonSet",
    versions=frozenset({"v1"}),
    namespaced=True,
    lower=lower,
    plural="daemonsets",
    short_names=("ds",),
)
