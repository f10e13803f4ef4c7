"""Telemetries laid over one another, as Istio 1.27 merges them: logs, traces, metrics.

Internal to `link`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.origin import Origin
from meshgate.model.linking.telemetry_providers import Providers
from meshgate.model.mesh_config import (
    MESH_CONFIG_REF,
    FileAccessLog,
    LogFormat,
    OpenTelemetryAccessLog,
    OpenTelemetryTracing,
    PrometheusMetrics,
    ZipkinTracing,
)
from meshgate.model.telemetry import (
    NO_TAGS,
    AccessLog,
    AccessLogRule,
    Measure,
    Metric,
    MetricsRule,
    Mode,
    Observed,
    SpanTag,
    TelemetryObject,
    Tracing,
)


class MergedTelemetry:
    """The Telemetries that hold for one proxy, the widest first."""

    def __init__(self, providers: Providers, objects: Sequence[TelemetryObject]) -> None:
        self._providers, self._objects = providers, objects
        self._defaults = providers.defaults

    def side(self, side: Mode) -> Observed:
        """What is told of requests that come in, or go out."""
        return Observed(
            tracing=self._tracing(side), access_logs=self._access_logs(side), measures=self._measures(side)
        )

    # ---- access logs ----

    def _access_logs(self, side: Mode) -> tuple[AccessLog, ...]:
        """Istio's `mergeLogs`: the narrowest level that names providers says which there are at all."""
        levels = [(o.ref, o.access_logs) for o in self._objects if o.access_logs]
        if not levels and not self._defaults.access_logs:
            legacy = self._providers.mesh_log()
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
        provider = self._providers.named(name, origin, ref)
        match provider:
            case FileAccessLog():
                if name.lower() == "envoy" and provider.format == LogFormat():
                    # Of the built-in provider MeshConfig says the format, as in Istio.
                    provider = FileAccessLog(path=provider.path, format=self._providers.mesh_log_format())
                return AccessLog(provider=provider, condition=condition)
            case OpenTelemetryAccessLog(address=address):
                collector = self._providers.collector(name, address, origin, ref)
                if collector is None:
                    return None
                return AccessLog(provider=provider, collector=collector, condition=condition)
            case None:
                return None
            case _:
                self._providers.missing(name, origin, ref, "it writes no access log")
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
        provider = self._providers.named(name, *said_by)
        match provider:
            case ZipkinTracing(address=address) | OpenTelemetryTracing(address=address):
                collector = self._providers.collector(name, address, *said_by)
                if collector is None:
                    return None
                return Tracing(provider=provider, collector=collector, sampling_percent=percent, tags=tags)
            case None:
                return None
            case _:
                self._providers.missing(name, *said_by, "it takes no spans")
                return None

    # ---- metrics ----

    def _measures(self, side: Mode) -> tuple[Measure, ...]:
        """Istio's `mergeMetrics` for the one provider that there is, Prometheus."""
        rules = [(o.ref, rule) for o in self._objects for rule in o.metrics]
        scope, by = self._defaults.metrics, (self._defaults.origin, MESH_CONFIG_REF)
        for ref, rule in rules:
            if rule.providers:
                scope, by = rule.providers, (rule.origin, ref)
        served = {n for n in scope if isinstance(self._providers.named(n, *by), PrometheusMetrics)}
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
