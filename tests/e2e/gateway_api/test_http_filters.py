"""HTTPRoute: what is changed on the way, redirects, mirrors, CORS, timeouts and retries."""

from __future__ import annotations

import socket

import pytest

from tests.e2e.gateway_api.api import (
    Api,
    Caller,
    conditions,
    eventually,
    gateway,
    listener,
    obj,
    prefix,
    route,
    rule,
    to,
)
from tests.e2e.gateway_api.certificates import authorities

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]
Filter = dict[str, object]


def changes(kind: str, **parts: object) -> Filter:
    return {"type": f"{kind}HeaderModifier", f"{kind.lower()}HeaderModifier": parts}


def pairs(**headers: str) -> list[dict[str, str]]:
    return [{"name": name.replace("_", "-"), "value": value} for name, value in headers.items()]


def redirect(**parts: object) -> Filter:
    return {"type": "RequestRedirect", "requestRedirect": parts}


def rewrite(**parts: object) -> Filter:
    return {"type": "URLRewrite", "urlRewrite": parts}


def mirror(name: str, **parts: object) -> Filter:
    return {"type": "RequestMirror", "requestMirror": {"backendRef": to(name), **parts}}


FULL, PREFIX = "ReplaceFullPath", "ReplacePrefixMatch"


@pytest.fixture(scope="module")
def filtered(api: Api) -> Caller:
    one = [to("one")]
    everything = {
        "allowOrigins": ["*"], "allowMethods": ["*"], "allowHeaders": ["*"], "exposeHeaders": ["*"],
        "allowCredentials": True,
    }  # fmt: skip
    cors = {
        "allowOrigins": ["https://www.foo.com", "https://*.bar.com"],
        "allowMethods": ["GET", "PUT"],
        "allowHeaders": ["x-header-1"],
        "exposeHeaders": ["x-header-3"],
        "allowCredentials": True,
        "maxAge": 3600,
    }
    both = changes("Request", set=pairs(X_Set="new"), add=pairs(X_Add="more"), remove=["X-Remove"])
    back = changes("Response", set=pairs(X_Set="new"), add=pairs(X_Add="more"), remove=["X-Remove"])
    own = [changes("Request", add=pairs(X_Own="one"))], [changes("Request", add=pairs(X_Own="two"))]
    api.apply(
        gateway("filters", listener("http"), listener("other", 8088)),
        route("headers-changed", "filters",
              rule(prefix("/request"), backends=one, filters=[both]),
              rule(prefix("/response"), backends=one, filters=[back]),
              rule(prefix("/both"), backends=one, filters=[both, back]),
              rule(prefix("/backend"), backends=[to("one", filters=own[0]), to("two", filters=own[1])]),
              rule(prefix("/own"), backends=[to("one", filters=[both])]),
              rule(prefix("/percent"), backends=one,
                   filters=[changes("Request", set=pairs(X_P="5% %REQ(a)%"))]),
              hostnames=["headers.test"]),
        route("redirects", "filters",
              rule(prefix("/host"), filters=[redirect(hostname="example.org")]),
              rule(prefix("/status"), filters=[redirect(hostname="example.org", statusCode=301)]),
              rule(prefix("/303"), filters=[redirect(statusCode=303)]),
              rule(prefix("/307"), filters=[redirect(statusCode=307)]),
              rule(prefix("/308"), filters=[redirect(statusCode=308)]),
              rule(prefix("/scheme"), filters=[redirect(scheme="https")]),
              rule(prefix("/port"), filters=[redirect(port=8083)]),
              rule(prefix("/known"), filters=[redirect(port=443, scheme="https")]),
              rule(prefix("/eighty"), filters=[redirect(port=80, scheme="https")]),
              rule(prefix("/both"), filters=[redirect(port=8443, scheme="https", hostname="example.org")]),
              rule(prefix("/full"), filters=[redirect(path={"type": FULL, "replaceFullPath": "/whole"})]),
              rule(prefix("/query"), filters=[redirect(path={"type": FULL, "replaceFullPath": "/q?n=1"})]),
              rule(prefix("/old"), filters=[redirect(path={"type": PREFIX, "replacePrefixMatch": "/new"})]),
              rule(prefix("/gone"), filters=[redirect(path={"type": PREFIX, "replacePrefixMatch": "/"})]),
              rule(prefix("/backend"), backends=[to("one", filters=[redirect(hostname="b.org")])]),
              hostnames=["redirect.test"]),
        route("rewrites", "filters",
              rule(prefix("/host"), backends=one, filters=[rewrite(hostname="inner.test")]),
              rule(prefix("/full"), backends=one,
                   filters=[rewrite(path={"type": FULL, "replaceFullPath": "/w"})]),
              rule(prefix("/old"), backends=one,
                   filters=[rewrite(path={"type": PREFIX, "replacePrefixMatch": "/new"})]),
              rule(prefix("/strip"), backends=one,
                   filters=[rewrite(path={"type": PREFIX, "replacePrefixMatch": "/"})]),
              rule(prefix("/slash/"), backends=one,
                   filters=[rewrite(path={"type": PREFIX, "replacePrefixMatch": "/three/"})]),
              rule(prefix("/per"), backends=[to("one", filters=[rewrite(hostname="a.test")]),
                                             to("two", filters=[rewrite(hostname="b.test")])]),
              hostnames=["rewrite.test"]),
        route("roots", "filters",
              rule(prefix("/"), backends=one,
                   filters=[rewrite(path={"type": PREFIX, "replacePrefixMatch": "/sub"})]),
              hostnames=["root.test"]),
        route("mirrors", "filters",
              rule(prefix("/mirror-one"), backends=one, filters=[mirror("two")]),
              rule(prefix("/mirror-two"), backends=one, filters=[mirror("two"), mirror("three")]),
              rule(prefix("/mirror-none"), backends=one, filters=[mirror("two", percent=0)]),
              rule(prefix("/mirror-part"), backends=one,
                   filters=[mirror("two", fraction={"numerator": 1, "denominator": 2})]),
              hostnames=["mirror.test"]),
        route("to-two", "filters", rule(backends=[to("two")]), hostnames=["two.test"]),
        route("to-three", "filters", rule(backends=[to("three")]), hostnames=["three.test"]),
        route("cors", "filters",
              rule(prefix("/cors"), backends=one, filters=[{"type": "CORS", "cors": cors}]),
              rule(prefix("/any"), backends=one,
                   filters=[{"type": "CORS", "cors": {"allowOrigins": ["*"], "allowMethods": ["PUT"]}}]),
              rule(prefix("/all"), backends=one, filters=[{"type": "CORS", "cors": everything}]),
              hostnames=["cors.test"]),
        route("times", "filters",
              rule(prefix("/request"), backends=one, timeouts={"request": "500ms"}),
              rule(prefix("/backend"), backends=one, timeouts={"backendRequest": "500ms"}),
              rule(prefix("/none"), backends=one, timeouts={"request": "0s"}),
              rule(prefix("/retry"), backends=one, retry={"codes": [503], "attempts": 3}),
              rule(prefix("/tries"), backends=one, retry={"attempts": 2},
                   timeouts={"backendRequest": "300ms"}),
              hostnames=["times.test"]),
        route("unknown", "filters",
              rule(prefix("/ext"), backends=one,
                   filters=[{"type": "ExtensionRef",
                             "extensionRef": {"group": "example.com", "kind": "Thing", "name": "x"}}]),
              rule(prefix("/plugin"), backends=one,
                   filters=[{"type": "ExtensionRef", "extensionRef": {
                       "group": "configuration.konghq.com", "kind": "KongPlugin", "name": "absent"}}]),
              rule(prefix("/key"), backends=one,
                   filters=[{"type": "ExtensionRef", "extensionRef": {
                       "group": "configuration.konghq.com", "kind": "KongPlugin", "name": "keys"}}]),
              hostnames=["extension.test"]),
        {"apiVersion": "configuration.konghq.com/v1", "kind": "KongPlugin", "plugin": "key-auth",
         "metadata": {"name": "keys", "namespace": "infra"}, "config": {}},
        route("protocols", "filters",
              rule(prefix("/h2c"), backends=[to("one", port=8081)]),
              rule(prefix("/ws"), backends=[to("one", port=8082)]),
              hostnames=["protocols.test"]),
    )  # fmt: skip
    return api.caller("filters")


