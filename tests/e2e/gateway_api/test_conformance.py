"""Behaviours of the conformance suite that stand nowhere else among these tests."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.e2e.gateway_api.api import (
    GROUP,
    WEB,
    Api,
    Object,
    conditions,
    eventually,
    gateway,
    grant,
    listener,
    obj,
    prefix,
    route,
    rule,
    to,
)
from tests.e2e.gateway_api.certificates import authorities, secret
from tests.e2e.gateway_api.test_mesh import ask, of
from tests.e2e.gateway_api.test_streams import said, tls

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]
URL = "http://mesh-two.mesh:8080"


class Told(BaseHTTPRequestHandler):
    """A server outside of Meshgate."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "7")
        self.end_headers()
        self.wfile.write(b"outside")

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextlib.contextmanager
def outside() -> Iterator[int]:
    """Its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Told)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def slice_of(service: str, *ports: int) -> list[Object]:
    """EndpointSlices of a Service, one for each port at 127.0.0.1."""
    return [
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{service}-{port}",
                "namespace": "infra",
                "labels": {"kubernetes.io/service-name": service},
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": port}],
            "endpoints": [{"addresses": ["127.0.0.1"]}],
        }
        for port in ports
    ]


def test_types_of_services_and_connections_that_fail(api: Api) -> None:
    """Without a selector, headless; and a further try where nobody listens."""
    with outside() as port, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ports = [{"name": "http", "port": 8080, "targetPort": 8080}]
        own = {"ports": ports}
        headless = {"clusterIP": "None", "selector": {"app": "one"}, "ports": ports}
        api.apply(
            gateway("types", listener("http")),
            obj("Service", "by-slice", own, api="v1"),
            *slice_of("by-slice", port),
            obj("Service", "half-gone", own, api="v1"),
            *slice_of("half-gone", port, closed.getsockname()[1]),
            obj("Service", "headless", headless, api="v1"),
            route("types", "types",
                  rule(prefix("/slice"), backends=[to("by-slice")]),
                  rule(prefix("/headless"), backends=[to("headless")]),
                  rule(prefix("/half"), backends=[to("half-gone")], retry={"attempts": 3})),
        )  # fmt: skip
        caller = api.caller("types")
        assert caller.ask("x.test", "/slice").body == b"outside"
        assert caller.pod("x.test", "/headless") == "one"
        assert {caller.ask("x.test", "/half").status for _ in range(20)} == {200}


def test_retries_of_requests_that_take_too_long(api: Api) -> None:
    # Long enough for a try to reach the backend on a busy machine.
    slow = {"timeouts": {"backendRequest": "1s"}, "retry": {"attempts": 2, "codes": [504]}}
    soon = {**slow, "timeouts": {"backendRequest": "1s", "request": "1800ms"}}
    api.apply(
        gateway("late", listener("http")),
        route("late", "late", rule(prefix("/late"), backends=[to("one")], **slow),
              rule(prefix("/soon"), backends=[to("one")], **soon),
              rule(prefix("/seen"), backends=[to("one")])),
    )  # fmt: skip
    caller = api.caller("late")

    def tries(key: str) -> int:
        return int(caller.ask("x.test", f"/seen?key={key}").json()["tries"])

    assert caller.ask("x.test", "/late?delay=2000&statuses=200&key=late").status == 504
    eventually(lambda: tries("late") == 3, "the first try and two more")
    assert caller.ask("x.test", "/soon?delay=2000&statuses=200&key=soon").status == 504
    eventually(lambda: tries("soon") == 2, "the time for all tries ends the second one")


def test_a_route_some_of_whose_backends_are_refused(api: Api) -> None:
    api.apply(
        gateway("partly", listener("http")),
        grant("partly", "HTTPRoute", "infra", "Service", WEB, only="other"),
        route("partly", "partly", rule(prefix("/good"), backends=[to("one")]),
              rule(prefix("/bad"), backends=[to("web-one", namespace=WEB)])),
    )  # fmt: skip
    assert api.parents("HTTPRoute", "partly")[0]["ResolvedRefs"] == ("False", "RefNotPermitted")
    caller = api.caller("partly")
    assert (caller.pod("x.test", "/good"), caller.pod("x.test", "/bad")) == ("one", "500")


def listener_set(name: str, parent: str, *listeners: Object, namespace: str = "infra") -> Object:
    """A ListenerSet of a Gateway in `infra`."""
    spec = {"parentRef": {"name": parent, "namespace": "infra"}, "listeners": list(listeners)}
    return obj("ListenerSet", name, spec, namespace)


def of_set(name: str, section: str = "", namespace: str = "infra") -> list[Object]:
    """A ListenerSet as a route's parent."""
    found: Object = {"group": GROUP, "kind": "ListenerSet", "name": name, "namespace": namespace}
    return [{**found, "sectionName": section} if section else found]


