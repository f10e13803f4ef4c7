"""Kong's `zipkin` and `opentelemetry`: what a service and real receivers get of a real Envoy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.envoy.kong_edge import Answer, Ask, consumer, gateway, plugin, route, send
from tests.envoy.log_receivers import Receivers, receiving

TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "5b4185666d50f68b"
SHORT = TRACE[16:]
W3C = ("traceparent", f"00-{TRACE}-{SPAN}-01")
B3 = (
    ("x-b3-traceid", TRACE),
    ("x-b3-spanid", SPAN),
    ("x-b3-parentspanid", PARENT),
    ("x-b3-sampled", "1"),
)
ANN = consumer("ann", {"ann-key": ("key-auth", {"key": "the-key-of-ann"})})
Then = Callable[[Receivers, list[Answer]], Awaitable[None]]


def _traced(manifests: Callable[[Receivers], str], requests: list[Ask], then: Then, folder: Path) -> None:
    async def all_of_it() -> None:
        async with receiving() as to, gateway(manifests(to), folder) as port:
            answers = [await send(port, request) for request in requests]
            await then(to, answers)

    asyncio.run(all_of_it())


def _zipkin(to: Receivers) -> list[dict[str, Any]]:
    """The spans that came, in their order."""
    found: list[dict[str, Any]] = []
    for line, headers, body in to.got.http:
        if line.startswith("POST /api/v2/spans"):
            assert headers["content-type"] == "application/json"
            found.extend(json.loads(body))
    return found


def _otlp(to: Receivers) -> list[tuple[dict[str, str], trace_pb2.Span]]:
    """(attributes of the resource, span)."""
    found: list[tuple[dict[str, str], trace_pb2.Span]] = []
    for line, headers, body in to.got.http:
        if line.startswith("POST /v1/traces"):
            assert headers["content-type"] == "application/x-protobuf"
            for resource in trace_service_pb2.ExportTraceServiceRequest.FromString(body).resource_spans:
                named = {a.key: a.value.string_value for a in resource.resource.attributes}
                for scope in resource.instrumentation_library_spans:
                    assert scope.instrumentation_library.name == "kong-internal"
                    found.extend((named, span) for span in scope.spans)
    return found


def _attributes(span: trace_pb2.Span) -> dict[str, str | int]:
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


@pytest.mark.envoy
def test_zipkin_gets_kongs_spans(tmp_path: Path) -> None:
    def manifests(to: Receivers) -> str:
        endpoint = f"http_endpoint: 'http://127.0.0.1:{to.http}/api/v2/spans'"
        return (
            ANN
            + plugin("key", "key-auth", "{}")
            + plugin(
                "zipkin",
                "zipkin",
                f"{{{endpoint}, sample_ratio: 1, local_service_name: edge, http_span_name: method_path, "
                "static_tags: [{name: team, value: shop}], tags_header: X-Tags, "
                "http_response_header_for_traceid: X-Trace, queue: {max_batch_size: 3}}",
            )
            + route("traced", "key", "zipkin", annotations={"konghq.com/strip-path": "true"})
        )

    requests = [
        Ask(
            "/traced/a?apikey=the-key-of-ann",
            headers=(*B3, ("X-Tags", "a=1; kong.consumer=eve; nothing"), ("X-Tags", "b = two words")),
        ),
        Ask("/traced/b"),
    ]

    async def then(to: Receivers, answers: list[Answer]) -> None:
        await to.got.until(lambda: len(_zipkin(to)) == 5)
        assert [a.status for a in answers] == [200, 401]
        attempt, proxy, span = _zipkin(to)[:3]
        _check_zipkin_request(span)
        assert (proxy["name"], proxy["kind"]) == ("GET /traced/a (proxy)", "CLIENT")
        assert proxy["parentId"] == SPAN
        assert proxy["tags"]["kong.service_name"] == proxy["remoteEndpoint"]["serviceName"]
        assert proxy["tags"]["peer.hostname"] == "shop.default.svc.cluster.local"
        assert [a["value"] for a in proxy["annotations"]] == ["kas", "kaf", "khs", "khf", "kbs", "kbf"]
        assert (attempt["name"], attempt["parentId"]) == ("GET /traced/a (balancer try 1)", SPAN)
        assert attempt["tags"]["kong.balancer.try"] == "1"
        assert attempt["remoteEndpoint"]["ipv4"] == "127.0.0.1"
        # The service is told of the call's span, in the format that came.
        seen = answers[0].seen.headers
        assert seen["x-b3-traceid"] == [TRACE]
        assert seen["x-b3-spanid"] == [proxy["id"]]
        assert seen["x-b3-parentspanid"] == [SPAN]
        assert seen["x-b3-sampled"] == ["1"]
        assert "traceparent" not in seen
        assert answers[0].header("x-trace") == TRACE
        # Who is refused is told of too; nobody was called.
        _, refused = _zipkin(to)[3:]
        assert refused["tags"]["http.status_code"] == "401"
        assert not {"parentId", "kong.consumer"} & {*refused, *refused["tags"]}
        assert answers[1].header("x-trace") == refused["traceId"] != TRACE

    _traced(manifests, requests, then, tmp_path)


def _check_zipkin_request(span: Mapping[str, Any]) -> None:
    assert (span["traceId"], span["id"], span["parentId"]) == (TRACE, SPAN, PARENT)
    assert (span["name"], span["kind"]) == ("GET /traced/a", "SERVER")
    assert span["localEndpoint"] == {"serviceName": "edge"}
    assert span["remoteEndpoint"]["ipv4"] == "127.0.0.1"
    assert span["duration"] >= 1
    assert [a["value"] for a in span["annotations"]] == ["krs", "krf"]
    tags = span["tags"]
    assert tags.pop("kong.consumer") != "eve"
    assert tags.pop("kong.credential")
    assert tags.pop("kong.node.id")
    assert tags == {
        "lc": "kong",
        "team": "shop",
        "a": "1",
        "b": "two words",
        "http.method": "GET",
        "http.host": "shop.example",
        "http.path": "/traced/a",
        "http.protocol": "HTTP/1.1",
        "http.status_code": "200",
    }


@pytest.mark.envoy
def test_otlp_gets_kongs_spans(tmp_path: Path) -> None:
    def manifests(to: Receivers) -> str:
        return (
            plugin("key", "key-auth", "{key_names: [token]}")
            + ANN
            + plugin(
                "otel",
                "opentelemetry",
                f"{{traces_endpoint: 'http://127.0.0.1:{to.http}/v1/traces', sampling_rate: 1, "
                "headers: {x-tenant: shop}, resource_attributes: {service.name: edge, team: web}, "
                "http_response_header_for_traceid: X-Trace, queue: {max_batch_size: 2}}",
            )
            + route("traced", "key", "otel")
        )

    requests = [
        Ask("/traced/a?b=c&token=the-key-of-ann", headers=(W3C, ("tracestate", "x=1"))),
        Ask("/traced/unsampled", headers=(("traceparent", f"00-{TRACE}-{SPAN}-00"),)),
        Ask("/traced/new?token=the-key-of-ann"),
    ]

    async def then(to: Receivers, answers: list[Answer]) -> None:
        await to.got.until(lambda: len(_otlp(to)) == 4)
        (resource, request), (_, call), (_, other), _ = _otlp(to)
        assert to.got.http[0][1]["x-tenant"] == "shop"
        assert resource["service.name"] == "edge"
        assert resource["team"] == "web"
        assert resource["service.instance.id"]
        assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, SPAN)
        assert (request.name, request.kind) == ("kong", trace_pb2.Span.SPAN_KIND_SERVER)
        assert request.end_time_unix_nano > request.start_time_unix_nano
        told = _attributes(request)
        assert told.pop("kong.request.id")
        assert told == {
            "http.method": "GET",
            "http.url": "http://shop.example/traced/a?b=c&token=REDACTED",
            "http.host": "shop.example",
            "http.scheme": "http",
            "http.flavor": "1.1",
            "http.client_ip": "127.0.0.1",
            "net.peer.ip": "127.0.0.1",
            "http.status_code": 200,
            "http.route": "/traced",
        }
        assert (call.name, call.kind) == ("kong.balancer", trace_pb2.Span.SPAN_KIND_CLIENT)
        assert call.parent_span_id == request.span_id
        assert _attributes(call)["net.peer.name"] == "shop.default.svc.cluster.local"
        seen = answers[0].seen.headers
        assert seen["traceparent"] == [f"00-{TRACE}-{call.span_id.hex()}-01"]
        assert seen["tracestate"] == ["x=1"]
        assert other.trace_id.hex() == answers[2].header("x-trace")
        assert not other.parent_span_id
        assert answers[1].header("x-trace") == TRACE

    _traced(manifests, requests, then, tmp_path)


@pytest.mark.envoy
def test_two_plugins_and_a_global_one(tmp_path: Path) -> None:
    """One route with both, in one trace: opentelemetry reads what zipkin wrote; a second route has the
    global one, a third a plugin with another receiver."""

    def manifests(to: Receivers) -> str:
        base = f"http://127.0.0.1:{to.http}"
        every = (
            "---\napiVersion: configuration.konghq.com/v1\nkind: KongClusterPlugin\nmetadata: {name: all, "
            'annotations: {kubernetes.io/ingress.class: kong}, labels: {global: "true"}}\n'
            f"plugin: opentelemetry\nconfig: {{traces_endpoint: '{base}/v1/traces', sampling_rate: 1}}\n"
        )
        return (
            every
            + plugin("z", "zipkin", f"{{http_endpoint: '{base}/api/v2/spans', sample_ratio: 1}}")
            + plugin("other", "opentelemetry", f"{{traces_endpoint: '{base}/other', sampling_rate: 1}}")
            + plugin("log", "tcp-log", f"{{host: 127.0.0.1, port: {to.tcp}}}")
            + plugin("nobody", "zipkin", "{http_endpoint: 'http://127.0.0.1:1/', sample_ratio: 1}")
            + route("both", "z", "log", "nobody")
            + route("plain")
            + route("other", "other")
        )

    async def then(to: Receivers, answers: list[Answer]) -> None:
        assert [a.status for a in answers] == [200] * 3
        await to.got.until(
            lambda: (
                len(_zipkin(to)) == 3
                and len(_otlp(to)) == 4
                and any(line.startswith("POST /other") for line, _, _ in to.got.http)
                and bool(to.got.lines)
            )
        )
        _, proxy, _ = _zipkin(to)
        assert to.got.lines[0]["trace_id"] == {"b3": proxy["traceId"]}
        joined = [span for _, span in _otlp(to) if span.trace_id.hex() == proxy["traceId"]]
        assert {span.name for span in joined} == {"kong", "kong.balancer"}
        (request,) = (span for span in joined if span.name == "kong")
        # As in Kong, b3 shares its span: what zipkin wrote is the parent's id.
        assert request.parent_span_id.hex() == proxy["id"]
        # `b3` was preserved by both: the last one that wrote is what the service sees.
        (call,) = (span for span in joined if span.name == "kong.balancer")
        assert answers[0].seen.headers["x-b3-spanid"] == [call.span_id.hex()]

    _traced(manifests, [Ask("/both"), Ask("/plain"), Ask("/other")], then, tmp_path)
