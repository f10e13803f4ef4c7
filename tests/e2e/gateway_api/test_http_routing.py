"""HTTPRoute: which rule takes a request, on which listener."""

from __future__ import annotations

import pytest

from tests.e2e.gateway_api.api import (
    WEB,
    Api,
    Caller,
    conditions,
    exact,
    gateway,
    grant,
    listener,
    prefix,
    route,
    rule,
    to,
)

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]


def header(name: str, value: str, kind: str = "Exact") -> dict[str, str]:
    return {"type": kind, "name": name, "value": value}


@pytest.fixture(scope="module")
def simple(api: Api) -> Caller:
    """One Gateway with routes for many hosts."""
    one, two, three = [to("one")], [to("two")], [to("three")]
    api.apply(
        gateway("routing", listener("http", frm="All")),
        route("simple", "routing", rule(backends=one), hostnames=["simple.test"]),
        route("paths", "routing",
              rule(exact("/one"), backends=one),
              rule(exact("/two"), backends=two),
              rule(prefix("/v2"), backends=two),
              rule(prefix("/v2/example"), backends=three),
              rule({"path": {"type": "RegularExpression", "value": "/re/[a-z]+"}}, backends=three),
              hostnames=["paths.test"]),
        route("headers", "routing",
              rule({"headers": [header("version", "one")]}, backends=one),
              rule({"headers": [header("version", "two")]}, backends=two),
              rule({"headers": [header("version", "two"), header("color", "orange")]}, backends=one),
              rule({"headers": [header("color", "blue")]}, {"headers": [header("color", "green")]},
                   backends=one),
              rule({"headers": [header("color", "red|yellow", "RegularExpression")]}, backends=two),
              hostnames=["headers.test"]),
        route("queries", "routing",
              rule({"queryParams": [header("animal", "whale")]}, backends=one),
              rule({"queryParams": [header("animal", "dolphin")]}, backends=two),
              rule({"queryParams": [header("animal", "dolphin"), header("color", "blue")]}, backends=three),
              rule(prefix("/path", queryParams=[header("animal", "whale")]), backends=two),
              hostnames=["queries.test"]),
        route("methods", "routing",
              rule({"method": "POST"}, backends=one),
              rule({"method": "GET"}, backends=two),
              rule(prefix("/path", method="GET"), backends=three),
              hostnames=["methods.test"]),
        route("across-a", "routing",
              rule(prefix("/"), backends=one),
              rule({"headers": [header("version", "two")]}, backends=two),
              hostnames=["across.test"]),
        route("across-b", "routing", rule(prefix("/v2"), backends=two), hostnames=["across.test"]),
        route("across-c", "routing", rule(prefix("/v2"), backends=three), hostnames=["across.test"]),
        route("named", "routing", rule(exact("/named"), backends=one, name="by-name"),
              hostnames=["named.test"]),
        route("cross", [{"name": "routing", "namespace": "infra"}], rule(backends=[to("web-one")]),
              hostnames=["cross.test"], namespace=WEB),
        route("no-backends", "routing", rule(prefix("/")), hostnames=["nothing.test"]),
    )  # fmt: skip
    return api.caller("routing")


@pytest.mark.parametrize(
    ("host", "path", "wanted"),
    [
        ("simple.test", "/", "one"),
        ("simple.test:8080", "/any", "one"),
        ("other.test", "/", "404"),
        ("paths.test", "/one", "one"),
        ("paths.test", "/two", "two"),
        ("paths.test", "/one/more", "404"),
        ("paths.test", "/oneone", "404"),
        ("paths.test", "/v2", "two"),
        ("paths.test", "/v2/", "two"),
        ("paths.test", "/v2example", "404"),
        ("paths.test", "/v2/example", "three"),
        ("paths.test", "/v2/example/deep", "three"),
        ("paths.test", "/re/abc", "three"),
        ("paths.test", "/re/123", "404"),
        ("queries.test", "/?animal=whale", "one"),
        ("queries.test", "/?animal=dolphin", "two"),
        ("queries.test", "/?animal=dolphin&color=blue", "three"),
        ("queries.test", "/?color=blue", "404"),
        ("queries.test", "/path?animal=whale", "two"),
        ("queries.test", "/?animal=dolphinfish", "404"),
        ("across.test", "/", "one"),
        ("across.test", "/v2/x", "two"),  # of equal ones the first by name
        ("named.test", "/named", "one"),
        ("cross.test", "/", "web-one"),
        ("nothing.test", "/", "500"),
    ],
)
def test_hosts_paths_and_queries(simple: Caller, host: str, path: str, wanted: str) -> None:
    assert simple.pod(host, path) == wanted


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({"version": "one"}, "one"),
        ({"Version": "two"}, "two"),
        ({"version": "two", "color": "orange"}, "one"),
        ({"color": "blue"}, "one"),
        ({"color": "green"}, "one"),
        ({"color": "yellow"}, "two"),
        ({"color": "purple"}, "404"),
        ({}, "404"),
    ],
)
def test_headers(simple: Caller, headers: dict[str, str], wanted: str) -> None:
    assert simple.pod("headers.test", "/", **headers) == wanted


