"""Plugins that write requests down, count or trace them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tests.docs.kong_sections.section import Section

SECTIONS: Mapping[str, Section] = MappingProxyType(
    {
        "datadog": Section(
            test="envoy/test_kong_logs.py",
            config="{host: 127.0.0.1, port: 8125}",
            text="Numbers about each request, with tags: see [kong-logs.md](kong-logs.md#numbers).",
            notes={"metrics": "works; default: Kong's six"},
        ),
        "file-log": Section(
            test="envoy/test_kong_logs.py",
            config="{path: /var/log/shop/requests.log}",
            text="See [kong-logs.md](kong-logs.md).",
        ),
        "http-log": Section(
            test="envoy/test_kong_logs.py",
            config="{http_endpoint: 'http://127.0.0.1:9880/requests', queue: {max_batch_size: 100}}",
            text="See [kong-logs.md](kong-logs.md).",
        ),
        "loggly": Section(
            test="envoy/test_kong_logs.py",
            config="{key: only-an-example, tags: [shop]}",
            text="See [kong-logs.md](kong-logs.md). The key is in no message of ours.",
        ),
        "opentelemetry": Section(
            test="envoy/test_kong_tracing.py",
            config="{traces_endpoint: 'http://127.0.0.1:4318/v1/traces', sampling_rate: 0.1}",
            text="Each request as spans: see [kong-tracing.md](kong-tracing.md).",
            notes={
                "endpoint": "works (old spelling of `traces_endpoint`)",
                "header_type": "works (old spelling; not given: `preserve`)",
                "batch_span_count": "works (old spelling of `queue.max_batch_size`)",
                "batch_flush_delay": "works (old spelling of `queue.max_coalescing_delay`)",
                "sampling_rate": "works; default: 0.01, kong.conf's",
                "resource_attributes": "works, but for templates (warned; sent as they are)",
            },
        ),
        "prometheus": Section(
            test="envoy/test_kong_prometheus.py",
            config="{per_consumer: true, status_code_metrics: true, latency_metrics: true}",
            text=(
                "Envoy counts; `meshgate metrics` and `--metrics-port` show it ([kong-logs.md](kong-logs.md"
                "#metrics)). As in Kong 3 nothing but what is asked for is counted."
            ),
        ),
        "statsd": Section(
            test="envoy/test_kong_logs.py",
            config="{host: 127.0.0.1, port: 8125, tag_style: dogstatsd}",
            text="Numbers about each request: see [kong-logs.md](kong-logs.md#numbers).",
            notes={"metrics": "works, but for `shdict_usage` (warned); default: Kong's others"},
        ),
        "syslog": Section(
            test="envoy/test_kong_logs.py",
            config="{facility: local3, log_level: warning, server_errors_severity: err}",
            text="See [kong-logs.md](kong-logs.md). The message goes to `/dev/log` of this machine.",
        ),
        "tcp-log": Section(
            test="envoy/test_kong_logs.py",
            config="{host: 127.0.0.1, port: 5170}",
            text="See [kong-logs.md](kong-logs.md).",
        ),
        "udp-log": Section(
            test="envoy/test_kong_logs.py",
            config="{host: 127.0.0.1, port: 5171}",
            text="See [kong-logs.md](kong-logs.md).",
        ),
        "zipkin": Section(
            test="envoy/test_kong_tracing.py",
            config="{http_endpoint: 'http://127.0.0.1:9411/api/v2/spans', sample_ratio: 0.1}",
            text="Each request as spans: see [kong-tracing.md](kong-tracing.md).",
            notes={
                "header_type": "works (old spelling; not given: `preserve`)",
                "default_header_type": "works (old spelling; not given: `b3`)",
                "phase_duration_flavor": "works, by Envoy's moments",
            },
        ),
    }
)