def test_request_headers(filtered: Caller) -> None:
    sent = {"X-Set": "old", "X-Add": "first", "X-Remove": "yes", "X-Kept": "yes"}
    for path in ("/request", "/both"):
        seen = filtered.ask("headers.test", path, headers=sent).seen
        assert seen["x-set"] == "new"
        assert seen["x-add"] == "first,more"
        assert "x-remove" not in seen
        assert seen["x-kept"] == "yes"
    assert filtered.ask("headers.test", "/percent").seen["x-p"] == "5% %REQ(a)%"


def test_request_headers_of_a_backend(filtered: Caller) -> None:
    """The same for the filters of a backend, whatever the case of the names that a client sends."""
    sent = {"x-set": "old", "x-ADD": "first", "x-remove": "yes", "Another": "yes"}
    seen = filtered.ask("headers.test", "/own", headers=sent).seen
    assert (seen["x-set"], seen["x-add"], seen["another"]) == ("new", "first,more", "yes")
    assert "x-remove" not in seen
    seen = filtered.ask("headers.test", "/own").seen
    assert (seen["x-set"], seen["x-add"]) == ("new", "more")


def test_response_headers(filtered: Caller) -> None:
    back = {"X-Echo-Set-Header": "X-Set:old,X-Add:first,X-Remove:yes,X-Kept:yes"}
    for path in ("/response", "/both"):
        answer = filtered.ask("headers.test", path, headers=back)
        found: dict[str, list[str]] = {}
        for name, value in answer.headers:
            found.setdefault(name.lower(), []).append(value)
        assert found["x-set"] == ["new"]
        assert found["x-add"] == ["first", "more"]
        assert "x-remove" not in found
        assert found["x-kept"] == ["yes"]