def test_which_listener_sets_a_gateway_takes(api: Api) -> None:
    selector = {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"tier": "web"}}}}
    api.apply(
        gateway("takes-default", listener("http")),
        gateway("takes-none", listener("http"), allowedListeners={"namespaces": {"from": "None"}}),
        gateway("takes-web", listener("http"), allowedListeners=selector),
        listener_set("in-default", "takes-default", listener("a", 9131)),
        listener_set("in-none", "takes-none", listener("a", 9132)),
        listener_set("in-web", "takes-web", listener("a", 9133)),
        listener_set("from-web", "takes-web", listener("a", 9134), namespace=WEB),
        gateway("takes-same", listener("http"), allowedListeners={"namespaces": {"from": "Same"}}),
        listener_set("no-cert", "takes-same", listener("a", 9135, "HTTPS", tls={"certificateRefs": [
            {"name": "not-granted", "namespace": WEB}]})),
    )  # fmt: skip
    assert api.gateway("takes-same")["attachedListenerSets"] == 0
    status = api.get("listenerset", "no-cert")["status"]
    for kind in ("Accepted", "Programmed"):
        assert conditions(status)[kind] == ("False", "ListenersNotValid")
    assert conditions(status["listeners"][0])["ResolvedRefs"] == ("False", "RefNotPermitted")
    for name in ("in-default", "in-none", "in-web"):
        status = api.get("listenerset", name)["status"]
        assert conditions(status)["Accepted"] == ("False", "NotAllowed")
    taken = api.get("listenerset", "from-web", WEB)["status"]
    assert conditions(taken)["Accepted"] == ("True", "Accepted")
    counts = [
        api.gateway(f"takes-{one}").get("attachedListenerSets", 0) for one in ("default", "none", "web")
    ]
    assert counts == [0, 0, 1]


