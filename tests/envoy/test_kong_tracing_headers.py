"""How Kong's `zipkin` and `opentelemetry` carry traces on: what a service gets of a real Envoy."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.envoy.kong_edge import Answer, Ask, asked, gateway, plugin, route, send
from tests.envoy.test_kong_tracing import B3, PARENT, SHORT, SPAN, TRACE, W3C
from tests.simulate.live import ask


def _carried(how: str, *headers: tuple[str, str], kind: str = "zipkin", ratio: str = "1") -> tuple[str, str]:
    """(a plugin's config, what the client sends)."""
    rate = "sample_ratio" if kind == "zipkin" else "sampling_rate"
    need = "" if kind == "zipkin" else "traces_endpoint: 'http://127.0.0.1:1/', "
    return f"{{{need}{rate}: {ratio}, {how}}}", json.dumps(headers)


DATADOG = (
    ("x-datadog-trace-id", str(int(SHORT, 16))),
    ("x-datadog-parent-id", str(int(SPAN, 16))),
    ("x-datadog-sampling-priority", "2"),
)
CASES: Mapping[str, tuple[str, str]] = {
    "b3": _carried("header_type: w3c", *B3),
    "b3-single": _carried("header_type: preserve", ("b3", f"{SHORT}-{SPAN}-d")),
    "w3c-to-all": _carried(
        "propagation: {extract: [w3c], inject: [b3, b3-single, jaeger, ot, datadog, aws, gcp, instana], "
        "clear: [traceparent], default_format: b3}",
        W3C,
    ),
    "datadog": _carried("header_type: preserve", *DATADOG),
    "gcp": _carried(
        "propagation: {extract: [gcp], inject: [w3c], default_format: b3}",
        ("x-cloud-trace-context", f"{TRACE}/{int(SPAN, 16)};o=1"),
    ),
    "aws": _carried(
        "propagation: {extract: [aws], inject: [preserve, w3c], default_format: b3}",
        ("x-amzn-trace-id", f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={SPAN};Sampled=0"),
    ),
    "jaeger": _carried("header_type: preserve", ("uber-trace-id", f"{SHORT}:{SPAN}:0:1")),
    "ot": _carried(
        "header_type: preserve",
        ("ot-tracer-traceid", SHORT),
        ("ot-tracer-spanid", SPAN),
        ("ot-tracer-sampled", "0"),
    ),
    "instana": _carried(
        "propagation: {extract: [instana], inject: [w3c], default_format: b3}",
        ("x-instana-t", SHORT),
        ("x-instana-s", SPAN),
        ("x-instana-l", "1,correlationType=web"),
    ),
    "ignore": _carried("header_type: ignore", W3C),
    "never": _carried("default_header_type: b3-single", ratio="0"),
    "otel-never": _carried("propagation: {default_format: w3c}", kind="opentelemetry", ratio="0"),
    "otel-unsampled-by-ratio": _carried("header_type: preserve", W3C, kind="opentelemetry", ratio="0"),
    "silent": _carried("propagation: {extract: [w3c], default_format: w3c}", W3C),
    "malformed": _carried(
        "header_type: preserve", ("traceparent", "00-xyz-1-01"), ("uber-trace-id", "0:0:0:0"), ("b3", "what")
    ),
    "twice": _carried(
        "header_type: preserve", W3C, ("traceparent", f"00-{TRACE}-{PARENT}-01"), kind="opentelemetry"
    ),
    "eight": _carried("traceid_byte_count: 8"),
}


@pytest.mark.envoy
def test_traces_are_carried_on_in_all_formats(tmp_path: Path) -> None:
    text = "".join(
        plugin(f"p-{name}", "opentelemetry" if "traces_endpoint" in how else "zipkin", how)
        + route(name, f"p-{name}")
        for name, (how, _) in CASES.items()
    )
    requests = [
        Ask(f"/{name}", headers=tuple((a, b) for a, b in json.loads(sent)))
        for name, (_, sent) in CASES.items()
    ]

    answers = asked(text, requests, tmp_path)
    _check_carried(
        {
            name: {header: "|".join(values) for header, values in answer.seen.headers.items()}
            for name, answer in zip(CASES, answers, strict=True)
        }
    )


def _check_carried(found: Mapping[str, Mapping[str, str]]) -> None:
    new = "[0-9a-f]{16}"
    expected = {
        "b3": {"x-b3-traceid": TRACE, "x-b3-parentspanid": SPAN, "traceparent": f"00-{TRACE}-{new}-01"},
        "b3-single": {"b3": f"{SHORT}-{new}-d-{SPAN}"},
        "w3c-to-all": {
            "x-b3-traceid": TRACE,
            "b3": f"{TRACE}-{new}-1-{new}",
            "uber-trace-id": f"{TRACE}:{new}:{new}:01",
            "ot-tracer-traceid": TRACE,
            "x-datadog-trace-id": str(int(SHORT, 16)),
            "x-datadog-parent-id": "[0-9]{1,20}",
            "x-amzn-trace-id": f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={new};Sampled=1",
            "x-cloud-trace-context": f"{TRACE}/[0-9]{{1,20}};o=1",
            "x-instana-t": TRACE,
        },
        "datadog": {"x-datadog-trace-id": str(int(SHORT, 16)), "x-datadog-sampling-priority": "1"},
        "gcp": {"traceparent": f"00-{TRACE}-{new}-01"},
        "aws": {
            "traceparent": f"00-{TRACE}-{new}-00",
            "x-amzn-trace-id": f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={new};Sampled=0",
        },
        "jaeger": {"uber-trace-id": f"{SHORT}:{new}:{SPAN}:01"},
        "ot": {"ot-tracer-traceid": SHORT, "ot-tracer-spanid": new, "ot-tracer-sampled": "0"},
        "instana": {"traceparent": f"00-{'0' * 16}{SHORT}-{new}-01"},
        "ignore": {"traceparent": f"00-{TRACE}-{SPAN}-01", "x-b3-traceid": new * 2, "x-b3-sampled": "1"},
        "never": {"b3": f"{new}{new}-{new}-0-{new}"},
        "otel-never": {"traceparent": f"00-{new}{new}-{new}-00"},
        "otel-unsampled-by-ratio": {"traceparent": f"00-{TRACE}-{new}-00"},
        "silent": {"traceparent": f"00-{TRACE}-{SPAN}-01"},
        "malformed": {"b3": f"{new}{new}-{new}-1-{new}"},
        "twice": {"traceparent": f"00-{new}{new}-{new}-01"},
        "eight": {"x-b3-traceid": f"{'0' * 16}{new}"},
    }
    assert set(expected) == set(CASES)
    for name, headers in expected.items():
        for header, pattern in headers.items():
            got = found[name].get(header, "")
            assert re.fullmatch(pattern.replace("|", r"\|"), got), (name, header, got, pattern)
    # What is not asked for is not there.
    assert "traceparent" not in found["w3c-to-all"]
    assert "x-b3-traceid" not in found["silent"]
    assert SPAN not in found["b3"]["traceparent"]
    assert TRACE not in found["twice"]["traceparent"]


NAMES = (
    "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags", "traceparent",
    "uber-trace-id", "ot-tracer-sampled", "ot-tracer-traceid", "ot-tracer-spanid", "x-datadog-trace-id",
    "x-datadog-parent-id", "x-datadog-sampling-priority", "x-amzn-trace-id", "x-cloud-trace-context",
    "x-instana-t", "x-instana-s", "x-instana-l", "zipkin-tags",
)  # fmt: skip
PIECES = (
    "", "0", "1", "d", "-", ":", "/", ";", "=", TRACE, SPAN, TRACE.upper(), "0" * 32, "0" * 16, "00", "01",
    "ff", "9" * 44, "Root=1-", "Parent=", "Sampled=", "o=1", "\xff", "%00", "\t", "x" * 300, "true", "a=b",
)  # fmt: skip
WELL = {
    "traceparent": "00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[01]",
    "x-b3-traceid": "(?!0+$)([0-9a-f]{16}){1,2}",
    "x-datadog-trace-id": "[0-9]{1,20}",
    "x-cloud-trace-context": "[0-9a-f]{32}/[0-9]{1,20};o=[01]",
}


@pytest.mark.envoy
def test_whatever_a_client_sends_a_trace_goes_on(tmp_path: Path) -> None:
    formats = ("w3c", "b3", "jaeger", "ot", "datadog", "aws", "gcp", "instana")
    text = "".join(
        plugin(
            name,
            "zipkin",
            f"{{propagation: {{extract: [{name}], inject: [preserve, w3c, b3, datadog, gcp], "
            f"default_format: {name}}}, sample_ratio: 0.5}}",
        )
        + plugin(f"o-{name}", "opentelemetry", "{traces_endpoint: 'http://127.0.0.1:1/', sampling_rate: 0.5}")
        + route(name, name, f"o-{name}")
        for name in formats
    )
    chance = random.Random(7)

    def request() -> Ask:
        names = chance.sample(NAMES, chance.randint(1, 5)) + chance.sample(NAMES, 1)
        parts = (chance.choices(PIECES, k=chance.randint(0, 6)) for _ in names)
        headers = tuple((name, "".join(some).strip()) for name, some in zip(names, parts, strict=True))
        return Ask(f"/{chance.choice(formats)}", headers=headers)

    async def all_of_it() -> None:
        async with gateway(text, tmp_path) as port:
            for sent in [request() for _ in range(300)]:
                _check_goes_on(sent, await send(port, sent))
            admin = int((tmp_path / "admin.txt").read_text().rpartition(":")[2])
            reply = await ask(admin, "GET", "admin", "/stats?format=text&filter=lua", ())
            assert "http.http.lua.errors: 0" in reply.headers["(body)"]
            assert "http.http.lua.executions: 600" in reply.headers["(body)"]

    asyncio.run(all_of_it())


def _check_goes_on(sent: Ask, answer: Answer) -> None:
    for name, pattern in WELL.items():
        (got,) = answer.seen.headers[name]
        assert re.fullmatch(pattern, got), (sent, name, got)
