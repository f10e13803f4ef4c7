"""What each proxy tells about its traffic: Telemetry and MeshConfig, by Istio 1.27's precedence.

The mesh's oldest Telemetry without a selector holds everywhere, a namespace's adds to it, and
the oldest one that selects the workload adds to both; what a later one says replaces what an
earlier one said, field by field as Istio merges them. Internal to `link`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.origin import Origin
from meshgate.model.graph import EDGE
from meshgate.model.linking.gateway_hosts import takes_gateway
from meshgate.model.linking.input import Findings, Input, oldest_first
from meshgate.model.linking.workloads import selects
from meshgate.model.mesh_config import (
    MESH_CONFIG_REF,
    FileAccessLog,
    LogFormat,
    OpenTelemetryAccessLog,
    OpenTelemetryTracing,
    PrometheusMetrics,
    Provider,
    ProviderAddress,
    ZipkinTracing,
)
from meshgate.model.names import GATEWAY_NAMESPACE, ROOT_NAMESPACE, requested_host
from meshgate.model.route import Destination
from meshgate.model.telemetry import (
    MESH_KEY,
    NO_TAGS,
    STANDARD,
    AccessLog,
    AccessLogRule,
    Measure,
    Metric,
    MetricsRule,
    Mode,
    Observation,
    Observed,
    SpanTag,
    TelemetryObject,
    Tracing,
    namespace_key,
)
from meshgate.model.workload import Workload

DEFAULT_SAMPLING_PERCENT = 1.0
"""Istio's."""
_EDGE_NAMESPACES = (GATEWAY_NAMESPACE, "istio-ingress")
"""Beside the root namespace: where Telemetries for the gateway are."""
_BUILT_IN: Mapping[str, Provider] = MappingProxyType(
    {"envoy": FileAccessLog(), "prometheus": PrometheusMetrics()}
)
"""Providers that Istio has without MeshConfig."""


def link_telemetry(
    given: Input, workloads: Mapping[str, Workload], findings: Findings
) -> dict[str, Observation]:
    """By `*` (the mesh), `<namespace>/*`, workload key and `gateway`, only where it differs."""
    telemetry = _Telemetry(given, findings)
    found: dict[str, Observation] = {}
    mesh = telemetry.of(())
    if mesh != STANDARD:
        found[MESH_KEY] = mesh
    for namespace in telemetry.namespaces():
        wide = telemetry.of(telemetry.wide(namespace))
        if namespace != ROOT_NAMESPACE and wide != mesh:
            found[namespace_key(namespace)] = wide
        for key, workload in workloads.items():
            if workload.meshed and workload.name.namespace == namespace:
                chosen = telemetry.selecting(namespace, workload.labels)
                if chosen is not None:
                    found[key] = telemetry.of((*telemetry.wide(namespace), chosen))
    edge = telemetry.edge()
    if edge != mesh:
        found[EDGE] = edge
    telemetry.report_idle()
    return found


