"""EnvoyFilter: patches of Envoy's own configuration, checked against Envoy's own messages.

An EnvoyFilter with an error is left out as a whole, as Istio's validation would refuse it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic, Severity, has_errors
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.envoy_filter_match import MatchSpec
from meshgate.dialects.istio.workload_scope import GATEWAY_API, TargetRefSpec
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import Labels, ObjectSpec
from meshgate.dialects.re2 import regex_problem
from meshgate.dialects.schema import Items, Spec, check, did_you_mean, problem
from meshgate.model.declared import Declared
from meshgate.model.envoy_patch import (
    ApplyTo,
    Context,
    EnvoyFilter,
    EnvoyPatch,
    FilterClass,
    Operation,
)
from meshgate.model.service import EMPTY
from meshgate.policies.envoy_rules import broken_rules
from meshgate.policies.envoy_values import Fault, parse

_SPAN = frozenset({Operation.MERGE, Operation.MERGE_AND_REPLACE_LIST, Operation.REMOVE})
_PLACED = frozenset({Operation.ADD, Operation.INSERT_BEFORE, Operation.INSERT_AFTER, Operation.INSERT_FIRST})
_MERGES = frozenset({Operation.MERGE, Operation.MERGE_AND_REPLACE_LIST})
_OPERATIONS: Mapping[ApplyTo, frozenset[Operation]] = {
    ApplyTo.LISTENER: _SPAN | {Operation.ADD},
    ApplyTo.LISTENER_FILTER: _SPAN | _PLACED | {Operation.REPLACE},
    ApplyTo.FILTER_CHAIN: _SPAN | {Operation.ADD},
    ApplyTo.NETWORK_FILTER: _SPAN | _PLACED | {Operation.REPLACE},
    ApplyTo.HTTP_FILTER: _SPAN | _PLACED | {Operation.REPLACE},
    ApplyTo.ROUTE_CONFIGURATION: _MERGES,
    ApplyTo.VIRTUAL_HOST: _SPAN | {Operation.ADD, Operation.REPLACE},
    ApplyTo.HTTP_ROUTE: _SPAN | _PLACED,
    ApplyTo.CLUSTER: _SPAN | {Operation.ADD},
    ApplyTo.EXTENSION_CONFIG: frozenset({Operation.ADD}),
}
"""What Istio 1.27 does; other pairs it takes and does nothing."""

_MATCHED_BY = {
    **dict.fromkeys(
        (
            ApplyTo.LISTENER,
            ApplyTo.LISTENER_FILTER,
            ApplyTo.FILTER_CHAIN,
            ApplyTo.NETWORK_FILTER,
            ApplyTo.HTTP_FILTER,
        ),
        "listener",
    ),
    **dict.fromkeys(
        (ApplyTo.ROUTE_CONFIGURATION, ApplyTo.VIRTUAL_HOST, ApplyTo.HTTP_ROUTE), "routeConfiguration"
    ),
    ApplyTo.CLUSTER: "cluster",
}
_AMBIENT = "there are no waypoints here"


class WorkloadSelectorSpec(Spec):
    labels: Labels = EMPTY


class PatchSpec(Spec):
    """Istio's `Patch`; what is in `value` are Envoy's words."""

    operation: Literal[
        "MERGE",
        "ADD",
        "REMOVE",
        "INSERT_BEFORE",
        "INSERT_AFTER",
        "INSERT_FIRST",
        "REPLACE",
        "MERGE_AND_REPLACE_LIST",
    ]
    value: Mapping[str, object] | None = None
    filter_class: Literal["UNSPECIFIED", "AUTHN", "AUTHZ", "STATS"] = "UNSPECIFIED"


class ConfigPatchSpec(Spec):
    """Istio's `EnvoyConfigObjectPatch`."""

    apply_to: Literal[
        "LISTENER",
        "LISTENER_FILTER",
        "FILTER_CHAIN",
        "NETWORK_FILTER",
        "HTTP_FILTER",
        "ROUTE_CONFIGURATION",
        "VIRTUAL_HOST",
        "HTTP_ROUTE",
        "CLUSTER",
        "EXTENSION_CONFIG",
        "BOOTSTRAP",
    ]
    match: MatchSpec = MatchSpec()
    patch: PatchSpec


