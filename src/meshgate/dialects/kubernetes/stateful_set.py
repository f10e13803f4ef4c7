"""apps/v1 StatefulSet: pods with numbers for names, one after the other when they change."""

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
from meshgate.dialects.kubernetes.rollout import Share, share_of
from meshgate.dialects.kubernetes.selector import LabelSelector
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Spec, check, problem
from meshgate.model.declared import Declared
from meshgate.model.workload import Rollout


class RollingUpdate(Spec):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"partition": "has no effect: all pods get the new template"}

    max_unavailable: Share = 1


class UpdateStrategy(Spec):
    type: Literal["RollingUpdate", "OnDelete"] = "RollingUpdate"
    rolling_update: RollingUpdate = RollingUpdate()


class Ordinals(Spec):
    start: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class StatefulSetDetails(Spec):
    IGNORED: ClassVar[Mapping[str, str]] = {
        "revisionHistoryLimit": "no old templates are kept",
        "persistentVolumeClaimRetentionPolicy": "there are no claims",
        "serviceName": "its pods have no names of their own in DNS; the Service has",
    }
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "volumeClaimTemplates": "has no effect: nothing is mounted, processes see the machine's own files",
    }

    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    selector: LabelSelector
    template: PodTemplate
    update_strategy: UpdateStrategy = UpdateStrategy()
    pod_management_policy: Literal["OrderedReady", "Parallel"] = "OrderedReady"
    min_ready_seconds: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    ordinals: Ordinals = Ordinals()


class StatefulSetSpec(ObjectSpec):
    spec: StatefulSetDetails


def lower(document: Document) -> Lowered:
    """A workload whose pods are `NAME-0`, `NAME-1`; an old one goes before the new one of its name begins."""
    value, diagnostics = check(StatefulSetSpec, document)
    if value is None:
        return Lowered(diagnostics=tuple(diagnostics))
    spec = value.spec
    if spec.update_strategy.type == "OnDelete":
        at = ("spec", "updateStrategy", "type")
        said = "OnDelete is not supported: changes are rolled out at once"
        diagnostics.append(problem(document, "MG1103", at, said, severity=Severity.WARNING))
    workload, problems = lower_template(spec.template, spec.selector, document)
    missing = share_of(spec.update_strategy.rolling_update.max_unavailable, spec.replicas)
    rollout = Rollout(max_surge=0, max_unavailable=max(missing, 1), min_ready_s=spec.min_ready_seconds)
    workload = replace(workload, replicas=spec.replicas, first_ordinal=spec.ordinals.start, rollout=rollout)
    return Lowered(declared=Declared(workloads=(workload,)), diagnostics=(*diagnostics, *problems))


KIND = KindParser(
    group="apps",
    kind="StatefulSet",
    versions=frozenset({"v1"}),
    namespaced=True,
    lower=lower,
    plural="statefulsets",
    short_names=("sts",),
)