def test_headers_of_each_backend(filtered: Caller) -> None:
    found = set()
    for _ in range(40):
        answer = filtered.ask("headers.test", "/backend")
        found.add((answer.json()["pod"], answer.seen["x-own"]))
    assert found == {("one", "one"), ("two", "two")}


@pytest.mark.parametrize(
    ("path", "status", "location"),
    [
        ("/host/a?b=c", 302, "http://example.org/host/a?b=c"),
        ("/status", 301, "http://example.org/status"),
        ("/303", 303, "http://redirect.test/303"),
        ("/307", 307, "http://redirect.test/307"),
        ("/308", 308, "http://redirect.test/308"),
        ("/scheme", 302, "https://redirect.test/scheme"),
        ("/port", 302, "http://redirect.test:8083/port"),
        ("/known", 302, "https://redirect.test/known"),
        ("/eighty", 302, "https://redirect.test:80/eighty"),
        ("/both", 302, "https://example.org:8443/both"),
        ("/full/x?y=z", 302, "http://redirect.test/whole?y=z"),
        ("/query/x?y=z", 302, "http://redirect.test/q?n=1"),
        ("/old/x", 302, "http://redirect.test/new/x"),
        ("/gone/x", 302, "http://redirect.test/x"),
        ("/gone", 302, "http://redirect.test/"),
        ("/backend", 302, "http://b.org/backend"),
    ],
)
def test_redirects(filtered: Caller, path: str, status: int, location: str) -> None:
    answer = filtered.ask("redirect.test", path)
    assert (answer.status, answer.header("location")) == (status, location)


def test_redirects_keep_the_port_of_their_listener(api: Api, filtered: Caller) -> None:
    other = api.caller("filters", "other")
    assert other.ask("redirect.test", "/308").header("location") == "http://redirect.test:8088/308"
    assert other.ask("redirect.test", "/scheme").header("location") == "https://redirect.test/scheme"


@pytest.mark.parametrize(
    ("host", "path", "seen_host", "seen_path"),
    [
        ("rewrite.test", "/host/a?b=c", "inner.test", "/host/a?b=c"),
        ("rewrite.test", "/full/a?b=c", "rewrite.test", "/w?b=c"),
        ("rewrite.test", "/old/a", "rewrite.test", "/new/a"),
        ("rewrite.test", "/old", "rewrite.test", "/new"),
        ("rewrite.test", "/strip/a", "rewrite.test", "/a"),
        ("rewrite.test", "/strip", "rewrite.test", "/"),
        ("rewrite.test", "/slash/a", "rewrite.test", "/three/a"),
        ("root.test", "/a", "root.test", "/sub/a"),
        ("root.test", "/", "root.test", "/sub/"),
    ],
)
def test_rewrites(filtered: Caller, host: str, path: str, seen_host: str, seen_path: str) -> None:
    found = filtered.ask(host, path).json()
    assert (found["host"], found["path"]) == (seen_host, seen_path)