class EnvoyFilterSpec(Spec):
    """Istio 1.27's fields."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {}

    workload_selector: WorkloadSelectorSpec | None = None
    target_refs: Items[TargetRefSpec] = ()
    config_patches: Items[ConfigPatchSpec] = ()
    priority: Annotated[int, Field(ge=-(2**31), le=2**31 - 1)] = 0


class EnvoyFilterObject(ObjectSpec):
    spec: EnvoyFilterSpec = EnvoyFilterSpec()


def lower_envoy_filter(document: Document) -> Lowered:
    """Its patches, in order; MG1104 for what cannot be patched here, MG2010 for values that Envoy refuses."""
    value, said = check(EnvoyFilterObject, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    lowering = _Lowering(document, value.spec, said)
    patches = [lowering.patch(index, one) for index, one in enumerate(value.spec.config_patches)]
    lowering.report_targets()
    found = EnvoyFilter(
        ref=document.ref,
        namespace=document.namespace,
        priority=value.spec.priority,
        patches=tuple(p for p in patches if p is not None),
        created=document.created,
        origin=document.locate(),
    )
    refused = frozenset(id(d) for d in lowering.kept)
    keep = not has_errors(d for d in said if id(d) not in refused)
    return Lowered(declared=Declared(envoy_filters=(found,)), diagnostics=tuple(said), keep=keep)


class _Lowering:
    def __init__(self, document: Document, spec: EnvoyFilterSpec, said: list[Diagnostic]) -> None:
        self._document, self._spec, self._said = document, spec, said
        self.kept: list[Diagnostic] = []
        """Errors about one patch, beside which the others hold."""

    def report_targets(self) -> None:
        """MG1104 for targets that cannot be here, MG2006 for a selector beside them."""
        for index, ref in enumerate(self._spec.target_refs):
            if ref.group == GATEWAY_API and ref.kind == "Gateway" and ref.name:
                continue
            name = f"{ref.kind or 'a target without a kind'} {ref.name}".strip()
            self._add(
                "MG1104",
                ("spec", "targetRefs", index),
                f"{name} is no target that patches can have here",
                remedy="name a Gateway of gateway.networking.k8s.io, or select workloads",
            )
        if self._spec.target_refs and self._spec.workload_selector is not None:
            self._add("MG2006", ("spec", "workloadSelector"), "cannot be set together with targetRefs")

    def patch(self, index: int, spec: ConfigPatchSpec) -> EnvoyPatch | None:
        """One patch; None where it cannot be had."""
        path: FieldPath = ("spec", "configPatches", index)
        if spec.apply_to == "BOOTSTRAP":
            self.kept.append(
                self._add(
                    "MG1104",
                    (*path, "applyTo"),
                    "Envoy's bootstrap is not patched; what the patch would guard stays open",
                )
            )
            return None
        apply_to, operation = ApplyTo(spec.apply_to), Operation(spec.patch.operation)
        if operation not in _OPERATIONS[apply_to]:
            allowed = ", ".join(o.value for o in Operation if o in _OPERATIONS[apply_to])
            self._add("MG2006", (*path, "patch", "operation"), f"{apply_to.value} takes {allowed}")
            return None
        match = spec.match
        written = self._written((*path, "match"))
        if match.context == "WAYPOINT" or _child(written, "waypoint") is not None:
            self._add("MG1103", (*path, "match", "context"), f"has no effect: {_AMBIENT}", Severity.WARNING)
            return None
        if _child(_child(written, "routeConfiguration"), "portName") is not None:
            return None  # said by `check`; without it the patch would find too much
        self._check_match(apply_to, match, (*path, "match"))
        proxy = match.proxy
        return EnvoyPatch(
            ref=self._document.ref,
            index=index,
            apply_to=apply_to,
            operation=operation,
            context=Context(match.context),
            selector=self._spec.workload_selector.labels if self._spec.workload_selector else EMPTY,
            gateways=tuple(ref.name for ref in self._spec.target_refs),
            proxy_version=proxy.proxy_version,
            proxy_metadata=proxy.metadata,
            listener=match.listener.lower() if match.listener else None,
            routes=match.route_configuration.lower() if match.route_configuration else None,
            cluster=match.cluster.lower() if match.cluster else None,
            filter_class=self._filter_class(apply_to, operation, spec.patch, (*path, "patch")),
            value=self._value(apply_to, operation, spec.patch, (*path, "patch")),
            origin=self._document.locate(path),
        )

    def _written(self, path: FieldPath) -> object:
        node: object = self._document.data
        for part in path:
            node = _child(node, part)
        return node

    def _check_match(self, apply_to: ApplyTo, match: MatchSpec, path: FieldPath) -> None:
        given = [name for name in ("listener", "routeConfiguration", "cluster") if match.has(name)]
        wanted = _MATCHED_BY.get(apply_to, "")
        for name in given:
            if name != wanted:
                self._add(
                    "MG2006",
                    (*path, name),
                    f"cannot match for {apply_to.value}",
                    remedy=f"match by {wanted}" if wanted else "leave it out",
                )
        wrong = regex_problem(match.proxy.proxy_version) if match.proxy.proxy_version else ""
        if wrong:
            self._add("MG2002", (*path, "proxy", "proxyVersion"), wrong)

    def _filter_class(
        self, apply_to: ApplyTo, operation: Operation, spec: PatchSpec, path: FieldPath
    ) -> FilterClass:
        found = FilterClass(spec.filter_class)
        filters = (ApplyTo.HTTP_FILTER, ApplyTo.NETWORK_FILTER)
        if found is not FilterClass.UNSPECIFIED and (
            operation is not Operation.ADD or apply_to not in filters
        ):
            self._add("MG2006", (*path, "filterClass"), "is for filters that are added (ADD)")
        return found

    def _value(self, apply_to: ApplyTo, operation: Operation, spec: PatchSpec, path: FieldPath) -> bytes:
        here = (*path, "value")
        if operation is Operation.REMOVE:
            if spec.value is not None:
                self._add("MG2006", here, "has no effect with REMOVE", Severity.WARNING)
            return b""
        if spec.value is None:
            self._add("MG2003", here, "is required")
            return b""
        message, faults = parse(apply_to, spec.value)
        if message is not None:
            faults = tuple(broken_rules(message, partial=operation in _MERGES))
        self._report(faults, here)
        return message.SerializeToString(deterministic=True) if message is not None else b""

    def _report(self, faults: Iterable[Fault], path: FieldPath) -> None:
        for fault in faults:
            self._add(
                "MG2010",
                (*path, *self._as_written(fault.path, path)),
                fault.message,
                remedy=did_you_mean(fault.written, fault.known) if fault.written else "",
            )

    def _as_written(self, path: FieldPath, base: FieldPath) -> FieldPath:
        """Rules name fields as protos do; a manifest may have the JSON name."""
        node = self._written(base)
        result: list[str | int] = []
        for part in path:
            camel = re.sub(r"_([a-z])", lambda m: m.group(1).upper(), part) if isinstance(part, str) else part
            chosen = part if _child(node, part) is not None else camel
            if _child(node, chosen) is None:
                chosen = part
            result.append(chosen)
            node = _child(node, chosen)
        return tuple(result)

    def _add(
        self,
        code: str,
        path: FieldPath,
        message: str,
        severity: Severity = Severity.ERROR,
        remedy: str = "",
    ) -> Diagnostic:
        found = problem(self._document, code, path, message, severity=severity, remedy=remedy, key=True)
        self._said.append(found)
        return found


def _child(node: object, part: str | int) -> object:
    if isinstance(node, Mapping):
        return node.get(part)
    if isinstance(node, list | tuple) and isinstance(part, int) and part < len(node):
        return node[part]
    return None


ENVOY_FILTER = KindParser(
    group="networking.istio.io",
    kind="EnvoyFilter",
    versions=frozenset({"v1alpha3"}),
    namespaced=True,
    lower=lower_envoy_filter,
    plural="envoyfilters",
)
