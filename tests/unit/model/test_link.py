"""`link` as a whole: pure, and the same whatever the order of the documents."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from meshgate.core.diagnostics import ObjectRef
from meshgate.model.declared import Broken, ConfigMapObject, Declared, EdgeTls, IngressClass, Namespace
from meshgate.model.graph import Model, diff
from meshgate.model.link import link
from meshgate.model.names import Name
from meshgate.model.policy import KeyAuth, Limits, RateLimit
from meshgate.model.route import RequestMatch
from meshgate.model.workload import MtlsMode
from tests.unit.model.build import (
    api_key,
    at,
    consumer,
    destination_rule,
    ingress,
    peer,
    plugin,
    prefix,
    rule,
    segments,
    service,
    split,
    virtual_service,
    workload,
)

CROWD = Declared(
    namespaces=(
        Namespace(name="default", labels={"istio-injection": "enabled"}, origin=at("ns")),
        Namespace(name="other", origin=at("ns", 5)),
    ),
    services=(
        service("a", 80, 81, plugins=("limit",)),
        service("b"),
        replace(service("b", 90), origin=at("again")),
        service("b", namespace="other"),
        service("gone"),
    ),
    config_maps=(ConfigMapObject(name=Name("default", "c"), data={"k": "v"}, origin=at("cm")),),
    secrets=(api_key("k1", "one"), api_key("k2", "one")),
    workloads=(workload("a"), workload("b", account="robot"), workload("b", namespace="other")),
    mesh_rules=(
        virtual_service("a", rule("a", split(("a", "v1", 1), ("b", "", 2)))),
        virtual_service("a2", rule("a2", split(("b", "", 1))), hosts=("a", "b")),
        virtual_service(
            "a3",
            rule("a3", split(("a", "nope", 1)), RequestMatch(paths=(prefix("/x"),))),
            rule("a4", split(("missing", "", 1))),
            hosts=("a.default.svc.cluster.local",),
            namespace="other",
        ),
    ),
    destination_rules=(
        destination_rule("a1", "v1", host="a"),
        destination_rule("a2", "v1", "v2", host="a"),
        destination_rule("b", "v1", namespace="other"),
    ),
    peer_policies=(
        peer("x", MtlsMode.STRICT),
        peer("y", MtlsMode.DISABLE),
        peer("z", MtlsMode.STRICT, selector={"app": "b"}, ports={8080: None}),
        peer("default", MtlsMode.PERMISSIVE, namespace="istio-system"),
    ),
    edge_rules=(
        ingress("one", ("x.org", segments("/"), "a", 80), ("*", segments("/b"), "b", 80), plugins=("key",)),
        ingress("two", ("x.org", segments("/"), "b", 80), ("x.org", prefix("/a"), "a", 81)),
        ingress("three", ("x.org", segments("/t"), "nothing", 80), plugins=("none",), default=("b", 80)),
        replace(
            ingress("four", ("y.org", segments("/"), "a", 80), class_name="nginx"),
            tls=(EdgeTls(hosts=("y.org",), secret_name="k1"),),
        ),
    ),
    ingress_classes=(IngressClass(name="nginx", controller="k8s.io/ingress-nginx"),),
    plugins=(
        plugin("limit", RateLimit(rule_id="", limits=Limits(minute=5))),
        plugin("gold", RateLimit(rule_id="", limits=Limits(minute=50))),
        plugin("key", KeyAuth(), kind="key-auth"),
        plugin("key", None, kind="key-auth", namespace=""),
    ),
    consumers=(consumer("ann", "k1", plugins=("gold",)), consumer("bob", "k2", "k3", plugins=("gold",))),
    broken=(
        Broken(ref=ObjectRef("Service", "default", "missing"), problem="one", origin=at("br", 1)),
        Broken(ref=ObjectRef("Service", "default", "missing"), problem="two", origin=at("br", 9)),
        Broken(ref=ObjectRef("PeerAuthentication", "other", "p"), problem="x", origin=at("br", 3)),
    ),
)


@st.composite
def shuffled(draw: st.DrawFn) -> Declared:
    parts: dict[str, Any] = {
        f.name: tuple(draw(st.permutations(getattr(CROWD, f.name)))) for f in fields(Declared)
    }
    return Declared(**parts)


@settings(max_examples=150, deadline=None)
@given(declared=shuffled())
def test_the_order_of_documents_does_not_matter(declared: Declared) -> None:
    assert link(declared) == link(CROWD)


def test_the_crowd_has_something_in_every_facet() -> None:
    """Else the test above would show less than it says."""
    model, found = link(CROWD)
    for facet in ("services", "backends", "mesh_hosts", "destinations", "workloads", "inbound", "consumers"):
        assert getattr(model, facet), facet
    assert len({d.code for d in found}) >= 10
    assert any(r.policies for host in model.edge_hosts.values() for r in host.rules)


def test_a_change_touches_only_what_depends_on_it() -> None:
    weights = virtual_service("b", rule("b", split(("b", "", 7))), namespace="other")
    before, _ = link(CROWD)
    after, _ = link(replace(CROWD, mesh_rules=(*CROWD.mesh_rules, weights)))
    host = "b.other.svc.cluster.local"
    assert diff(before, after) == {("mesh_hosts", host), ("mesh_hosts", "*")}


def test_nothing_declared_is_an_empty_model() -> None:
    model, found = link(Declared())
    assert not found
    assert diff(model, link(Declared())[0]) == frozenset()
    assert isinstance(model, Model)
    assert not model.edge_hosts


def test_rule_names_are_unique_in_their_host() -> None:
    model, _ = link(CROWD)
    for host in model.edge_hosts.values():
        names = [r.name for r in host.rules]
        assert len(set(names)) == len(names)
