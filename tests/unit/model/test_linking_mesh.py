"""VirtualServices and DestinationRules inside the mesh."""

from __future__ import annotations

from dataclasses import replace

from meshgate.core.diagnostics import ObjectRef
from meshgate.model.declared import Broken, Declared, DestinationRules, MeshRules
from meshgate.model.destination import Balance, LoadBalancer, TrafficPolicy
from meshgate.model.graph import MeshHost
from meshgate.model.link import link
from meshgate.model.route import (
    Destination,
    Forward,
    MatchKind,
    Mirror,
    Refuse,
    RequestMatch,
    StringMatch,
)
from tests.unit.model.build import (
    codes,
    destination_rule,
    one,
    prefix,
    rule,
    service,
    split,
    versions,
    virtual_service,
    workload,
)

HOST = "payment.default.svc.cluster.local"


def declared(*rules: MeshRules, destinations: tuple[DestinationRules, ...] = ()) -> Declared:
    return Declared(
        services=(service("payment"), service("two", 80, 81)),
        workloads=(*versions("payment", "v1", "v2", "v3", "v9"), workload("two")),
        mesh_rules=rules,
        destination_rules=destinations,
    )


def to(host: str, *, port: int = 0, subset: str = "") -> Forward:
    return split((host, subset, 1), port=port)


def test_destinations_get_a_full_host_and_a_port() -> None:
    model, found = link(
        declared(
            virtual_service(
                "payment",
                rule("short", to("payment"), RequestMatch(paths=(prefix("/a"),))),
                rule("several", to("two"), RequestMatch(paths=(prefix("/b"),))),
                rule("explicit", to("two", port=81)),
            )
        )
    )
    assert not found
    (mesh,) = model.mesh_hosts[HOST]
    targets = [r.action.destinations[0].destination for r in mesh.rules if isinstance(r.action, Forward)]
    two = "two.default.svc.cluster.local"
    assert targets == [
        Destination(host=HOST, port=80),
        Destination(host=two, port=0),
        Destination(host=two, port=81),
    ]


def test_unknown_hosts_and_ports_answer_503() -> None:
    found_rules, found = link(
        declared(
            virtual_service("payment", rule("all", to("paymnt"))),
            virtual_service("two", rule("all", to("two", port=99))),
        )
    )
    first = found_rules.mesh_hosts[HOST][0].rules[0].action
    assert first == Refuse(status=503, reason="service default/paymnt does not exist")
    second = found_rules.mesh_hosts["two.default.svc.cluster.local"][0].rules[0].action
    assert second == Refuse(status=503, reason="service default/two has no port 99")
    assert codes(found) == ["MG3002", "MG3011"]
    assert "80, 81" in one(found, "MG3002").message


def test_a_foreign_host_is_no_service_and_a_broken_one_says_so() -> None:
    given = replace(
        declared(
            virtual_service("payment", rule("all", to("www.example.com"))),
            virtual_service("two", rule("all", to("sick"))),
        ),
        broken=(Broken(ref=ObjectRef("Service", "default", "sick"), problem="no ports"),),
    )
    messages = sorted(d.message for d in link(given)[1] if d.code == "MG3011")
    assert messages[0].startswith("service default/sick is broken: no ports")
    assert messages[1].startswith("www.example.com is not a service of the mesh")


def test_in_a_split_only_the_missing_share_is_lost() -> None:
    given = declared(
        virtual_service("payment", rule("all", split(("payment", "v1", 90), ("payment", "v2", 10)))),
        destinations=(destination_rule("payment", "v1"),),
    )
    model, found = link(given)
    action = model.mesh_hosts[HOST][0].rules[0].action
    assert isinstance(action, Forward)
    assert [(w.destination.subset, w.weight) for w in action.destinations] == [("v1", 90), ("v2", 10)]
    assert codes(found) == ["MG3003"]


def test_a_mirror_to_nowhere_is_dropped_with_a_warning() -> None:
    action = replace(to("payment"), mirrors=(Mirror(destination=Destination(host="gone", port=0)),))
    model, found = link(declared(virtual_service("payment", rule("all", action))))
    linked = model.mesh_hosts[HOST][0].rules[0].action
    assert isinstance(linked, Forward)
    assert linked.mirrors == ()
    assert codes(found) == ["MG3011"]


def test_subsets_may_come_from_a_wildcard_rule() -> None:
    given = declared(
        virtual_service("payment", rule("all", to("payment", subset="v1"))),
        destinations=(destination_rule("all", "v1", host="*.default.svc.cluster.local"),),
    )
    assert not link(given)[1]