def test_rewrites_of_each_backend(filtered: Caller) -> None:
    answers = [filtered.ask("rewrite.test", "/per").json() for _ in range(40)]
    assert {(a["pod"], a["host"]) for a in answers} == {("one", "a.test"), ("two", "b.test")}


def test_mirrors(filtered: Caller) -> None:
    def count(host: str, path: str) -> int:
        return int(filtered.ask(host, f"/?count={path}").json()["count"])

    assert filtered.pod("mirror.test", "/mirror-one") == "one"
    eventually(lambda: count("two.test", "/mirror-one") == 1, "the mirrored request")
    assert filtered.pod("mirror.test", "/mirror-two") == "one"
    eventually(lambda: count("two.test", "/mirror-two") + count("three.test", "/mirror-two") == 2, "both")
    for _ in range(60):
        assert filtered.pod("mirror.test", "/mirror-none") == "one"
        assert filtered.pod("mirror.test", "/mirror-part") == "one"
    eventually(lambda: 10 <= count("two.test", "/mirror-part") <= 50, "about half of them")
    assert count("two.test", "/mirror-none") == 0


def test_cors(filtered: Caller) -> None:
    asks = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-header-1"}
    for origin in ("https://www.foo.com", "https://www.a.bar.com"):
        answer = filtered.ask("cors.test", "/cors", "OPTIONS", {"Origin": origin, **asks})
        assert answer.status in (200, 204)
        assert answer.header("access-control-allow-origin") == origin
        assert set((answer.header("access-control-allow-methods") or "").split(",")) == {"GET", "PUT"}
        assert answer.header("access-control-allow-headers") == "x-header-1"
        assert answer.header("access-control-max-age") == "3600"
        assert answer.header("access-control-allow-credentials") == "true"
        answer = filtered.ask("cors.test", "/cors", headers={"Origin": origin})
        assert answer.header("access-control-allow-origin") == origin
        assert answer.header("access-control-expose-headers") == "x-header-3"
    for origin in ("https://foo.com", "http://www.foo.com", "https://bar.com"):
        answer = filtered.ask("cors.test", "/cors", "OPTIONS", {"Origin": origin, **asks})
        assert (answer.status, answer.body) == (200, b""), "the backend must not be asked"
        assert answer.header("access-control-allow-origin") is None
    # With credentials browsers take no `*`: what they ask for is said by name, and `*` exposes nothing.
    answer = filtered.ask("cors.test", "/all", "OPTIONS", {"Origin": "https://any.test", **asks})
    assert answer.header("access-control-allow-origin") == "https://any.test"
    assert answer.header("access-control-allow-methods") == "PUT"
    assert answer.header("access-control-allow-headers") == "x-header-1"
    assert answer.header("access-control-allow-credentials") == "true"
    answer = filtered.ask("cors.test", "/all", "GET", {"Origin": "https://any.test"})
    assert answer.header("access-control-allow-origin") == "https://any.test"
    assert answer.header("access-control-allow-methods") is None
    assert "*" not in (answer.header("access-control-expose-headers") or "")
    answer = filtered.ask("cors.test", "/any", "OPTIONS", {"Origin": "https://any.test", **asks})
    assert answer.header("access-control-allow-origin") in ("*", "https://any.test")
    assert answer.header("access-control-max-age") == "5"
    assert answer.header("access-control-allow-credentials") is None


def test_timeouts(filtered: Caller) -> None:
    for path in ("/request", "/backend"):
        assert filtered.ask("times.test", path).status == 200
        assert filtered.ask("times.test", f"{path}?delay=1500").status == 504
    assert filtered.ask("times.test", "/none?delay=700").status == 200


def test_retries(filtered: Caller) -> None:
    answer = filtered.ask("times.test", "/retry?statuses=503,503,503,200&key=a")
    assert (answer.status, answer.json()["tries"]) == (200, 4)
    assert filtered.ask("times.test", "/retry?statuses=503,503,503,503,200&key=b").status == 503
    assert filtered.ask("times.test", "/retry?statuses=500,200&key=c").status == 500
    assert filtered.ask("times.test", "/tries?statuses=503,200&key=d").status == 503


