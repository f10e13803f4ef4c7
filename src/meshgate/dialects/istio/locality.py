"""`localityLbSetting`: where requests go by the places of client and endpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.schema import Items, Spec, problem
from meshgate.model.mesh_config import LocalitySetting


class DistributeSpec(Spec):
    from_: Annotated[str, Field(alias="from")]
    to: Mapping[str, Annotated[int, Field(ge=1, le=100)]]


class FailoverSpec(Spec):
    from_: Annotated[str, Field(alias="from")]
    to: str


class LocalitySpec(Spec):
    """Istio's `LocalityLoadBalancerSetting`."""

    enabled: bool | None = None
    distribute: Items[DistributeSpec] = ()
    failover: Items[FailoverSpec] = ()
    failover_priority: Items[str] = ()

    def lower(self) -> LocalitySetting:
        """The same, for the model."""
        return LocalitySetting(
            enabled=self.enabled,
            distribute=tuple((d.from_, tuple(sorted(d.to.items()))) for d in self.distribute),
            failover=tuple((f.from_, f.to) for f in self.failover),
            failover_priority=self.failover_priority,
        )


def check_locality(spec: LocalitySpec, document: Document, path: FieldPath) -> Iterator[Diagnostic]:
    """What Istio 1.27's webhook refuses (MG2002, MG2004, MG2006)."""
    for other, given in (("failover", spec.failover), ("failoverPriority", spec.failover_priority)):
        if spec.distribute and given:
            yield problem(document, "MG2006", path, f"must have one of distribute and {other}")
    for index, share in enumerate(spec.distribute):
        here = (*path, "distribute", index)
        if message := _misplaced(share.from_):
            yield problem(document, "MG2004", (*here, "from"), message)
        for place in share.to:
            if message := _misplaced(place):
                yield problem(document, "MG2004", (*here, "to", place), message)
        if (total := sum(share.to.values())) != 100:
            yield problem(document, "MG2002", (*here, "to"), f"must add up to 100, got {total}")
    for index, rule in enumerate(spec.failover):
        here = (*path, "failover", index)
        for name, region in (("from", rule.from_), ("to", rule.to)):
            if not region or "/" in region or "*" in region:
                yield problem(document, "MG2004", (*here, name), "must be a region alone")
        if rule.from_ == rule.to:
            yield problem(document, "MG2002", (*here, "to"), "must be another region than from")
    for index, label in enumerate(spec.failover_priority):
        if not label.partition("=")[0]:
            here = (*path, "failoverPriority", index)
            yield problem(document, "MG2004", here, "must be a label, or label=value")


def idle_failover(spec: LocalitySpec, document: Document, path: FieldPath) -> Iterator[Diagnostic]:
    """MG1103 for what needs `outlierDetection` beside it: without, no endpoint ever counts as lost."""
    for name, given in (("failover", spec.failover), ("failoverPriority", spec.failover_priority)):
        if given:
            yield problem(
                document,
                "MG1103",
                (*path, name),
                "has no effect without outlierDetection",
                severity=Severity.WARNING,
                remedy="add outlierDetection to the same policy; {} takes Istio's defaults",
                key=True,
            )


def _misplaced(place: str) -> str:
    """Why it is no place; empty where it is one."""
    parts = place.split("/")
    if len(parts) > 3 or not parts[0]:
        return "must be like region, region/zone or region/zone/sub-zone"
    if "*" in parts[:-1] or any("*" in part and part != "*" for part in parts):
        return "may have * as its last part alone"
    return ""