def test_rules_behind_a_catch_all_are_never_reached() -> None:
    model, found = link(
        declared(
            virtual_service(
                "payment",
                rule("first", to("payment"), RequestMatch(paths=(prefix("/"),)), line=3),
                rule("second", to("payment"), line=9),
            )
        )
    )
    assert [r.name for r in model.mesh_hosts[HOST][0].rules] == ["first"]
    warning = one(found, "MG3009")
    assert warning.origin.line == 9
    assert "vs-first.yaml:3:1" in warning.message


def test_the_older_rules_of_a_host_win() -> None:
    older = virtual_service("z", rule("old", to("payment")), hosts=("payment",), created="2026-01-01")
    younger = virtual_service(
        "a", rule("new", to("payment")), hosts=(HOST, "two"), created="2026-01-02", namespace="other"
    )
    model, found = link(declared(younger, older))
    assert [m.rules[0].name for m in model.mesh_hosts[HOST]] == ["old"]
    assert [m.rules[0].name for m in model.mesh_hosts["two.other.svc.cluster.local"]] == ["new"]
    assert "decides for payment" in one(found, "MG3008").message


def test_rules_that_others_cannot_see_shadow_nobody_else() -> None:
    private = virtual_service(
        "a", rule("mine", to("payment")), hosts=(HOST,), namespace="team", export_to=(".",)
    )
    public = virtual_service("b", rule("ours", to("payment")), hosts=("payment",))
    model, _ = link(declared(public, private))
    assert [m.namespace for m in model.mesh_hosts[HOST]] == ["team", "default"]

    def seen(namespace: str) -> MeshHost:
        return next(m for m in model.mesh_hosts[HOST] if m.visible_from(namespace))

    assert seen("team").rules[0].name == "mine"
    assert seen("default").rules[0].name == "ours"


def test_named_gateways_are_reported_and_only_mesh_rules_stay() -> None:
    model, found = link(
        declared(
            virtual_service(
                "outer", rule("all", to("payment")), hosts=("shop.example.com",), gateways=("gw",)
            ),
            virtual_service(
                "payment",
                rule("gw only", to("payment"), RequestMatch(gateways=("edge",))),
                rule(
                    "both",
                    to("payment"),
                    RequestMatch(gateways=("edge",), paths=(prefix("/x"),)),
                    RequestMatch(gateways=("mesh", "edge"), paths=(prefix("/y"),)),
                ),
                gateways=("mesh", "edge"),
            ),
        )
    )
    assert list(model.mesh_hosts) == [HOST]
    (kept,) = model.mesh_hosts[HOST][0].rules
    assert kept.matches == (RequestMatch(paths=(prefix("/y"),)),)
    assert codes(found) == ["MG3021", "MG3021"]
    assert {"default/gw" in d.message for d in found} == {True, False}


def test_destination_rules_merge_as_in_istio() -> None:
    fast, slow = (
        TrafficPolicy(balancer=LoadBalancer(simple=Balance.RANDOM)),
        TrafficPolicy(balancer=LoadBalancer(simple=Balance.ROUND_ROBIN)),
    )
    model, found = link(
        declared(
            destinations=(
                destination_rule("c", "v2", "v3", host="payment", policy=slow, created="2026-03"),
                destination_rule("a", "v1", "v2", host="payment", created="2026-01"),
                destination_rule("b", host=HOST, policy=fast, created="2026-02"),
                destination_rule("d", "v9", host=HOST, namespace="other"),
            )
        )
    )
    here, other = model.destinations[HOST]
    assert [s.name for s in here.subsets] == ["v1", "v2", "v3"]
    assert here.policy == fast
    assert here.subsets[1].origin.file == "dr-a.yaml"
    assert [s.name for s in other.subsets] == ["v9"]
    assert codes(found) == ["MG3008", "MG3008"]
    text = " ".join(d.message for d in found)
    assert "subset 'v2'" in text
    assert "trafficPolicy" in text


def test_a_match_on_the_authority_is_no_catch_all() -> None:
    authority = StringMatch(kind=MatchKind.EXACT, value="payment")
    model, found = link(
        declared(
            virtual_service(
                "payment",
                rule("first", to("payment"), RequestMatch(authority=authority)),
                rule("second", to("payment")),
            )
        )
    )
    assert not found
    assert len(model.mesh_hosts[HOST][0].rules) == 2


def test_hosts_that_nobody_can_ask_for_are_reported() -> None:
    _, found = link(
        declared(
            virtual_service("typo", rule("a", to("payment")), hosts=("paymnt",)),
            virtual_service("half", rule("b", to("payment")), hosts=("payment.default",)),
            virtual_service("outside", rule("c", to("payment")), hosts=("www.example.com", "*.default.svc")),
            destinations=(destination_rule("nobody"),),
        )
    )
    assert codes(found) == ["MG3011"] * 3
    text = "\n".join(map(str, found))
    assert "service default/paymnt does not exist" in text
    assert "'payment.default' is not completed" in text
    assert "write payment.default.svc.cluster.local" in text
    assert "service default/nobody does not exist" in text
