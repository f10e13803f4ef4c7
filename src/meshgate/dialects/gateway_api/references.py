"""What Gateway API objects name other objects by: parents, backends, certificates; and hostnames."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document, is_dns_label, is_dns_name
from meshgate.dialects.gateway_api.limits import Group, Kind, ObjectName
from meshgate.dialects.schema import Items, Spec, fault
from meshgate.model.gateway_api import GATEWAY_GROUP, LabelSelector, NamespacePolicy, ParentRef, Reference
from meshgate.model.names import Name

PortNumber = Annotated[int, Field(ge=1, le=65535)]

_DURATION = re.compile(r"(\d{1,5}(h|m|s|ms)){1,4}")
_UNITS_MS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}


def duration_ms(value: object) -> float:
    """Milliseconds of a duration as the API writes it."""
    if not isinstance(value, str) or _DURATION.fullmatch(value) is None:
        raise fault("MG2002", "must be a duration of h, m, s and ms", "write it like 30s, 1m30s or 250ms")
    return float(sum(int(n) * _UNITS_MS[u] for n, u in re.findall(r"(\d+)(h|ms|m|s)", value)))


Duration = Annotated[float, BeforeValidator(duration_ms)]
"""The Gateway API's duration (GEP-2257), in milliseconds."""


def _hostname(text: str) -> str:
    if not is_dns_name(text.removeprefix("*.")) or text.replace(".", "").isdecimal():
        raise fault("MG2004", "must be a lower-case host name, whose first label may be `*`; no address")
    return text


def _precise(text: str) -> str:
    if not is_dns_name(text) or text.replace(".", "").isdecimal():
        raise fault("MG2004", "must be a lower-case host name; no wildcard and no address")
    return text


def _namespace(text: str) -> str:
    if not is_dns_label(text):
        raise fault("MG2004", "must be a namespace's name")
    return text


Hostname = Annotated[str, AfterValidator(_hostname)]
PreciseHostname = Annotated[str, AfterValidator(_precise)]
NamespaceName = Annotated[str, AfterValidator(_namespace)]
SectionName = Annotated[str, AfterValidator(_precise)]


class ParentRefSpec(Spec):
    """`ParentReference`."""

    group: Group = GATEWAY_GROUP
    kind: Kind = "Gateway"
    namespace: NamespaceName | None = None
    name: ObjectName
    section_name: SectionName = ""
    port: PortNumber | None = None

    def lower(self, document: Document, path: FieldPath) -> ParentRef:
        """The parent, in the document's namespace where none is written."""
        return ParentRef(
            group=self.group,
            kind=self.kind,
            name=Name(self.namespace or document.namespace, self.name),
            section=self.section_name,
            port=self.port or 0,
            namespace_given=self.namespace is not None,
            origin=document.locate(path),
        )


class ObjectRefSpec(Spec):
    """`ObjectReference`, `SecretObjectReference` and their like; a Secret where nothing is said."""

    group: Group = ""
    kind: Kind = "Secret"
    namespace: NamespaceName | None = None
    name: ObjectName

    def lower(self, document: Document, path: FieldPath) -> Reference:
        """The reference, in the document's namespace where none is written."""
        return Reference(
            group="" if self.group == "core" else self.group,
            kind=self.kind,
            name=Name(self.namespace or document.namespace, self.name),
            origin=document.locate(path),
        )


class BackendObjectSpec(Spec):
    """`BackendObjectReference`."""

    group: Group = ""
    kind: Kind = "Service"
    namespace: NamespaceName | None = None
    name: ObjectName
    port: PortNumber | None = None

    @model_validator(mode="after")
    def _names_a_port(self) -> Self:
        if self.group in ("", "core") and self.kind == "Service" and self.port is None:
            raise fault("MG2003", "needs the port of the Service", "add `port`")
        return self


def lower_backend(spec: BackendObjectSpec, document: Document, path: FieldPath) -> Reference:
    """The reference to what answers."""
    return Reference(
        group="" if spec.group == "core" else spec.group,
        kind=spec.kind,
        name=Name(spec.namespace or document.namespace, spec.name),
        port=spec.port or 0,
        origin=document.locate(path),
    )


class ExpressionSpec(Spec):
    """One of a selector's `matchExpressions`."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: Items[str] = ()


class SelectorSpec(Spec):
    """`LabelSelector`."""

    match_labels: dict[str, str] = Field(default_factory=dict)
    match_expressions: Items[ExpressionSpec] = ()


class NamespacesSpec(Spec):
    """`RouteNamespaces` and `ListenerNamespaces`; without `from`, what the caller says."""

    from_: Literal["All", "Selector", "Same", "None"] | None = Field(default=None, alias="from")
    selector: SelectorSpec | None = None

    def lower(self, default: str) -> NamespacePolicy:
        """From where something may come."""
        selector = self.selector or SelectorSpec()
        return NamespacePolicy(
            source=self.from_ or default,
            selector=LabelSelector(
                labels=dict(sorted(selector.match_labels.items())),
                expressions=tuple((e.key, e.operator, e.values) for e in selector.match_expressions),
            ),
        )
