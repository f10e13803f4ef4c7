"""Which workloads a security policy is about: `selector` and `targetRef`, also of broken ones.

What cannot be honoured must not open anything: a policy with errors is lowered to one that
closes the workloads that it would have guarded. Where even its selector cannot be read that
is its whole namespace.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document, Json
from meshgate.dialects.metadata import Labels
from meshgate.dialects.schema import Items, Spec, problem
from meshgate.model.authorization import Target, TargetKind
from meshgate.model.service import EMPTY

GATEWAY_API = "gateway.networking.k8s.io"


class WorkloadSelectorSpec(Spec):
    """Istio's `WorkloadSelector`."""

    match_labels: Labels = EMPTY


class TargetRefSpec(Spec):
    """Istio's `PolicyTargetReference`."""

    group: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""


class ScopedSpec(Spec):
    """What AuthorizationPolicy and RequestAuthentication share."""

    selector: WorkloadSelectorSpec = WorkloadSelectorSpec()
    target_ref: TargetRefSpec | None = None
    target_refs: Items[TargetRefSpec] = ()


def report_targets(spec: ScopedSpec, document: Document, said: list[Diagnostic]) -> None:
    """MG1104 for each `targetRef` that is no Gateway of the Gateway API: waypoints do not exist here."""
    refs: list[tuple[FieldPath, TargetRefSpec]] = []
    if spec.target_ref is not None:
        refs.append((("spec", "targetRef"), spec.target_ref))
    refs += [(("spec", "targetRefs", i), ref) for i, ref in enumerate(spec.target_refs)]
    for path, ref in refs:
        beside = ref.namespace in ("", document.namespace)
        if (ref.group, ref.kind) == (GATEWAY_API, "Gateway") and ref.name and beside:
            continue
        name = f"{ref.kind or 'a target without a kind'} {ref.name}".strip()
        said.append(
            problem(
                document,
                "MG1104",
                path,
                f"{name} is no target that policies can have here",
                remedy="select workloads by selector.matchLabels, or name a Gateway beside the policy",
                key=True,
            )
        )
    if refs and spec.selector.match_labels:
        said.append(
            problem(
                document, "MG2006", ("spec", "selector"), "cannot be set together with targetRef", key=True
            )
        )


def selected(document: Document) -> Mapping[str, str]:
    """The selector's labels as far as they can be read; empty selects the whole namespace."""
    labels = _at(document.data, "spec", "selector", "matchLabels")
    selector = _at(document.data, "spec", "selector")
    if (
        not isinstance(labels, Mapping)
        or not isinstance(selector, Mapping)
        or set(selector) != {"matchLabels"}
    ):
        return EMPTY
    if not all(isinstance(v, str) for v in labels.values()):
        return EMPTY
    return MappingProxyType({key: str(labels[key]) for key in sorted(labels)})


def targets(document: Document) -> tuple[Target, ...]:
    """What the `targetRef`s name, as far as they can be read."""
    refs = [_at(document.data, "spec", "targetRef")]
    listed = _at(document.data, "spec", "targetRefs")
    refs += listed if isinstance(listed, list | tuple) else [listed]
    return tuple(_target(ref) for ref in refs if ref is not None)


def closing(document: Document, said: list[Diagnostic]) -> str:
    """Why a policy with these errors closes its workloads; says so as a diagnostic of its own."""
    first = next(d for d in said if d.severity is Severity.ERROR)
    reason = f"{document.ref} cannot be honoured ({first.code})"
    said.append(
        problem(
            document,
            "MG1104",
            ("kind",),
            "cannot be honoured as it is; until it is mended the workloads that it selects let nothing in",
        )
    )
    return reason


def _target(ref: Json) -> Target:
    if isinstance(ref, Mapping):
        group, kind, name = (str(ref.get(k) or "") for k in ("group", "kind", "name"))
        if group == GATEWAY_API and kind in ("Gateway", "GatewayClass"):
            return Target(kind=TargetKind.GATEWAY, name=name)
        if group in ("", "core") and kind == "Service" and name:
            return Target(kind=TargetKind.SERVICE, name=name)
    return Target(kind=TargetKind.OTHER, name="")


def _at(data: Json, *path: str) -> Json:
    node: Json = data
    for part in path:
        if not isinstance(node, Mapping):
            return None
        node = node.get(part)
    return node
