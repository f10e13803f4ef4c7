"""Kong's plugins: the simulator says what a real Envoy (and the bridge) then answers."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from meshgate.core.diagnostics import Severity
from meshgate.model.reader import Reader
from meshgate.pipeline import build, read_texts
from meshgate.simulate import call, stand_in
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.translate.self_contained import self_contained
from tests.envoy.bridge_process import bridging
from tests.envoy.kong_edge import SERVICE, consumer, plugin, route
from tests.simulate.live import ask, running
from tests.simulate.test_against_envoy import done, said

ALICE = consumer(
    "alice",
    {
        "alice-key": ("key-auth", {"key": "alices-key"}),
        "alice-basic": ("basic-auth", {"username": "alice", "password": "wonder"}),
        "alice-acl": ("acl", {"group": "staff"}),
    },
)
BOB = consumer("bob", {"bob-key": ("key-auth", {"key": "bobs-key"})})
NOBODY = consumer("nobody", {})
BASIC = base64.b64encode(b"alice:wonder").decode()
WRONG = base64.b64encode(b"alice:no").decode()
HTTPS = {"konghq.com/protocols": "https"}
AGENT = (("user-agent", "curl/8"),)

PLUGINS = "".join(
    (
        plugin("key", "key-auth", "{}"),
        plugin("soft-key", "key-auth", "{anonymous: nobody}"),
        plugin("basic", "basic-auth", "{}"),
        plugin("staff", "acl", "{allow: [staff]}"),
        plugin("strangers", "acl", "{deny: [staff]}"),
        plugin("home", "ip-restriction", "{allow: [127.0.0.1/32]}"),
        plugin("hide", "key-auth", "{hide_credentials: true}"),
        plugin("soft-hide", "key-auth", "{hide_credentials: true, anonymous: nobody}"),
        plugin("bots", "bot-detection", '{deny: ["evil.*"]}'),
        plugin("down", "request-termination", "{status_code: 418, message: tea}"),
        plugin("asked-down", "request-termination", "{status_code: 503, trigger: x-stop}"),
        plugin("moved", "redirect", "{status_code: 302, location: 'https://new.example/there'}"),
        plugin(
            "kept", "redirect", "{status_code: 308, location: 'https://n.example', keep_incoming_path: true}"
        ),
        plugin("small", "request-size-limiting", "{allowed_payload_size: 1, size_unit: kilobytes}"),
        plugin("cors", "cors", "{origins: ['https://a.example'], methods: [GET]}"),
        plugin("cors-on", "cors", "{origins: ['https://a.example'], preflight_continue: true}"),
        plugin("uri", "request-transformer", "{replace: {uri: /new/place}}"),
        plugin("query", "request-transformer", "{add: {querystring: ['v:1'], headers: ['x-a:b']}}"),
        plugin("answer", "response-transformer", "{add: {headers: ['x-b:c']}}"),
        plugin("often", "rate-limiting", "{minute: 1000, policy: local}"),
    )
)
ROUTES = "".join(
    (
        route("open"),
        route("key", "key"),
        route("soft", "soft-key"),
        route("soft-staff", "soft-key", "staff"),
        route("basic", "basic"),
        route("staff", "key", "staff"),
        route("strangers", "key", "strangers"),
        route("home", "home"),
        route("hidden", "hide"),
        route("hidden-soft", "soft-hide"),
        route("bots", "bots"),
        route("down", "down"),
        route("key-down", "key", "down"),
        route("asked-down", "asked-down"),
        route("moved", "moved"),
        route("kept", "kept"),
        route("small", "small"),
        route("cors", "cors", "key"),
        route("cors-on", "cors-on"),
        route("uri", "uri"),
        route("query", "query", "answer", "often"),
        route("strip", annotations={"konghq.com/strip-path": "true"}),
        route("post", annotations={"konghq.com/methods": "POST"}),
        route("https", annotations=HTTPS),
        route(
            "https-308",
            annotations={"konghq.com/protocols": "https", "konghq.com/https-redirect-status-code": "308"},
        ),
        route(
            "host", annotations={"konghq.com/host-aliases": "b.example", "konghq.com/preserve-host": "false"}
        ),
        route("header", annotations={"konghq.com/headers.x-team": "red,blue"}),
        route("rewritten", annotations={"konghq.com/rewrite": "/r"}),
    )
)

KEY = (("apikey", "alices-key"),)
PREFLIGHT = (("origin", "https://a.example"), ("access-control-request-method", "GET"))
REQUESTS: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    ("GET", "/nowhere", ()),
    ("GET", "/open", ()),
    ("GET", "/openly", ()),
    ("GET", "/open?a=b", ()),
    ("GET", "/key", ()),
    ("GET", "/key", KEY),
    ("GET", "/key?apikey=alices-key", ()),
    ("GET", "/key?apikey=alices-key&apikey=x", ()),
    ("GET", "/key?a&apikey=x&%61pikey=alices-key", ()),
    ("GET", "/key?apikey=a&apikey=b", KEY),
    ("GET", "/key", (("apikey", "alices-key,x"),)),
    ("GET", "/key", (("apikey", "x"),)),
    ("GET", "/key", (("apikey", ""),)),
    ("OPTIONS", "/key", ()),
    ("GET", "/soft", ()),
    ("GET", "/soft", KEY),
    ("GET", "/soft", (("apikey", "x"),)),
    ("GET", "/soft-staff", ()),
    ("GET", "/soft-staff", KEY),
    ("GET", "/basic", ()),
    ("GET", "/basic", (("authorization", f"Basic {BASIC}"),)),
    ("GET", "/basic", (("authorization", f"Basic {WRONG}"),)),
    ("GET", "/basic", (("authorization", "Bearer x"),)),
    ("GET", "/staff", KEY),
    ("GET", "/staff", (("apikey", "bobs-key"),)),
    ("GET", "/staff", ()),
    ("GET", "/strangers", KEY),
    ("GET", "/strangers", (("apikey", "bobs-key"),)),
    ("GET", "/bots", (("user-agent", "evilbot"),)),
    ("GET", "/bots", (("user-agent", "Googlebot/2.1"),)),
    ("GET", "/bots", AGENT),
    ("GET", "/bots", ()),
    ("GET", "/down", ()),
    ("GET", "/key-down", ()),
    ("GET", "/key-down", KEY),
    ("GET", "/asked-down", ()),
    ("GET", "/asked-down", (("x-stop", "1"),)),
    ("GET", "/asked-down?x-stop=1", ()),
    ("GET", "/moved/x?y", ()),
    ("GET", "/kept/x?y", ()),
    ("GET", "/small", ()),
    ("POST", "/small", (("content-length", "0"),)),
    ("OPTIONS", "/cors", PREFLIGHT),
    ("OPTIONS", "/cors", (("origin", "https://b.example"), PREFLIGHT[1])),
    ("OPTIONS", "/cors", ()),
    ("GET", "/cors", PREFLIGHT[:1]),
    ("GET", "/cors", (*PREFLIGHT[:1], *KEY)),
    ("OPTIONS", "/cors-on", PREFLIGHT),
    ("GET", "/uri/a?b=c", ()),
    ("GET", "/query/a?b=c", ()),
    ("GET", "/query/a?z=1&a=%20&v=2&a=1&b&=x&", ()),
    ("GET", "/query/a?", ()),
    ("GET", "/query/a", ()),
    ("GET", "/strip/a?b", ()),
    ("GET", "/post", ()),
    ("POST", "/post", (("content-length", "0"),)),
    ("GET", "/https/a?b", ()),
    ("GET", "/https-308/a?b", ()),
    ("GET", "/host", ()),
    ("GET", "/header", ()),
    ("GET", "/header", (("x-team", "blue"),)),
    ("GET", "/header", (("x-team", "green"),)),
    ("GET", "/rewritten/x", ()),
    ("GET", "/home", ()),
    ("GET", "/hidden?apikey=alices-key&z=%20b&a=%26b=2", ()),
    ("GET", "/hidden?apikey=alices-key", ()),
    ("GET", "/hidden?a=+b&%61pikey=alices-key&c=%ff%23", ()),
    ("GET", "/hidden?apikey=other&b", KEY),
    ("GET", "/hidden-soft?x&&apikey=alices-key&y=%20", ()),
    ("GET", "/hidden-soft?apikey=nobodys&y=%20", ()),
)


@pytest.mark.envoy
def test_envoy_agrees_about_plugins(tmp_path: Path) -> None:
    text = SERVICE + ALICE + BOB + NOBODY + PLUGINS + ROUTES
    documents, problems = read_texts({"in.yaml": text})
    built = build(documents)
    assert [str(d) for d in (*problems, *built.diagnostics) if d.severity is Severity.ERROR] == []
    model = stand_in(built.model)
    config = self_contained(Reader(model), gateway_proxy())

    async def differences() -> list[str]:
        found = []
        async with (
            bridging(built.model, tmp_path) as sockets,
            running(config, "http", tmp_path, sockets=sockets) as port,
        ):
            for method, path, headers in REQUESTS:
                answer = await ask(port, method, "a.example", path, headers)
                verdict = call(model, method, "a.example", path, headers)
                if said(verdict, answer) != done(answer):
                    request = f"{method} {path} {headers}"
                    found.append(f"{request}: said {said(verdict, answer)}, was {done(answer)}")
        return found

    assert asyncio.run(differences()) == []
