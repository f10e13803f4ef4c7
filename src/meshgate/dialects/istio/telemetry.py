"""Telemetry: what access logs, metrics and traces tell about which workloads (Istio 1.27).

Expressions are checked here, for Envoy would refuse a whole listener for a wrong one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.cel import check_cel
from meshgate.dialects.istio.log_format import format_problem
from meshgate.dialects.istio.workload_scope import WorkloadSelectorSpec
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, Spec, check, problem
from meshgate.model.declared import Declared
from meshgate.model.telemetry import (
    AccessLogRule,
    Metric,
    MetricOverride,
    MetricsRule,
    Mode,
    SpanTag,
    TagKind,
    TagOverride,
    TelemetryObject,
    TracingRule,
)

ModeName = Literal["CLIENT_AND_SERVER", "CLIENT", "SERVER"]
_GRPC_MESSAGES = ("GRPC_REQUEST_MESSAGES", "GRPC_RESPONSE_MESSAGES")
_TARGETS = ("targetRef", "targetRefs")


class ProviderRefSpec(Spec):
    name: Annotated[str, Field(min_length=1)]


class ModeSpec(Spec):
    """Istio's `TracingSelector` and `LogSelector`."""

    mode: ModeName = "CLIENT_AND_SERVER"


class LiteralSpec(Spec):
    value: Annotated[str, Field(min_length=1)]


class NamedSpec(Spec):
    """A variable of the proxy's environment, or a header of the request."""

    name: Annotated[str, Field(min_length=1)]
    default_value: str = ""


class FormatterSpec(Spec):
    value: Annotated[str, Field(min_length=1)]


class CustomTagSpec(Spec):
    """One of four."""

    literal: LiteralSpec | None = None
    environment: NamedSpec | None = None
    header: NamedSpec | None = None
    formatter: FormatterSpec | None = None

    def lower(self) -> SpanTag | None:
        """The tag; None unless exactly one kind is set."""
        found = [
            SpanTag(kind=kind, value=spec.name, default=spec.default_value)
            for kind, spec in ((TagKind.ENVIRONMENT, self.environment), (TagKind.HEADER, self.header))
            if spec is not None
        ]
        if self.literal is not None:
            found.append(SpanTag(kind=TagKind.LITERAL, value=self.literal.value))
        if self.formatter is not None:
            found.append(SpanTag(kind=TagKind.FORMATTER, value=self.formatter.value))
        return found[0] if len(found) == 1 else None


class TracingSpec(Spec):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "useRequestIdForTraceSampling": "the request id always carries the decision, as is the default",
        "enableIstioTags": "spans have no istio.* tags but those that customTags add",
        "disableContextPropagation": "the trace's context is always passed on",
    }

    match: ModeSpec = ModeSpec()
    providers: Items[ProviderRefSpec] = ()
    random_sampling_percentage: Annotated[float, Field(ge=0, le=100)] | None = None
    disable_span_reporting: bool | None = None
    custom_tags: Mapping[str, CustomTagSpec] | None = None


class MetricSelectorSpec(Spec):
    metric: (
        Literal[
            "ALL_METRICS",
            "REQUEST_COUNT",
            "REQUEST_DURATION",
            "REQUEST_SIZE",
            "RESPONSE_SIZE",
            "TCP_OPENED_CONNECTIONS",
            "TCP_CLOSED_CONNECTIONS",
            "TCP_SENT_BYTES",
            "TCP_RECEIVED_BYTES",
            "GRPC_REQUEST_MESSAGES",
            "GRPC_RESPONSE_MESSAGES",
        ]
        | None
    ) = None
    custom_metric: Annotated[str, Field(min_length=1)] | None = None
    mode: ModeName = "CLIENT_AND_SERVER"

    def metrics(self) -> tuple[Metric, ...]:
        """Those that are meant; empty where Meshgate counts none of that name."""
        if self.custom_metric is not None:
            name = self.custom_metric.removeprefix("istio_")
            return tuple(metric for metric in Metric if metric.value == name)
        if self.metric in (None, "ALL_METRICS"):
            return tuple(Metric)
        return tuple(metric for metric in Metric if metric.name == self.metric)


class TagOverrideSpec(Spec):
    operation: Literal["UPSERT", "REMOVE"] = "UPSERT"
    value: str = ""


class MetricsOverridesSpec(Spec):
    match: MetricSelectorSpec = MetricSelectorSpec()
    disabled: bool | None = None
    tag_overrides: Mapping[str, TagOverrideSpec] = Field(default_factory=dict)


class MetricsSpec(Spec):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "reportingInterval": "a connection's bytes are counted when it ends"
    }

    providers: Items[ProviderRefSpec] = ()
    overrides: Items[MetricsOverridesSpec] = ()


class FilterSpec(Spec):
    expression: str = ""


class AccessLoggingSpec(Spec):
    match: ModeSpec = ModeSpec()
    providers: Items[ProviderRefSpec] = ()
    disabled: bool = False
    filter: FilterSpec = FilterSpec()


class TelemetrySpec(Spec):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = dict.fromkeys(
        _TARGETS, "there are no waypoints, and one gateway that a selector names; the object has no effect"
    )

    selector: WorkloadSelectorSpec = WorkloadSelectorSpec()
    tracing: Items[TracingSpec] = ()
    metrics: Items[MetricsSpec] = ()
    access_logging: Items[AccessLoggingSpec] = ()


class Telemetry(ObjectSpec):
    spec: TelemetrySpec = TelemetrySpec()