def test_routes_of_listener_sets(api: Api) -> None:
    """Namespaces, kinds and grants are those of the set's listener; a status is about its parent alone."""
    kinds = listener("kinds", 9142)
    kinds["allowedRoutes"]["kinds"] = [{"kind": "TLSRoute"}, {"kind": "HTTPRoute"}]
    far = {"name": "set-cert", "namespace": WEB}
    https = listener("https", 9143, "HTTPS", tls={"certificateRefs": [far]})
    api.apply(
        gateway("has-set", listener("own", hostname="own.test"),
                allowedListeners={"namespaces": {"from": "Same"}}),
        secret("set-cert", "set.test", namespace=WEB),
        listener_set("the-set", "has-set", listener("all", 9141, frm="All"), kinds, https,
                     listener("clash", 80, "TCP")),
        route("far-in-set", of_set("the-set", "all"), rule(backends=[to("web-one")]), namespace=WEB),
        route("both-parents", [*of_set("the-set", "all"), {"name": "has-set", "sectionName": "own"}],
              rule(backends=[to("one")]), hostnames=["own.test"]),
        route("not-of-gateway", [{"name": "has-set", "sectionName": "all"}], rule(backends=[to("one")])),
        route("half-accepted", [*of_set("the-set", "nope"), {"name": "has-set", "sectionName": "own"}],
              rule(prefix("/half"), backends=[to("two")])),
    )  # fmt: skip
    status = api.get("listenerset", "the-set")["status"]
    assert conditions(status)["Accepted"] == ("True", "ListenersNotValid")
    found = {one["name"]: one for one in status["listeners"]}
    assert conditions(found["kinds"])["ResolvedRefs"] == ("False", "InvalidRouteKinds")
    assert [kind["kind"] for kind in found["kinds"]["supportedKinds"]] == ["HTTPRoute"]
    assert conditions(found["https"])["ResolvedRefs"] == ("False", "RefNotPermitted")
    assert conditions(found["clash"])["Conflicted"] == ("True", "ProtocolConflict")
    assert conditions(found["clash"])["Programmed"] == ("False", "ProtocolConflict")
    assert api.parents("HTTPRoute", "far-in-set", WEB)[0]["Accepted"] == ("True", "Accepted")
    assert [p["Accepted"][0] for p in api.parents("HTTPRoute", "both-parents")] == ["True", "True"]
    assert api.parents("HTTPRoute", "not-of-gateway")[0]["Accepted"] == ("False", "NoMatchingParent")
    assert [p["Accepted"][0] for p in api.parents("HTTPRoute", "half-accepted")] == ["False", "True"]
    api.apply(grant("set-cert", "ListenerSet", "infra", "Secret", WEB))
    found = {one["name"]: one for one in api.get("listenerset", "the-set")["status"]["listeners"]}
    assert conditions(found["https"])["ResolvedRefs"] == ("True", "ResolvedRefs")
    caller = api.caller("has-set", "own")
    assert caller.pod("own.test") == "one"
    assert caller.pod("own.test", "/half") == "two"


