"""DestinationRule: how a host is reached, and the subsets of its endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic, has_errors
from meshgate.dialects.document import Document, Json
from meshgate.dialects.istio.hosts import ExportTo, HostOrWildcard, SubsetName
from meshgate.dialects.istio.traffic_policy import PolicyLowering, TrafficPolicySpec
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, Spec, check, problem
from meshgate.model.declared import Declared, DestinationRules
from meshgate.model.destination import ClientTlsMode, Subset, TrafficPolicy


class SubsetSpec(Spec):
    """Istio's `Subset`; without labels it is every endpoint."""

    name: Annotated[SubsetName, Field(min_length=1)]
    labels: dict[str, str] = Field(default_factory=dict)
    traffic_policy: TrafficPolicySpec | None = None


class SelectorSpec(Spec):
    """Istio's `WorkloadSelector` of the type group: pods of the rule's own namespace."""

    match_labels: dict[str, str] = Field(default_factory=dict)


class DestinationRuleSpec(Spec):
    """Istio 1.27's fields."""

    host: HostOrWildcard
    traffic_policy: TrafficPolicySpec | None = None
    subsets: Items[SubsetSpec] = ()
    export_to: Items[ExportTo] = ()
    workload_selector: SelectorSpec | None = None


class DestinationRule(ObjectSpec):
    spec: DestinationRuleSpec


def lower_destination_rule(document: Document) -> Lowered:
    """One rule as written (MG1103, MG1104, MG2003, MG2004, MG2006, MG2007 beside `check`'s)."""
    value, said = check(DestinationRule, document)
    if value is None:
        return _closed(document, said)
    spec = value.spec
    lowering = PolicyLowering(document, said)
    rules = DestinationRules(
        ref=document.ref,
        namespace=document.namespace,
        host=spec.host,
        policy=lowering.policy(spec.traffic_policy, ("spec", "trafficPolicy")),
        subsets=_subsets(spec, document, lowering, said),
        export_to=spec.export_to,
        selector=tuple(sorted(spec.workload_selector.match_labels.items()))
        if spec.workload_selector
        else None,
        created=document.created,
        origin=document.locate(),
    )
    if has_errors(said):
        return _closed(document, said)
    return Lowered(declared=Declared(destination_rules=(rules,)), diagnostics=tuple(said))


def _closed(document: Document, said: list[Diagnostic]) -> Lowered:
    """What stays of a rule with errors: where its security cannot be had, its host is closed."""
    spec = document.data.get("spec")
    host = spec.get("host") if isinstance(spec, Mapping) else None
    secure = any(d.code == "MG1104" for d in said) or _begins_tls(spec)
    if not isinstance(host, str) or not host or not secure:
        return Lowered(diagnostics=tuple(said))
    rules = DestinationRules(
        ref=document.ref,
        namespace=document.namespace,
        host=host,
        policy=TrafficPolicy(tls=ClientTlsMode.MUTUAL),
        subsets=(),
        selector=_written_selector(spec),
        created=document.created,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(destination_rules=(rules,)), diagnostics=tuple(said), keep=True)


def _begins_tls(written: Json) -> bool:
    """Whether TLS of mode SIMPLE or MUTUAL is asked for: without it requests would go in the clear."""
    if isinstance(written, Mapping):
        tls = written.get("tls")
        if isinstance(tls, Mapping) and tls.get("mode") in ("SIMPLE", "MUTUAL"):
            return True
        return any(_begins_tls(one) for one in written.values())
    return isinstance(written, list | tuple) and any(_begins_tls(one) for one in written)


def _written_selector(spec: Json) -> tuple[tuple[str, str], ...] | None:
    """Whom a closed rule closes the host for; everybody where that cannot be told."""
    selector = spec.get("workloadSelector") if isinstance(spec, Mapping) else None
    labels = selector.get("matchLabels") if isinstance(selector, Mapping) else None
    if not isinstance(labels, Mapping) or not all(isinstance(v, str) for v in labels.values()):
        return None
    return tuple(sorted((key, str(value)) for key, value in labels.items()))


def _subsets(
    spec: DestinationRuleSpec, document: Document, lowering: PolicyLowering, said: list[Diagnostic]
) -> tuple[Subset, ...]:
    found: dict[str, Subset] = {}
    for index, one in enumerate(spec.subsets):
        path = ("spec", "subsets", index)
        if one.name in found:
            here = (*path, "name")
            said.append(problem(document, "MG2006", here, f"subset {one.name} is there twice"))
        found[one.name] = Subset(
            name=one.name,
            labels=MappingProxyType(dict(sorted(one.labels.items()))),
            policy=lowering.policy(one.traffic_policy, (*path, "trafficPolicy")),
            origin=document.locate(path),
        )
    return tuple(found.values())


DESTINATION_RULE = KindParser(
    group="networking.istio.io",
    kind="DestinationRule",
    versions=frozenset({"v1alpha3", "v1beta1", "v1"}),
    namespaced=True,
    lower=lower_destination_rule,
    plural="destinationrules",
    short_names=("dr",),
)
