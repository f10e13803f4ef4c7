"""Plugins of one consumer that Kong runs before it knows who asks: ids and traces on a real Envoy."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.envoy.kong_edge import Ask, asked, consumer, gateway, plugin, route, send
from tests.envoy.log_receivers import Receivers, receiving

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
W3C = ("traceparent", f"00-{TRACE}-{SPAN}-01")
B3 = (("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "1"))
KEY = plugin("key", "key-auth", "{}")


def _caller(name: str, *plugins: str) -> str:
    """A consumer whose key is its name, with plugins of its own."""
    named = f"annotations: {{konghq.com/plugins: '{','.join(plugins)}', "
    return consumer(name, {f"{name}-key": ("key-auth", {"key": name})}).replace("annotations: {", named, 1)


def _by(name: str, path: str, *headers: tuple[str, str]) -> Ask:
    return Ask(path, headers=(("apikey", name), *headers))


@pytest.mark.envoy
def test_ids_for_one_consumer(tmp_path: Path) -> None:
    manifests = (
        KEY
        + plugin("mine", "correlation-id", "{header_name: X-Mine, generator: uuid, echo_downstream: true}")
        + plugin("ours", "correlation-id", "{header_name: X-Ours, generator: uuid}")
        + _caller("ann", "mine")
        + _caller("bob")
        + route("plain", "key")
        + route("full", "key", "ours")
    )
    requests = [
        _by("ann", "/plain"),
        _by("ann", "/plain", ("X-Mine", "given")),
        _by("bob", "/plain"),
        _by("ann", "/full"),
        _by("bob", "/full"),
        Ask("/plain"),
    ]
    new, kept, other, full, others, stranger = asked(manifests, requests, tmp_path)
    assert len(new.seen.headers["x-mine"][0]) == 36
    assert new.header("x-mine") == new.seen.headers["x-mine"][0]
    assert (kept.seen.headers["x-mine"], kept.header("x-mine")) == (["given"], "given")
    assert "x-mine" not in {*other.seen.headers, *other.headers}
    # What the route gave before it knew who asks stays.
    assert {"x-mine", "x-ours"} <= set(full.seen.headers)
    assert ("x-ours" in others.seen.headers, "x-mine" in others.seen.headers) == (True, False)
    assert (stranger.status, stranger.header("x-mine")) == (401, None)


@pytest.mark.envoy
def test_a_trace_begins_again_for_who_has_plugins_of_his_own(tmp_path: Path) -> None:
    """What the route has done to the client's headers is undone; each tells his own receiver."""

    def zipkin(name: str, to: Receivers, more: str) -> str:
        at = f"http://127.0.0.1:{to.http}/{name}"
        return plugin(name, "zipkin", f"{{http_endpoint: '{at}', {more}}}")

    def manifests(to: Receivers) -> str:
        return (
            KEY
            + zipkin("all", to, "sample_ratio: 1, http_response_header_for_traceid: X-Trace, header_type: b3")
            + zipkin("own", to, "sample_ratio: 1, http_response_header_for_traceid: X-Own")
            + zipkin("never", to, "sample_ratio: 0")
            + plugin(
                "otel",
                "opentelemetry",
                f"{{traces_endpoint: 'http://127.0.0.1:{to.http}/otel', sampling_rate: 1, "
                "propagation: {extract: [w3c], inject: [w3c], clear: [b3], default_format: w3c}}",
            )
            + _caller("ann", "own")
            + _caller("bob", "otel")
            + _caller("eve", "never")
            + _caller("joe")
            + route("plain", "key")
            + route("full", "key", "all")
        )

    async def all_of_it() -> None:
        async with receiving() as to, gateway(manifests(to), tmp_path) as port:
            got = {
                name: await send(port, request)
                for name, request in {
                    "own": _by("ann", "/plain", W3C),
                    "own for all's": _by("ann", "/full", W3C, ("x-instana-l", "\xfcber")),
                    "none": _by("joe", "/plain", W3C),
                    "all's": _by("joe", "/full", W3C),
                    "late": _by("bob", "/plain", W3C, ("b3", "1")),
                    "both": _by("bob", "/full", W3C),
                    "never": _by("eve", "/full"),
                    "refused": Ask("/full", headers=(W3C,)),
                }.items()
            }

            def paths() -> list[tuple[str, str]]:
                return sorted(
                    (line.split(" ")[1], span["id"])
                    for line, _, body in to.got.http
                    if "/otel" not in line
                    for span in json.loads(body)
                    if span["kind"] == "SERVER"
                )

            await to.got.until(
                lambda: (
                    sorted(path for path, _ in paths()) == ["/all", "/all", "/all", "/own", "/own"]
                    and any("/otel" in line for line, _, _ in to.got.http)
                )
            )
        # In W3C, as it came, although the route would have written B3.
        for name in ("own", "own for all's"):
            seen = got[name].seen.headers
            assert seen["traceparent"][0].startswith(f"00-{TRACE}-")
            assert SPAN not in seen["traceparent"][0]
            assert "x-b3-traceid" not in seen
            assert (got[name].header("x-own"), got[name].header("x-trace")) == (TRACE, None)
        assert got["own for all's"].seen.headers["x-instana-l"] == ["\xfcber"]
        assert got["none"].seen.headers["traceparent"] == [W3C[1]]
        assert got["all's"].seen.headers["x-b3-traceid"] == [TRACE]
        assert got["all's"].header("x-trace") == got["refused"].header("x-trace") == TRACE
        assert got["late"].seen.headers["traceparent"][0].startswith(f"00-{TRACE}-")
        assert "b3" not in got["late"].seen.headers
        assert got["both"].header("x-trace") == TRACE
        assert got["never"].reached

    asyncio.run(all_of_it())


@pytest.mark.envoy
def test_grpc_web_for_one_consumer(tmp_path: Path) -> None:
    manifests = (
        KEY
        + plugin("web", "grpc-web", "{allow_origin_header: 'https://shop.example'}")
        + _caller("ann", "web")
        + _caller("bob")
        + route("rpc", "key")
    )
    web = (("content-type", "application/grpc-web+proto"), ("x-grpc-web", "1"))
    frame = b"\0\0\0\0\0"
    requests = [
        Ask("/rpc/shop.Shop/Buy", "POST", (("apikey", name), *web), frame) for name in ("ann", "bob")
    ] + [Ask("/rpc/shop.Shop/Buy", "OPTIONS", (("apikey", name),)) for name in ("ann", "bob")]
    hers, his, her_options, his_options = asked(manifests, requests, tmp_path)
    assert hers.header("access-control-allow-origin") == "https://shop.example"
    assert hers.header("content-type") == "application/grpc-web+proto"
    assert his.seen.headers["content-type"] == ["application/grpc-web+proto"]
    assert his.header("access-control-allow-origin") is None
    assert (her_options.body, his_options.reached) == ("OK", True)