def test_tls_that_is_ended_and_begun_again(api: Api, tmp_path: Path) -> None:
    ports = [{"name": "tls", "port": 8443, "targetPort": 8443, "appProtocol": "tcp"}]
    roots = [{"group": "", "kind": "ConfigMap", "name": "again-roots"}]
    target = {"group": "", "kind": "Service", "name": "again"}
    validation = {"hostname": "backend.test", "caCertificateRefs": roots}
    api.apply(
        authorities("again-roots"),
        secret("again", "again.test"),
        obj("Service", "again", {"selector": {"app": "one"}, "ports": ports}, api="v1"),
        obj("BackendTLSPolicy", "again", {"targetRefs": [target], "validation": validation}),
        gateway("again", tls("end", "Terminate", hostname="again.test", secret="again")),
        route("again", "again", rule(backends=[to("again", port=8443)]), kind="TLSRoute",
              hostnames=["again.test"]),
        route("again-nowhere", [{"name": "again", "sectionName": "nope"}],
              rule(backends=[to("again", port=8443)]), kind="TLSRoute", hostnames=["again.test"]),
    )  # fmt: skip
    assert api.parents("TLSRoute", "again-nowhere")[0]["Accepted"] == ("False", "NoMatchingParent")
    answer = said(api.caller("again", "end"), "again.test", tmp_path, b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n")
    assert answer.startswith("HTTP/1.1 200")
    before = api.get("backendtlspolicy", "again")["metadata"]["generation"]
    api.apply(
        obj("BackendTLSPolicy", "again",
            {"targetRefs": [target], "validation": {**validation, "hostname": "other.test"}}),
    )  # fmt: skip
    (ancestor,) = api.get("backendtlspolicy", "again")["status"]["ancestors"]
    assert {c["observedGeneration"] for c in ancestor["conditions"]} == {before + 1}


def test_connections_and_datagrams_by_parent(api: Api) -> None:
    nine = {"port": 9000}
    api.apply(
        gateway("many", listener("a", 9151, "TCP"), listener("b", 9152, "TCP"), listener("u", 9153, "UDP"),
                listener("v", 9154, "UDP")),
        route("all-tcp", "many", rule(backends=[to("one", **nine)]), kind="TCPRoute"),
        route("later-tcp", [{"name": "many", "sectionName": "a"}], rule(backends=[to("two", **nine)]),
              kind="TCPRoute"),
        route("all-udp", "many", rule(backends=[to("one", **nine)]), kind="UDPRoute"),
        route("later-udp", [{"name": "many", "sectionName": "u", "port": 9153}],
              rule(backends=[to("two", **nine)]), kind="UDPRoute"),
        route("far-udp", [{"name": "many", "port": 9154}],
              rule(backends=[to("web-one", namespace=WEB, **nine)]), kind="UDPRoute"),
        route("tls-of-udp", [{"name": "many", "sectionName": "u"}], rule(backends=[to("one", **nine)]),
              kind="TLSRoute", hostnames=["a.test"]),
    )  # fmt: skip
    for name in ("a", "b"):
        assert said(api.caller("many", name)) == "one:hi"
    assert [api.listener("many", name)["attachedRoutes"] for name in ("a", "b", "u", "v")] == [2, 1, 2, 2]
    assert api.parents("UDPRoute", "far-udp")[0]["ResolvedRefs"] == ("False", "RefNotPermitted")
    assert api.parents("TLSRoute", "tls-of-udp")[0]["Accepted"] == ("False", "NotAllowedByListeners")
    api.apply(grant("far-udp", "UDPRoute", "infra", "Service", WEB))
    assert api.parents("UDPRoute", "far-udp")[0]["ResolvedRefs"] == ("True", "ResolvedRefs")
    for name in ("u", "v"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.settimeout(10)
            sender.sendto(b"hi", api.place("many", name))
            assert sender.recv(100) == b"one:hi"


def test_redirects_and_headers_inside_the_mesh(api: Api) -> None:
    def away(at: str, **parts: object) -> Object:
        return rule(prefix(at), filters=[{"type": "RequestRedirect", "requestRedirect": parts}])

    changed = {"set": [{"name": "x-set", "value": "new"}], "add": [{"name": "x-add", "value": "more"}]}
    modifier = {"type": "RequestHeaderModifier", "requestHeaderModifier": {**changed, "remove": ["x-gone"]}}
    whole = {"type": "ReplaceFullPath", "replaceFullPath": "/whole"}
    api.apply(
        route("mesh-away", of("mesh-two"),
              away("/host", hostname="example.org", statusCode=302), away("/303", statusCode=303),
              away("/307", statusCode=307), away("/308", statusCode=308), away("/port", port=8083),
              away("/scheme", scheme="https"), away("/path", path=whole),
              rule(prefix("/changed"), backends=[to("mesh-two", filters=[modifier])]),
              rule({"headers": [{"name": "version", "value": "two"}]}, {"method": "PUT"},
                   backends=[to("mesh-one")]),
              rule(prefix("/"), backends=[to("mesh-two")], name="last"), namespace="mesh"),
    )  # fmt: skip
    paths = ("/host", "/303", "/307", "/308", "/port", "/scheme", "/path")
    sent = {"x-set": "old", "x-add": "first", "x-gone": "1"}
    found = ask(api, "mesh-one", "mesh", *[(f"{URL}{path}", {}) for path in paths],
                (f"{URL}/changed", sent), (f"{URL}/x", {"version": "two"}), (f"{URL}/x", {}))  # fmt: skip
    host = "mesh-two.mesh:8080"
    assert [(one["pod"], one["location"]) for one in found[:7]] == [
        ("302", "http://example.org:8080/host"),
        ("303", f"http://{host}/303"),
        ("307", f"http://{host}/307"),
        ("308", f"http://{host}/308"),
        ("302", "http://mesh-two.mesh:8083/port"),
        ("302", "https://mesh-two.mesh:443/scheme"),
        ("302", f"http://{host}/whole"),
    ]
    seen = found[7]["headers"]
    assert (seen["x-set"], seen["x-add"], "x-gone" in seen) == ("new", "first,more", False)
    assert [one["pod"] for one in found[8:]] == ["mesh-one", "mesh-two"]
    api.delete("httproute", "mesh-away", namespace="mesh")