def test_methods(simple: Caller) -> None:
    assert simple.pod("methods.test", "/", "POST") == "one"
    assert simple.pod("methods.test", "/", "GET") == "two"
    assert simple.pod("methods.test", "/path", "GET") == "three"
    assert simple.pod("methods.test", "/", "PUT") == "404"


def test_rules_of_several_routes_have_one_order(simple: Caller) -> None:
    """A longer path comes before a header, wherever the rules are written."""
    assert simple.pod("across.test", "/", version="two") == "two"
    assert simple.pod("across.test", "/v2", version="two") == "two"
    assert simple.pod("across.test", "/v2x") == "one"


def test_weights_and_backends_that_are_not_there(api: Api, simple: Caller) -> None:
    api.apply(
        route("weights", "routing",
              rule(prefix("/split"), backends=[to("one", 70), to("two", 30), to("three", 0)]),
              rule(prefix("/missing"), backends=[to("absent")]),
              rule(prefix("/half"), backends=[to("one", 1), to("absent", 1)]),
              rule(prefix("/kind"), backends=[to("one", kind="Thing", group="example.com")]),
              rule(prefix("/port"), backends=[to("one", port=1234)]),
              rule(prefix("/none"), backends=[to("one", 0)]),
              hostnames=["weights.test"]),
        route("weights-good", "routing", rule(backends=[to("one")]), hostnames=["good.test"]),
    )  # fmt: skip
    pods = [simple.pod("weights.test", "/split") for _ in range(200)]
    assert 100 <= pods.count("one") <= 175
    assert pods.count("one") + pods.count("two") == 200
    assert simple.pod("weights.test", "/missing") == "500"
    assert simple.pod("weights.test", "/kind") == "500"
    assert simple.pod("weights.test", "/port") == "500"
    assert simple.pod("weights.test", "/none") == "500"
    assert {simple.pod("weights.test", "/half") for _ in range(60)} == {"one", "500"}
    (found,) = api.parents("HTTPRoute", "weights")
    assert found["Accepted"] == ("True", "Accepted")
    assert found["ResolvedRefs"][0] == "False"
    assert api.parents("HTTPRoute", "weights-good") == [
        {"Accepted": ("True", "Accepted"), "ResolvedRefs": ("True", "ResolvedRefs")}
    ]


@pytest.mark.parametrize(
    ("name", "backend", "reason"),
    [
        ("absent", to("absent"), "BackendNotFound"),
        ("kind", to("one", kind="Thing", group="example.com"), "InvalidKind"),
        ("denied", to("web-one", namespace=WEB), "RefNotPermitted"),
    ],
)
def test_reasons_of_unresolved_references(
    api: Api, simple: Caller, name: str, backend: dict[str, object], reason: str
) -> None:
    api.apply(route(f"why-{name}", "routing", rule(backends=[backend]), hostnames=[f"why-{name}.test"]))
    (found,) = api.parents("HTTPRoute", f"why-{name}")
    assert found["ResolvedRefs"] == ("False", reason)
    assert found["Accepted"] == ("True", "Accepted")
    assert simple.pod(f"why-{name}.test") == "500"


def test_reference_grants_open_and_close(api: Api, simple: Caller) -> None:
    there = to("web-one", namespace=WEB)
    api.apply(
        route("granted", "routing", rule(backends=[there]), hostnames=["granted.test"]),
        grant("wrong-kind", "GRPCRoute", "infra", "Service", WEB),
        grant("wrong-name", "HTTPRoute", "infra", "Service", WEB, only="other"),
        grant("wrong-source", "HTTPRoute", "app", "Service", WEB),
        grant("wrong-target", "HTTPRoute", "infra", "Secret", WEB),
    )
    assert simple.pod("granted.test") == "500"
    api.apply(grant("right", "HTTPRoute", "infra", "Service", WEB, only="web-one"))
    assert api.parents("HTTPRoute", "granted")[0]["ResolvedRefs"] == ("True", "ResolvedRefs")
    assert simple.pod("granted.test") == "web-one"
    api.delete("referencegrant", "right", namespace=WEB)
    api.apply(route("granted", "routing", rule(backends=[there, to("one", 0)]), hostnames=["granted.test"]))
    assert simple.pod("granted.test") == "500"


