"""What the five published examples mean once they are linked."""

from __future__ import annotations

from meshgate.model.declared import Declared
from meshgate.model.edge import EdgeHost
from meshgate.model.link import link
from meshgate.model.policy import JwtAuth, Limits, LimitStore, RateLimit, RedisTarget
from meshgate.model.route import (
    Forward,
    MatchKind,
    NamedMatch,
    Refuse,
    RequestMatch,
    Rule,
    StringMatch,
)
from tests.unit.model.build import (
    codes,
    destination_rule,
    ingress,
    one,
    plugin,
    prefix,
    rule,
    segments,
    service,
    split,
    versions,
    virtual_service,
    workload,
)

CANARY = RequestMatch(
    headers=(NamedMatch(name="x-canary", match=StringMatch(kind=MatchKind.EXACT, value="true")),)
)


def shares(found: Rule) -> list[tuple[str, int, str, int]]:
    assert isinstance(found.action, Forward)
    return [
        (w.destination.host, w.destination.port, w.destination.subset, w.weight)
        for w in found.action.destinations
    ]


def only(host: EdgeHost) -> Rule:
    (found,) = host.rules
    return found


def test_01_canary_splits_inside_the_mesh() -> None:
    declared = Declared(
        services=(service("payment"),),
        workloads=versions("payment", "v1", "v2"),
        mesh_rules=(
            virtual_service("payment", rule("all", split(("payment", "v1", 90), ("payment", "v2", 10)))),
        ),
        destination_rules=(destination_rule("payment", "v1", "v2"),),
    )
    model, found = link(declared)
    assert not found
    host = "payment.default.svc.cluster.local"
    (mesh,) = model.mesh_hosts[host]
    assert shares(mesh.rules[0]) == [(host, 80, "v1", 90), (host, 80, "v2", 10)]
    (policy,) = model.destinations[host]
    subset = policy.subset("v2")
    assert subset is not None
    assert subset.labels == {"version": "v2"}
    assert model.backends[host] == ("default/payment-v1", "default/payment-v2")


def test_02_jwt_and_limit_guard_the_edge() -> None:
    jwt = JwtAuth(verify_exp=True)
    limit = RateLimit(
        rule_id="", limits=Limits(minute=100), store=LimitStore.REDIS, redis=RedisTarget(host="redis")
    )
    declared = Declared(
        services=(service("backend-service"),),
        workloads=versions("backend-service", "v1", "v2"),
        edge_rules=(
            ingress(
                "api-ingress",
                ("api.example.com", segments("/api/v1"), "backend-service", 80),
                plugins=("jwt-auth", "rate-limit"),
            ),
        ),
        plugins=(plugin("jwt-auth", jwt, kind="jwt"), plugin("rate-limit", limit)),
    )
    model, found = link(declared)
    assert not found
    route = only(model.edge_hosts["api.example.com"])
    assert route.matches == (RequestMatch(paths=(segments("/api/v1"),)),)
    assert shares(route) == [("backend-service.default.svc.cluster.local", 80, "", 1)]
    assert route.policies[0] == jwt
    applied = route.policies[1]
    assert isinstance(applied, RateLimit)
    assert applied.limits == Limits(minute=100)
    assert applied.rule_id == "route/default.api-ingress.backend-service.api.example.com.80/rate-limiting"
    assert applied.service_id == "default.backend-service.80"
    assert route.route_label == "default.api-ingress.backend-service.api.example.com.80"
    assert route.service_label == "default.backend-service.80"


def seed_03(*subsets: str) -> Declared:
    return Declared(
        services=(service("backend-service"),),
        workloads=versions("backend-service", "v1", "v2"),
        mesh_rules=(
            virtual_service(
                "backend-service",
                rule("canary", split(("backend-service", "v2", 20)), CANARY, line=7),
                rule("rest", split(("backend-service", "v1", 80)), line=16),
            ),
        ),
        destination_rules=(
            destination_rule("backend-service"),
            destination_rule("backend-service-subsets", *subsets, host="backend-service"),
        ),
    )


def test_03_missing_subset_is_named_and_closes_its_rule_alone() -> None:
    model, found = link(seed_03("v1"))
    warning = one(found, "MG3003")
    assert "'v2'" in warning.message
    assert warning.origin.line == 7
    canary, rest = model.mesh_hosts["backend-service.default.svc.cluster.local"][0].rules
    assert canary.action == Refuse(status=503, reason="subset 'v2' of default/backend-service is not defined")
    assert shares(rest)[0][2:] == ("v1", 80)


def test_03_works_with_subsets_from_a_second_destination_rule() -> None:
    model, found = link(seed_03("v1", "v2"))
    assert not found
    canary, rest = model.mesh_hosts["backend-service.default.svc.cluster.local"][0].rules
    assert canary.matches == (CANARY,)
    assert shares(canary)[0][2] == "v2"
    assert shares(rest)[0][2] == "v1"


def test_04_edge_follows_the_mesh_and_strips_its_path() -> None:
    declared = Declared(
        services=(service("user-service", 8080),),
        workloads=versions("user-service", "v1", "v2"),
        edge_rules=(ingress("external-api", ("*", prefix("/api/users"), "user-service", 8080), strip=True),),
        mesh_rules=(
            virtual_service(
                "user-service", rule("all", split(("user-service", "v1", 90), ("user-service", "v2", 10)))
            ),
        ),
        destination_rules=(destination_rule("user-service", "v1", "v2"),),
    )
    model, found = link(declared)
    assert not found
    route = only(model.edge_hosts["*"])
    host = "user-service.default.svc.cluster.local"
    assert shares(route) == [(host, 8080, "v1", 90), (host, 8080, "v2", 10)]
    assert route.matches == (RequestMatch(paths=(prefix("/api/users"),)),)
    assert isinstance(route.action, Forward)
    assert route.action.rewrite.prefix == "/"
    assert route.origin.file == "vs-all.yaml"
    assert route.edge_origin is not None
    assert route.edge_origin.file == "ing-external-api.yaml"
    assert route.route_label == "default.external-api.user-service..8080"


def test_05_the_smallest_ingress() -> None:
    declared = Declared(
        services=(service("my-service"),),
        workloads=(workload("my-service"),),
        edge_rules=(ingress("my-api", ("api.example.com", segments("/"), "my-service", 80)),),
    )
    model, found = link(declared)
    assert not found
    assert shares(only(model.edge_hosts["api.example.com"])) == [
        ("my-service.default.svc.cluster.local", 80, "", 1)
    ]
    assert codes(found) == []
