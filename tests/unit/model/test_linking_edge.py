"""Ingresses: which are ours, which path comes first, and how they follow the mesh."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from meshgate.core.diagnostics import ObjectRef
from meshgate.model.declared import Broken, Declared, EdgeRules, IngressClass, MeshRules
from meshgate.model.link import link
from meshgate.model.route import (
    Forward,
    MatchKind,
    Mirror,
    NamedMatch,
    PathMatch,
    Redirect,
    Refuse,
    RequestMatch,
    Rewrite,
    Rule,
    StringMatch,
)
from tests.unit.model.build import (
    at,
    codes,
    exact,
    ingress,
    one,
    prefix,
    regex,
    rule,
    segments,
    service,
    split,
    virtual_service,
    workload,
)

HOST = "api.example.com"
SVC = "svc.default.svc.cluster.local"


def linked(
    *edges: EdgeRules, mesh: tuple[MeshRules, ...] = ()
) -> tuple[dict[str, tuple[Rule, ...]], list[str]]:
    """Rules by host, and the codes found."""
    declared = Declared(
        services=(service("svc"), service("two", 80, 81)),
        workloads=(workload("svc"), workload("two")),
        edge_rules=edges,
        mesh_rules=mesh,
    )
    model, found = link(declared)
    return {name: host.rules for name, host in model.edge_hosts.items()}, codes(found)


def equals(value: str) -> StringMatch:
    return StringMatch(kind=MatchKind.EXACT, value=value)


def header(name: str, value: str) -> NamedMatch:
    return NamedMatch(name=name, match=equals(value))


def paths(rules: tuple[Rule, ...]) -> list[str]:
    return [r.matches[0].paths[0].value for r in rules]


CLASSES = (
    IngressClass(name="ours", controller="meshgate.dev/ingress-controller"),
    IngressClass(name="also-kong", controller="ingress-controllers.konghq.com/kong"),
    IngressClass(name="theirs", controller="k8s.io/ingress-nginx"),
)


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("", True),
        ("kong", True),
        ("meshgate", True),
        ("ours", True),
        ("also-kong", True),
        ("theirs", False),
        ("nginx", False),
    ],
)
def test_which_ingresses_are_taken(name: str, taken: bool) -> None:
    edge = ingress("a", (HOST, segments("/"), "svc", 80), class_name=name)
    declared = Declared(
        services=(service("svc"),),
        workloads=(workload("svc"),),
        edge_rules=(edge,),
        ingress_classes=CLASSES,
    )
    model, found = link(declared)
    assert bool(model.edge_hosts) is taken
    assert codes(found) == ([] if taken else ["MG3012"])


def test_paths_are_tried_closest_first() -> None:
    hosts, found = linked(
        ingress(
            "a",
            (HOST, segments("/"), "svc", 80),
            (HOST, segments("/api"), "svc", 80),
            (HOST, prefix("/api/v1"), "svc", 80),
            (HOST, regex("/r.*"), "svc", 80),
            (HOST, exact("/api"), "svc", 80),
        )
    )
    assert not found
    assert paths(hosts[HOST]) == ["/api", "/r.*", "/api/v1", "/api", "/"]


def test_more_conditions_come_first_and_methods_limit() -> None:
    hosts, _ = linked(
        ingress("long", (HOST, segments("/api/v1"), "svc", 80)),
        ingress("post", (HOST, segments("/api"), "svc", 80), methods=("POST", "PUT")),
    )
    first, second = hosts[HOST]
    assert first.matches[0].methods == (equals("POST"), equals("PUT"))
    assert second.matches[0].methods == ()


def test_header_conditions_of_several_values_are_any_of_them() -> None:
    edge = replace(
        ingress("a", (HOST, segments("/"), "svc", 80)),
        headers=(("x-tier", (equals("a.b"), equals("c"))),),
    )
    hosts, _ = linked(edge)
    (match,) = hosts[HOST][0].matches[0].headers
    assert match == NamedMatch(
        name="x-tier", match=StringMatch(kind=MatchKind.REGEX, value=r"(?:a\.b)|(?:c)")
    )


def test_a_request_falls_to_wider_hosts() -> None:
    hosts, _ = linked(
        ingress(
            "a",
            ("A.example.com", segments("/a"), "svc", 80),
            ("*.example.com", segments("/b"), "svc", 80),
            ("*", segments("/c"), "svc", 80),
            ("other.org", segments("/"), "svc", 80),
            default=("svc", 80),
        )
    )
    assert paths(hosts["a.example.com"]) == ["/a", "/b", "/c", "/"]
    assert paths(hosts["*.example.com"]) == ["/b", "/c", "/"]
    assert paths(hosts["*"]) == ["/c", "/"]
    assert paths(hosts["other.org"]) == ["/"]
    assert hosts["*"][-1].name == "ingress/default/a/default"


def test_the_older_ingress_has_a_path_that_two_claim() -> None:
    older = ingress("z", (HOST, segments("/a"), "svc", 80), created="2026-01-01")
    younger = ingress("a", (HOST, segments("/a/"), "two", 80), created="2026-02-01")
    hosts, found = linked(younger, older)
    assert [r.name for r in hosts[HOST]] == ["ingress/default/z/0/0"]
    assert found == ["MG3008"]


def test_what_is_missing_closes_its_path_alone() -> None:
    edge = ingress(
        "a",
        (HOST, segments("/none"), "gone", 80),
        (HOST, segments("/port"), "two", 99),
        (HOST, segments("/sick"), "sick", 80),
        (HOST, segments("/ok"), "svc", 80),
    )
    declared = Declared(
        services=(service("svc"), service("two", 80, 81)),
        workloads=(workload("svc"), workload("two")),
        edge_rules=(edge,),
        broken=(Broken(ref=ObjectRef("Service", "default", "sick"), problem="no ports"),),
    )
    model, found = link(declared)
    actions = {r.matches[0].paths[0].value: r.action for r in model.edge_hosts[HOST].rules}
    assert actions["/none"] == Refuse(status=503, reason="service default/gone does not exist")
    assert actions["/port"] == Refuse(status=503, reason="service default/two has no port 99")
    assert actions["/sick"] == Refuse(status=503, reason="service default/sick is broken: no ports")
    assert isinstance(actions["/ok"], Forward)
    assert codes(found) == ["MG3001", "MG3001", "MG3002"]
    assert one(found, "MG3002").origin == at("ing-a", 21)


def test_a_closed_ingress_answers_503() -> None:
    hosts, _ = linked(ingress("a", (HOST, segments("/"), "svc", 80), closed="tls mode not supported"))
    assert hosts[HOST][0].action == Refuse(status=503, reason="tls mode not supported")


def test_host_and_path_on_the_way_to_the_service() -> None:
    hosts, _ = linked(
        ingress("a", (HOST, segments("/a"), "svc", 80), strip=True, preserve_host=False),
        ingress("b", (HOST, segments("/b"), "svc", 80)),
    )
    stripped, plain = (r.action for r in hosts[HOST])
    assert isinstance(stripped, Forward)
    assert isinstance(plain, Forward)
    assert stripped.rewrite == Rewrite(prefix="/", authority=SVC, preserve_host=False)
    assert plain.rewrite == Rewrite()


def follow(
    *rules: Rule,
    edge: EdgeRules | None = None,
    hosts: tuple[str, ...] = ("svc",),
    export_to: tuple[str, ...] = ("*",),
) -> tuple[Rule, ...]:
    """The edge rules for `/api` of a service whose VirtualService has these rules."""
    found, _ = linked(
        edge or ingress("a", (HOST, segments("/api"), "svc", 80)),
        mesh=(virtual_service("svc", *rules, hosts=hosts, export_to=export_to),),
    )
    return found[HOST]


def on(*found: PathMatch, **parts: Any) -> RequestMatch:
    return replace(RequestMatch(paths=found), **parts)


TO = split(("svc", "", 1))


def test_mesh_rules_are_joined_with_the_edge_path_in_their_order() -> None:
    rules = follow(
        rule("canary", TO, on(headers=(header("x-canary", "true"),))),
        rule("deeper", TO, on(prefix("/api/v1")), on(prefix("/elsewhere")), on(exact("/api/x"))),
        rule("rest", Redirect(path="/new")),
    )
    canary, deeper, rest = rules
    assert canary.matches == (on(segments("/api"), headers=(header("x-canary", "true"),)),)
    assert deeper.matches == (on(prefix("/api/v1")), on(exact("/api/x")))
    assert rest.action == Redirect(path="/new")
    assert [r.name for r in rules] == [f"ingress/default/a/0/0/{i}" for i in range(3)]
    assert {r.route_label for r in rules} == {"default.a.svc.api.example.com.80"}
    assert {r.service_label for r in rules} == {"default.svc.80"}
    assert canary.origin == at("vs-canary")
    assert canary.edge_origin == at("ing-a", 10)


def test_what_no_mesh_rule_takes_is_not_found_as_behind_a_sidecar() -> None:
    some, none = follow(rule("some", TO, on(headers=(header("x", "1"),))))
    assert isinstance(some.action, Forward)
    assert isinstance(none.action, Refuse)
    assert none.action.status == 404
    assert none.matches == (on(segments("/api")),)


def test_mesh_conditions_on_the_client_are_decided_for_the_gateway() -> None:
    rules = follow(
        rule("labels", TO, on(source_labels={"app": "checkout"})),
        rule("namespace", TO, on(source_namespace="default")),
        rule("port", TO, on(port=81)),
        rule("authority", TO, on(authority=equals("other"))),
        rule("scheme", TO, on(scheme=equals("https"))),
        rule(
            "gateway",
            TO,
            on(
                source_labels={"app": "meshgate-gateway"},
                source_namespace="meshgate-system",
                port=80,
                authority=StringMatch(kind=MatchKind.REGEX, value=r"svc\.default.*"),
            ),
        ),
    )
    assert [r.origin.file for r in rules] == ["vs-gateway.yaml", "ing-a.yaml"]
    assert rules[0].matches == (on(segments("/api")),)


def test_an_authority_regex_that_is_not_tried_is_reported() -> None:
    wild = StringMatch(kind=MatchKind.REGEX, value="(s+)+vc")
    _, found = linked(
        ingress("a", (HOST, segments("/api"), "svc", 80)),
        mesh=(virtual_service("svc", rule("r", TO, on(authority=wild)), rule("all", TO)),),
    )
    assert found == ["MG1103"]


def test_methods_meet() -> None:
    edge = ingress("a", (HOST, segments("/api"), "svc", 80), methods=("GET", "POST"))
    rules = follow(
        rule("get", TO, on(methods=(equals("GET"), equals("DELETE")))),
        rule("delete", TO, on(methods=(equals("DELETE"),))),
        rule("rest", TO),
        edge=edge,
    )
    assert [r.matches[0].methods for r in rules] == [(equals("GET"),), (equals("GET"), equals("POST"))]


def test_strip_path_and_the_mesh_rules_rewrite_become_one() -> None:
    edge = ingress("a", (HOST, segments("/api"), "svc", 80), strip=True, preserve_host=False)
    v2 = replace(TO, rewrite=Rewrite(prefix="/v2/", authority="inner"))
    rules = follow(rule("users", v2, on(prefix("/users/")), on(exact("/me"))), rule("rest", TO), edge=edge)
    users, rest = rules
    assert users.matches == (on(prefix("/api/users/")), on(exact("/api/me")))
    assert isinstance(users.action, Forward)
    assert users.action.rewrite == Rewrite(prefix="/v2/", authority="inner")
    assert isinstance(rest.action, Forward)
    assert rest.action.rewrite == Rewrite(prefix="/", authority=SVC, preserve_host=False)


def test_matches_that_need_different_rewrites_become_rules_of_their_own() -> None:
    edge = ingress("a", (HOST, segments("/api"), "svc", 80), strip=True)
    rules = follow(rule("both", TO, on(prefix("/x")), on(prefix("/y"))), edge=edge)
    rewrites = [r.action.rewrite.prefix for r in rules if isinstance(r.action, Forward)]
    assert rewrites == ["/x", "/y"]
    assert len({r.name for r in rules}) == len(rules) == 3


def test_what_cannot_be_joined_is_reported() -> None:
    edge = ingress("a", (HOST, regex("/r/.*"), "svc", 80), strip=True)
    _, found = linked(edge, mesh=(virtual_service("svc", rule("x", TO, on(prefix("/x")))),))
    assert found == ["MG1103"]


def test_the_asked_port_is_the_ingress_backends() -> None:
    two = replace(split(("two", "", 1), ("svc", "", 1)), mirrors=(Mirror(destination=TO_TWO),))
    hosts, found = linked(
        ingress("a", (HOST, segments("/"), "two", 81)),
        mesh=(virtual_service("two", rule("all", two)),),
    )
    action = hosts[HOST][0].action
    assert isinstance(action, Forward)
    assert [w.destination.port for w in action.destinations] == [81, 80]
    assert action.mirrors[0].destination.port == 81
    assert not found


TO_TWO = split(("two", "", 1)).destinations[0].destination


def test_a_service_without_the_asked_port_is_closed() -> None:
    declared = Declared(
        services=(service("two", 80, 81), service("far", 90, 91)),
        workloads=(workload("two"), workload("far")),
        edge_rules=(ingress("a", (HOST, segments("/"), "two", 81)),),
        mesh_rules=(virtual_service("two", rule("all", split(("far", "", 1)))),),
    )
    model, found = link(declared)
    action = model.edge_hosts[HOST].rules[0].action
    assert isinstance(action, Refuse)
    assert action.status == 503
    assert codes(found) == ["MG3002"]


@pytest.mark.parametrize(
    ("export_to", "followed"), [(("*",), True), ((".",), False), (("meshgate-system",), True)]
)
def test_only_rules_that_the_gateway_sees_are_followed(export_to: tuple[str, ...], followed: bool) -> None:
    (found,) = follow(rule("all", TO), export_to=export_to)
    assert (found.origin.file == "vs-all.yaml") is followed


def test_a_wildcard_virtual_service_is_followed_after_an_exact_one() -> None:
    (found,) = follow(rule("wild", TO), hosts=("*.default.svc.cluster.local",))
    assert found.origin.file == "vs-wild.yaml"