class _Telemetry:
    def __init__(self, given: Input, findings: Findings) -> None:
        self._given, self._findings = given, findings
        self._objects = oldest_first(given.declared.telemetries)
        self._used: set[int] = set()
        self._said: set[tuple[Origin, str]] = set()

    def namespaces(self) -> list[str]:
        return sorted({one.namespace for one in self._objects})

    def wide(self, namespace: str) -> tuple[TelemetryObject, ...]:
        """A namespace's own, without a selector; only the oldest counts (MG3008)."""
        if namespace == ROOT_NAMESPACE:
            return ()
        return self._first(o for o in self._objects if o.namespace == namespace and not o.selector)

    def selecting(self, namespace: str, labels: Mapping[str, str]) -> TelemetryObject | None:
        """The oldest of a namespace that selects a workload."""
        found = self._first(
            o
            for o in self._objects
            if o.namespace == namespace and o.selector and selects(o.selector, labels)
        )
        return found[0] if found else None

    def edge(self) -> Observation:
        """The gateway's: of its namespaces' Telemetries, and those that select it."""
        objects = [o for namespace in _EDGE_NAMESPACES for o in self.wide(namespace)]
        inside = (*_EDGE_NAMESPACES, ROOT_NAMESPACE)
        chosen = self._first(
            o for o in self._objects if o.namespace in inside and o.selector and takes_gateway(o.selector)
        )
        return self.of((*objects, *chosen))

    def _first(self, objects: Iterable[TelemetryObject]) -> tuple[TelemetryObject, ...]:
        found = tuple(objects)
        self._used.update(id(one) for one in found)
        for other in found[1:]:
            if (other.origin, "later") not in self._said:
                self._said.add((other.origin, "later"))
                self._findings.warn(
                    "MG3008",
                    other.origin,
                    other.ref,
                    f"{found[0].ref} at {found[0].origin} is older and says it for the same workloads",
                    "join the two",
                    ("spec",),
                )
        return found[:1]

    def report_idle(self) -> None:
        """MG3007 for every Telemetry whose selector took nothing."""
        for one in self._objects:
            if one.selector and id(one) not in self._used:
                wanted = ", ".join(f"{k}={v}" for k, v in one.selector.items())
                self._findings.warn(
                    "MG3007",
                    one.origin,
                    one.ref,
                    f"no meshed Deployment in namespace {one.namespace} has the pod labels {wanted}",
                    "make the selector and the pod template's labels agree",
                    ("spec", "selector"),
                )

    def of(self, objects: Sequence[TelemetryObject]) -> Observation:
        """What holds where these, the widest first, come after the mesh's own."""
        root = self._first(o for o in self._objects if o.namespace == ROOT_NAMESPACE and not o.selector)
        merged = _Merging(self, (*root, *objects))
        return Observation(client=merged.side(Mode.CLIENT), server=merged.side(Mode.SERVER))

    # ---- providers ----

    def provider(self, name: str, origin: Origin, ref: ObjectRef) -> Provider | None:
        """The provider of that name, in any case; MG3031 where there is none."""
        for one in self._given.mesh_config.extension_providers:
            if one.name.lower() == name.lower():
                return one.provider
        found = _BUILT_IN.get(name.lower())
        if found is None:
            self.missing(name, origin, ref, "MeshConfig has no extension provider of that name")
        return found

    def collector(
        self, name: str, address: ProviderAddress, origin: Origin, ref: ObjectRef
    ) -> Destination | None:
        """Where a provider answers; MG3031 where that is no service's port."""
        host = requested_host(address.service.rpartition("/")[2], ROOT_NAMESPACE)
        service = self._given.hosts.get(host)
        if service is None or service.port(address.port) is None:
            where = f"{address.service} port {address.port}"
            self.missing(name, origin, ref, f"its service {where} does not exist; nothing is sent")
            return None
        return Destination(host=host, port=address.port)

    def missing(self, name: str, origin: Origin, ref: ObjectRef, why: str) -> None:
        """Says MG3031 once for each place."""
        if (origin, name) in self._said:
            return
        self._said.add((origin, name))
        self._findings.warn("MG3031", origin, ref, f"provider {name}: {why}", "see extensionProviders")

    def mesh_log_format(self) -> LogFormat:
        """What MeshConfig says for logs whose provider says nothing."""
        return self._given.mesh_config.access_log_format

    def mesh_log(self) -> AccessLog | None:
        """`accessLogFile`: the log where neither Telemetry nor a default provider says anything."""
        path = self._given.mesh_config.access_log_file
        if not path:
            return None
        return AccessLog(provider=FileAccessLog(path=path, format=self.mesh_log_format()))

    @property
    def defaults(self) -> _Defaults:
        config = self._given.mesh_config
        sampling = config.defaults.tracing_sampling_percent
        return _Defaults(
            tracing=config.default_providers.tracing,
            metrics=config.default_providers.metrics or ("prometheus",),
            access_logs=config.default_providers.access_logging,
            sampling_percent=DEFAULT_SAMPLING_PERCENT if sampling is None else sampling,
            origin=config.origin,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Defaults:
    """What MeshConfig says."""

    tracing: tuple[str, ...]
    metrics: tuple[str, ...]
    access_logs: tuple[str, ...]
    sampling_percent: float
    origin: Origin


class _Merging:
    """The Telemetries that hold for one proxy, the widest first."""

    def __init__(self, telemetry: _Telemetry, objects: Sequence[TelemetryObject]) -> None:
        self._telemetry, self._objects = telemetry, objects
        self._defaults = telemetry.defaults

    def side(self, side: Mode) -> Observed:
        return Observed(
            tracing=self._tracing(side), access_logs=self._access_logs(side), measures=self._measures(side)
        )

    # ---- access logs ----

    def _access_logs(self, side: Mode) -> tuple[AccessLog, ...]:
        """Istio's `mergeLogs`: the narrowest level that names providers says which there are at all."""
        levels = [(o.ref, o.access_logs) for o in self._objects if o.access_logs]
        if not levels and not self._defaults.access_logs:
            legacy = self._telemetry.mesh_log()
            return (legacy,) if legacy is not None else ()
        in_scope: tuple[str, ...] = self._defaults.access_logs
        conditions: dict[str, str] = {}
        for _, rules in levels:
            named = [(name, rule) for rule in rules for name in rule.providers]
            conditions.update({name: rule.condition for name, rule in named})
            if named:
                in_scope = tuple(name for name, _ in named)
        chosen: dict[str, tuple[AccessLogRule, ObjectRef]] = {}
        found = dict.fromkeys(in_scope if not levels else (), "")
        parents = self._defaults.access_logs
        for ref, rules in levels:
            for rule in rules:
                parents = rule.providers or parents
                for name in parents:
                    if name not in in_scope or not rule.mode.takes(side):
                        continue
                    if rule.disabled:
                        found.pop(name, None)
                    else:
                        found[name] = rule.condition or conditions.get(name, "")
                        chosen[name] = (rule, ref)
        logs = []
        for name, condition in sorted(found.items()):
            rule_ref = chosen.get(name)
            origin = rule_ref[0].origin if rule_ref else self._defaults.origin
            ref = rule_ref[1] if rule_ref else MESH_CONFIG_REF
            log = self._log(name, condition, origin, ref)
            if log is not None:
                logs.append(log)
        return tuple(logs)

    def _log(self, name: str, condition: str, origin: Origin, ref: ObjectRef) -> AccessLog | None:
        provider = self._telemetry.provider(name, origin, ref)
        match provider:
            case FileAccessLog():
                if name.lower() == "envoy" and provider.format == LogFormat():
                    # Of the built-in provider MeshConfig says the format, as in Istio.
                    provider = FileAccessLog(path=provider.path, format=self._telemetry.mesh_log_format())
                return AccessLog(provider=provider, condition=condition)
            case OpenTelemetryAccessLog(address=address):
                collector = self._telemetry.collector(name, address, origin, ref)
                if collector is None:
                    return None
                return AccessLog(provider=provider, collector=collector, condition=condition)
            case None:
                return None
            case _:
                self._telemetry.missing(name, origin, ref, "it writes no access log")
                return None

    # ---- tracing ----

    def _tracing(self, side: Mode) -> Tracing | None:
        rules = [(o.ref, rule) for o in self._objects for rule in o.tracing if rule.mode.takes(side)]
        name, said_by = next(iter(self._defaults.tracing), ""), (self._defaults.origin, MESH_CONFIG_REF)
        disabled, percent = False, self._defaults.sampling_percent
        tags: Mapping[str, SpanTag] = NO_TAGS
        for ref, rule in rules:
            if rule.providers:
                # One tracer per side: the first of a list, as Istio takes it.
                name, said_by = rule.providers[0], (rule.origin, ref)
            disabled = disabled if rule.disabled is None else rule.disabled
            percent = percent if rule.sampling_percent is None else rule.sampling_percent
            tags = tags if rule.tags is None else rule.tags
        if disabled or not name:
            return None
        provider = self._telemetry.provider(name, *said_by)
        match provider:
            case ZipkinTracing(address=address) | OpenTelemetryTracing(address=address):
                collector = self._telemetry.collector(name, address, *said_by)
                if collector is None:
                    return None
                return Tracing(provider=provider, collector=collector, sampling_percent=percent, tags=tags)
            case None:
                return None
            case _:
                self._telemetry.missing(name, *said_by, "it takes no spans")
                return None

    # ---- metrics ----

    def _measures(self, side: Mode) -> tuple[Measure, ...]:
        """Istio's `mergeMetrics` for the one provider that there is, Prometheus."""
        rules = [(o.ref, rule) for o in self._objects for rule in o.metrics]
        scope, by = self._defaults.metrics, (self._defaults.origin, MESH_CONFIG_REF)
        for ref, rule in rules:
            if rule.providers:
                scope, by = rule.providers, (rule.origin, ref)
        served = {n for n in scope if isinstance(self._telemetry.provider(n, *by), PrometheusMetrics)}
        if not served:
            return ()
        state = {metric: _MetricState() for metric in Metric}
        all_off, parents = False, self._defaults.metrics
        for _, rule in rules:
            parents = rule.providers or parents
            if served.isdisjoint(parents):
                continue
            all_off = _apply(rule, side, state, all_off)
        if all_off:
            return ()
        return tuple(one.measure(metric) for metric, one in state.items() if not one.disabled)


class _MetricState:
    """What overrides have made of one metric so far."""

    def __init__(self) -> None:
        self.disabled = False
        self.tags: dict[str, str | None] = {}

    def measure(self, metric: Metric) -> Measure:
        tags = sorted(self.tags.items())
        return Measure(
            metric=metric,
            removed=tuple(name for name, value in tags if value is None),
            added=tuple((name, value) for name, value in tags if value is not None),
        )


def _apply(rule: MetricsRule, side: Mode, state: Mapping[Metric, _MetricState], all_off: bool) -> bool:
    """Lays a rule over what came before; gives whether all metrics are off now."""
    for override in rule.overrides:
        if override.everything and override.disabled and override.mode is Mode.BOTH:
            all_off = True
            continue
        all_off = False
        if not override.mode.takes(side):
            continue
        for metric in override.metrics:
            one = state[metric]
            if override.disabled is not None:
                one.disabled = override.disabled
            one.tags.update({tag.name: tag.expression for tag in override.tags})
    return all_off
