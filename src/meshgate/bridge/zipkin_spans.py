"""A request as spans in Zipkin's JSON, with the names and tags of Kong's `zipkin` (3.9)."""

from __future__ import annotations

import json
import re

from meshgate.bridge.identifiers import NODE, stable_id
from meshgate.bridge.traced import Ids, Traced
from meshgate.model.policies.tracing import Zipkin

Tags = dict[str, str]
Span = dict[str, object]

_TAG = re.compile(r"\s*(\S+?)\s*=\s*(.*\S)\s*")
MOST_TAGS = 64
"""Of a request's own; a client could send thousands."""


def zipkin_spans(policy: Zipkin, ids: Ids, request: Traced) -> list[bytes]:
    """The spans, as they are sent: the call's tries, the call, the request."""
    found = [_proxy(policy, ids, request), _request(policy, ids, request)]
    if request.called:
        found.insert(0, _attempt(policy, ids, request))
    return [json.dumps(span, separators=(",", ":"), ensure_ascii=False).encode() for span in found]


def request_tags(header: str) -> Tags:
    """What a header says, `name=value; name=value`; what is written otherwise is left out."""
    found: Tags = {}
    for part in header.split(";"):
        if (match := _TAG.fullmatch(part)) is not None and len(found) < MOST_TAGS:
            found[match[1]] = match[2]
    return found


def _name(policy: Zipkin, ids: Ids, request: Traced) -> str:
    return f"{request.method} {_path(ids)}" if policy.path_in_name else request.method


def _path(ids: Ids) -> str:
    return ids.path.partition("?")[0]


def _request(policy: Zipkin, ids: Ids, request: Traced) -> Span:
    times = request.moments
    tags = {**dict(policy.static_tags), **request_tags(ids.tags)}
    # The gateway's own last: a client must not say in its place who asked.
    tags.update(
        {
            "lc": "kong",
            "http.method": request.method,
            "http.host": ids.host,
            "http.path": _path(ids),
            "http.protocol": f"HTTP/{request.version.removesuffix('.0')}",
            "http.status_code": str(request.status),
            "kong.node.id": NODE,
        }
    )
    for name in ("kong.consumer", "kong.credential"):
        tags.pop(name, None)
    if request.consumer:
        tags["kong.consumer"] = request.consumer
    if policy.include_credential and request.credential:
        tags["kong.credential"] = request.credential
    if policy.phases_as_tags:
        tags["kong.rewrite.duration_ms"] = "0"
    span = _span(policy, ids.trace, ids.span, ids.parent, _name(policy, ids, request), "SERVER")
    _timed(span, times.began, times.ended)
    span["remoteEndpoint"] = _endpoint(policy.default_service_name, *request.client)
    span["tags"] = {name: value for name, value in tags.items() if value}
    if not policy.phases_as_tags:
        span["annotations"] = _annotations(("krs", times.began), ("krf", times.began))
    return span


def _proxy(policy: Zipkin, ids: Ids, request: Traced) -> Span:
    times = request.moments
    name = f"{_name(policy, ids, request)} (proxy)"
    span = _span(policy, ids.trace, ids.child, ids.span, name, "CLIENT")
    _timed(span, times.began, times.ended)
    tags = _names(request)
    if request.called and request.route.host:
        tags["peer.hostname"] = request.route.host
    if policy.phases_as_tags:
        tags["kong.access.duration_ms"] = _milliseconds(times.began, times.called)
        tags["kong.header_filter.duration_ms"] = _milliseconds(times.answered, times.told)
        tags["kong.body_filter.duration_ms"] = _milliseconds(times.told, times.ended)
    else:
        span["annotations"] = _annotations(
            ("kas", times.began),
            ("kaf", times.called),
            ("khs", times.answered),
            ("khf", times.told),
            ("kbs", times.told),
            ("kbf", times.ended),
        )
    service = request.route.service or policy.default_service_name
    if request.called or service:
        span["remoteEndpoint"] = _endpoint(service, *request.upstream)
    if tags:
        span["tags"] = tags
    return span


def _attempt(policy: Zipkin, ids: Ids, request: Traced) -> Span:
    number, times = request.attempts, request.moments
    name = f"{_name(policy, ids, request)} (balancer try {number})"
    span = _span(policy, ids.trace, ids.attempt, ids.span, name, "CLIENT")
    _timed(span, times.called, times.heard)
    span["remoteEndpoint"] = _endpoint(
        request.route.service or policy.default_service_name, *request.upstream
    )
    span["tags"] = {"kong.balancer.try": str(number), **_names(request)}
    return span


def _names(request: Traced) -> Tags:
    service, route = request.route.service, request.route.route
    tags = {"kong.route": stable_id("route", route), "kong.route_name": route}
    if service:
        tags.update({"kong.service": stable_id("service", service), "kong.service_name": service})
    return tags


def _span(policy: Zipkin, trace: str, id: str, parent: str, name: str, kind: str) -> Span:
    span: Span = {"traceId": trace, "id": id, "name": name, "kind": kind}
    if parent:
        span["parentId"] = parent
    span["localEndpoint"] = {"serviceName": policy.local_service_name}
    return span


def _timed(span: Span, began: int, ended: int) -> None:
    span["timestamp"] = began // 1000
    span["duration"] = max(ended - began, 1000) // 1000


def _endpoint(service: str, ip: str, port: int) -> dict[str, object]:
    found: dict[str, object] = {"serviceName": service} if service else {}
    if ip:
        found["ipv6" if ":" in ip else "ipv4"] = ip
    if port:
        found["port"] = port
    return found


def _annotations(*moments: tuple[str, int]) -> list[dict[str, object]]:
    return [{"value": value, "timestamp": at // 1000} for value, at in moments]


def _milliseconds(began: int, ended: int) -> str:
    return str(max(ended - began, 0) // 1_000_000)