def test_filters_that_are_not_known_refuse(filtered: Caller) -> None:
    assert filtered.ask("extension.test", "/ext").status == 500
    assert filtered.ask("extension.test", "/plugin").status == 500
    assert filtered.ask("extension.test", "/key").status == 401
    assert filtered.ask("extension.test", "/other").status == 404


def test_backends_speak_what_their_service_says(filtered: Caller) -> None:
    filtered.ask("protocols.test", "/h2c")
    assert filtered.ask("headers.test", "/request").json()["seen"]["HTTP/2.0"] >= 1
    with socket.create_connection((filtered.address, filtered.port), timeout=10) as raw:
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        head = (
            f"GET /ws HTTP/1.1\r\nHost: protocols.test\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {key}\r\n"
        )
        raw.sendall(f"{head}Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        reply = b""
        while b"\r\n\r\n" not in reply:
            reply += raw.recv(4096)
        assert reply.startswith(b"HTTP/1.1 101")
        raw.sendall(b"\x81\x02hi")
        assert raw.recv(100) == b"\x81\x02hi"


def test_tls_to_backends(api: Api, filtered: Caller) -> None:
    def service(name: str) -> dict[str, object]:
        ports = [{"name": "https", "port": 8443, "targetPort": 8443, "appProtocol": "http"}]
        return obj("Service", name, {"selector": {"app": "one"}, "ports": ports}, api="v1")

    def policy(name: str, hostname: str = "backend.test", of: str = "", **parts: object) -> dict[str, object]:
        target = {"group": "", "kind": "Service", "name": of or name, "sectionName": "https"}
        roots = [{"group": "", "kind": "ConfigMap", "name": "backend-roots"}]
        validation = {"hostname": hostname, "caCertificateRefs": roots, **parts}
        return obj("BackendTLSPolicy", name, {"targetRefs": [target], "validation": validation})

    def verdict(name: str) -> dict[str, tuple[str, str]]:
        (ancestor,) = api.get("backendtlspolicy", name)["status"]["ancestors"]
        assert ancestor["ancestorRef"]["name"] == "filters"
        return conditions(ancestor)

    def refs(**parts: str) -> list[dict[str, str]]:
        return [{"group": "", "kind": "ConfigMap", "name": "absent", **parts}]

    def wide(hostname: str) -> list[dict[str, str]]:
        return [{"type": "Hostname", "hostname": hostname}]

    names = (
        "tls-good",
        "tls-host",
        "tls-names",
        "tls-wide",
        "tls-too-wide",
        "tls-absent",
        "tls-kind",
        "tls-known",
    )
    api.apply(
        authorities("backend-roots"),
        *(service(name) for name in names),
        *(
            route(name, "filters", rule(backends=[to(name, port=8443)]), hostnames=[f"{name}.test"])
            for name in names
        ),
        policy("tls-good"),
        policy("tls-later", of="tls-good"),
        policy("tls-host", "other.test"),
        policy(
            "tls-names", "other.test", subjectAltNames=[{"type": "URI", "uri": "spiffe://backend.test/echo"}]
        ),
        policy("tls-wide", "other.test", subjectAltNames=wide("*.test")),
        policy("tls-too-wide", "other.test", subjectAltNames=wide("*.backend.test")),
        policy("tls-absent", caCertificateRefs=refs()),
        policy("tls-kind", caCertificateRefs=refs(group="x.y", kind="Thing")),
        policy("tls-known", caCertificateRefs=[], wellKnownCACertificates="x.y/everybody"),
    )
    assert filtered.pod("tls-good.test") == "one"
    assert verdict("tls-good") == {"Accepted": ("True", "Accepted"), "ResolvedRefs": ("True", "ResolvedRefs")}
    assert verdict("tls-later")["Accepted"] == ("False", "Conflicted")
    assert filtered.ask("tls-host.test").status == 503
    assert filtered.pod("tls-names.test") == "one"
    assert filtered.pod("tls-wide.test") == "one"
    assert filtered.ask("tls-too-wide.test").status == 503
    for name, reason in (("tls-absent", "InvalidCACertificateRef"), ("tls-kind", "InvalidKind")):
        assert verdict(name)["ResolvedRefs"] == ("False", reason)
        assert verdict(name)["Accepted"] == ("False", "NoValidCACertificate")
        assert filtered.ask(f"{name}.test").status == 500
    assert verdict("tls-known")["Accepted"] == ("False", "Invalid")
    assert filtered.ask("tls-known.test").status == 500