def lower_telemetry(document: Document) -> Lowered:
    """One Telemetry with all of its rules; providers stay names."""
    value, said = check(Telemetry, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    spec = value.spec
    written = document.data.get("spec")
    if isinstance(written, Mapping) and any(written.get(name) for name in _TARGETS):
        return Lowered(diagnostics=tuple(said))
    reader = _Reader(document, said)
    found = TelemetryObject(
        ref=document.ref,
        namespace=document.namespace,
        selector=MappingProxyType(dict(sorted(spec.selector.match_labels.items()))),
        tracing=tuple(reader.tracing(one, i) for i, one in enumerate(spec.tracing)),
        metrics=tuple(reader.metrics(one, i) for i, one in enumerate(spec.metrics)),
        access_logs=tuple(reader.access_log(one, i) for i, one in enumerate(spec.access_logging)),
        created=document.created,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(telemetries=(found,)), diagnostics=tuple(said))


class _Reader:
    """Lowers entry by entry and says what is wrong with them."""

    def __init__(self, document: Document, said: list[Diagnostic]) -> None:
        self._document, self._said = document, said

    def tracing(self, spec: TracingSpec, index: int) -> TracingRule:
        path: FieldPath = ("spec", "tracing", index)
        tags: dict[str, SpanTag] | None = None
        if spec.custom_tags is not None:
            tags = {}
            for name, one in sorted(spec.custom_tags.items()):
                at = (*path, "customTags", name)
                tag = one.lower()
                if tag is None:
                    rule = "must have exactly one of literal, environment, header and formatter"
                    self._say("MG2006", at, rule)
                    continue
                wrong = format_problem(tag.value) if tag.kind is TagKind.FORMATTER else ""
                if wrong:
                    self._say("MG2002", (*at, "formatter", "value"), wrong)
                tags[name] = tag
        return TracingRule(
            providers=tuple(p.name for p in spec.providers),
            mode=Mode(spec.match.mode),
            sampling_percent=spec.random_sampling_percentage,
            disabled=spec.disable_span_reporting,
            tags=MappingProxyType(tags) if tags is not None else None,
            origin=self._document.locate(path),
        )

    def metrics(self, spec: MetricsSpec, index: int) -> MetricsRule:
        path: FieldPath = ("spec", "metrics", index)
        overrides = []
        for number, one in enumerate(spec.overrides):
            at = (*path, "overrides", number)
            match = one.match
            if match.metric is not None and match.custom_metric is not None:
                self._say("MG2006", (*at, "match"), "must have metric or customMetric, not both")
            meant = match.metrics()
            if not meant:
                name = "metric" if match.custom_metric is None else "customMetric"
                why = "messages of gRPC are not counted" if name == "metric" else "there is no such metric"
                self._warn((*at, "match", name), f"has no effect: {why}")
            tags = tuple(
                self._tag(name, tag, (*at, "tagOverrides", name))
                for name, tag in sorted(one.tag_overrides.items())
            )
            overrides.append(
                MetricOverride(
                    metrics=meant,
                    everything=match.metric == "ALL_METRICS",
                    mode=Mode(match.mode),
                    disabled=one.disabled,
                    tags=tags,
                )
            )
        return MetricsRule(
            providers=tuple(p.name for p in spec.providers),
            overrides=tuple(overrides),
            origin=self._document.locate(path),
        )

    def access_log(self, spec: AccessLoggingSpec, index: int) -> AccessLogRule:
        path: FieldPath = ("spec", "accessLogging", index)
        condition = spec.filter.expression
        if condition:
            self._check_cel(condition, (*path, "filter", "expression"), strings=True)
        return AccessLogRule(
            providers=tuple(p.name for p in spec.providers),
            mode=Mode(spec.match.mode),
            disabled=spec.disabled,
            condition=condition,
            origin=self._document.locate(path),
        )

    def _tag(self, name: str, spec: TagOverrideSpec, path: FieldPath) -> TagOverride:
        if not name.isidentifier() or not name.isascii():
            self._say("MG2004", path, "must be a label's name: letters, digits and '_'")
        if spec.operation == "REMOVE":
            return TagOverride(name=name)
        text = _without_string(spec.value.strip())
        if not text:
            self._say("MG2003", path, "UPSERT needs a value, a CEL expression")
        elif ")%" in text:
            self._say("MG2002", (*path, "value"), "must not have ')%', which ends Envoy's command")
        else:
            self._check_cel(text, (*path, "value"), strings=False)
        return TagOverride(name=name, expression=text)

    def _check_cel(self, text: str, path: FieldPath, *, strings: bool) -> None:
        found = check_cel(text, strings=strings)
        if found.problem:
            self._say("MG2002", path, found.problem)
        for name in found.unknown:
            self._warn(path, f"{name} is no attribute that Envoy knows; it never has a value")

    def _say(self, code: str, path: FieldPath, message: str) -> None:
        self._said.append(problem(self._document, code, path, message))

    def _warn(self, path: FieldPath, message: str) -> None:
        self._said.append(problem(self._document, "MG1103", path, message, severity=Severity.WARNING))


def _without_string(text: str) -> str:
    """`string(x)` as `x`: labels are text anyway, and Envoy has no such function here."""
    inner = text.removeprefix("string(")
    if inner == text or not text.endswith(")"):
        return text
    depth = 0
    for char in inner[:-1]:
        depth += (char == "(") - (char == ")")
        if depth < 0:
            return text
    return inner[:-1].strip()


TELEMETRY = KindParser(
    group="telemetry.istio.io",
    kind="Telemetry",
    versions=frozenset({"v1alpha1", "v1"}),
    namespaced=True,
    lower=lower_telemetry,
    plural="telemetries",
    short_names=("telemetry",),
)