def test_hosts_of_listeners_and_routes_meet(api: Api) -> None:
    api.apply(
        gateway("hosts",
                listener("exact", hostname="very.specific.com"),
                listener("wild", hostname="*.wildcard.io"),
                listener("other", hostname="*.anotherwildcard.io")),
        route("h-exact", "hosts", rule(prefix("/s1"), backends=[to("one")]),
              hostnames=["non.matching.com", "*.nonmatching.io", "very.specific.com"]),
        route("h-wide", "hosts", rule(prefix("/s2"), backends=[to("two")]), hostnames=["*.specific.com"]),
        route("h-narrow", "hosts", rule(prefix("/s3"), backends=[to("three")]),
              hostnames=["foo.wildcard.io", "wildcard.io"]),
        route("h-all", "hosts", rule(prefix("/s4"), backends=[to("one")])),
        route("h-none", "hosts", rule(backends=[to("one")]),
              hostnames=["specific.but.wrong.com", "wildcard.io"]),
    )  # fmt: skip
    exact_, wild = api.caller("hosts", "exact"), api.caller("hosts", "wild")
    assert exact_.pod("very.specific.com", "/s1") == "one"
    assert exact_.pod("very.specific.com", "/s2") == "two"
    assert exact_.pod("other.specific.com", "/s2") == "404"
    assert exact_.pod("non.matching.com", "/s1") == "404"
    assert wild.pod("foo.wildcard.io", "/s3") == "three"
    assert wild.pod("bar.wildcard.io", "/s3") == "404"
    assert wild.pod("wildcard.io", "/s3") == "404"
    assert wild.pod("deep.below.wildcard.io", "/s4") == "one"
    assert wild.pod("any.anotherwildcard.io", "/s4") == "one"
    (found,) = api.parents("HTTPRoute", "h-none")
    assert found["Accepted"] == ("False", "NoMatchingListenerHostname")
    assert api.listener("hosts", "exact")["attachedRoutes"] == 3
    assert api.listener("hosts", "other")["attachedRoutes"] == 1


def test_listeners_of_one_port_are_apart(api: Api) -> None:
    """A request is for the listener with the closest hostname alone."""
    hosts = {"all": "", "wide": "*.example.com", "narrow": "*.foo.example.com", "one": "abc.foo.example.com"}
    api.apply(
        gateway("isolated", *(listener(name, hostname=host) for name, host in hosts.items())),
        *(
            route(f"iso-{name}", [{"name": "isolated", "sectionName": name}],
                  rule(prefix(f"/{name}"), backends=[to("one")]))
            for name in hosts
        ),
        route("iso-cross", [{"name": "isolated", "sectionName": "wide"}],
              rule(prefix("/cross"), backends=[to("two")]), hostnames=["x.foo.example.com", "x.example.com"]),
    )  # fmt: skip
    caller = api.caller("isolated", "all")
    asked = {
        "all": "bar.com",
        "wide": "bar.example.com",
        "narrow": "bar.foo.example.com",
        "one": hosts["one"],
    }
    for name in hosts:
        for wanted, host in asked.items():
            assert caller.pod(host, f"/{name}") == ("one" if wanted == name else "404"), (name, host)
    assert caller.pod("x.example.com", "/cross") == "two"
    assert caller.pod("x.foo.example.com", "/cross") == "404"


def test_parents_by_section_and_port(api: Api) -> None:
    api.apply(
        gateway("ports", listener("first", 80), listener("second", 8081), listener("third", 8082)),
        route("by-section", [{"name": "ports", "sectionName": "first"}], rule(backends=[to("one")])),
        route("by-port", [{"name": "ports", "port": 8081}], rule(backends=[to("two")])),
        route(
            "by-both", [{"name": "ports", "port": 8082, "sectionName": "third"}], rule(backends=[to("three")])
        ),
        route("bad-section", [{"name": "ports", "sectionName": "nope"}], rule(backends=[to("one")])),
        route("bad-port", [{"name": "ports", "port": 81}], rule(backends=[to("one")])),
        route(
            "bad-both", [{"name": "ports", "port": 80, "sectionName": "third"}], rule(backends=[to("one")])
        ),
    )
    for name, pod in (("first", "one"), ("second", "two"), ("third", "three")):
        assert api.caller("ports", name).pod("any.test") == pod
        assert api.listener("ports", name)["attachedRoutes"] == 1
    for name in ("bad-section", "bad-port", "bad-both"):
        assert api.parents("HTTPRoute", name)[0]["Accepted"] == ("False", "NoMatchingParent")


def test_routes_have_several_gateways_and_namespaces_are_kept_out(api: Api) -> None:
    selected = {"from": "Selector", "selector": {"matchLabels": {"tier": "web"}}}
    parents = [{"name": f"multi-{n}", "namespace": "infra"} for n in ("same", "all", "some")]
    api.apply(
        gateway("multi-same", listener("http")),
        gateway("multi-all", listener("http", frm="All")),
        gateway("multi-some", {"name": "http", "port": 80, "protocol": "HTTP",
                               "allowedRoutes": {"namespaces": selected}}),
        route("multi", parents, rule(backends=[to("web-one")]), namespace=WEB),
        route("multi-app", parents, rule(backends=[to("app-one")]), namespace="app", hostnames=["app.test"]),
    )  # fmt: skip
    accepted = [p["Accepted"] for p in api.parents("HTTPRoute", "multi", WEB)]
    assert accepted == [("False", "NotAllowedByListeners"), ("True", "Accepted"), ("True", "Accepted")]
    assert api.caller("multi-same").pod("x.test") == "404"
    assert api.caller("multi-all").pod("x.test") == "web-one"
    assert api.caller("multi-some").pod("x.test") == "web-one"
    reasons = [p["Accepted"][1] for p in api.parents("HTTPRoute", "multi-app", "app")]
    assert reasons == ["NotAllowedByListeners", "Accepted", "NotAllowedByListeners"]
    assert conditions(api.gateway("multi-same"))["Programmed"] == ("True", "Programmed")
