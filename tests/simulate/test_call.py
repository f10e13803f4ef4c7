"""What requests meet: the shop as a whole, and each golden case that is about an order or a refusal."""

from __future__ import annotations

import base64
import json

import pytest

from meshgate.model.graph import Model
from meshgate.simulate import UnknownCaller, Verdict, call, stand_in
from meshgate.simulate.verdict import Outcome, Tls
from tests.golden import cases
from tests.simulate.shop import shop


def model(name: str) -> Model:
    return cases.read(name).translated()


def shares(verdict: Verdict) -> dict[str, float]:
    return {f"{d.host.partition('.')[0]}/{d.subset}": d.percent for d in verdict.destinations}


def token(issuer: str) -> str:
    """A token that says who signed it, with a signature that is none."""
    parts: tuple[dict[str, object], ...] = (
        {"alg": "HS256", "typ": "JWT"},
        {"iss": issuer, "exp": 4_102_444_800},
        {},
    )
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts)


# The items, on the shop.


def test_seed_01_splits_inside_the_mesh_over_mutual_tls() -> None:
    verdict = call(shop(), "GET", "payment", "/", proxy="checkout")
    assert shares(verdict) == {"payment/v1": 90, "payment/v2": 10}
    assert {d.tls for d in verdict.destinations} == {Tls.MUTUAL}
    assert verdict.destinations[0].peers == ("spiffe://cluster.local/ns/default/sa/payment",)
    assert verdict.rule is not None
    assert str(verdict.rule.origin) == "seed/01-canary-payment.yaml:10:5"
    assert str(verdict.destinations[1].subset_origin) == "seed/01-canary-payment.yaml:30:5"


@pytest.mark.parametrize("host", ["payment:80", "payment.default", "PAYMENT.default.svc.cluster.local"])
def test_every_spelling_of_a_service_meets_the_same_rule(host: str) -> None:
    verdict = call(shop(), "GET", host, "/", proxy="checkout.default")
    assert verdict.rule == call(shop(), "GET", "payment", "/", proxy="checkout").rule


def test_seed_02_asks_for_a_token_then_counts() -> None:
    without = call(shop(), "GET", "api.example.com", "/api/v1/orders")
    assert (without.outcome, without.status) == (Outcome.REFUSE, 401)
    assert [p.kind for p in without.policies] == ["jwt", "rate-limiting"]
    assert "100 per minute" in without.policies[1].says
    assert str(without.policies[0].origin).startswith("seed/02-kong-jwt-and-rate-limit.yaml:")
    let_in = {"Authorization": f"Bearer {token('alice-issuer')}"}
    assert call(shop(), "GET", "api.example.com", "/api/v1/x", let_in).outcome is Outcome.FORWARD
    by_query = call(shop(), "GET", "api.example.com", f"/api/v1/x?jwt={token('alice-issuer')}")
    assert by_query.policies[0].consumer == "alice"
    stranger = {"authorization": f"Bearer {token('mallory')}"}
    assert call(shop(), "GET", "api.example.com", "/api/v1/x", stranger).status == 401


def test_seed_03_sends_the_canary_header_to_v2_and_only_v2() -> None:
    canary = {"x-canary": "true", "authorization": f"Bearer {token('alice-issuer')}"}
    edge = call(shop(), "GET", "api.example.com", "/api/v1", canary)
    assert shares(edge) == {"backend-service/v2": 100}
    assert shares(call(shop(), "GET", "backend-service", "/", canary, proxy="checkout")) == shares(edge)
    assert shares(call(shop(), "GET", "backend-service", "/", proxy="checkout")) == {
        "backend-service/v1": 100
    }


def test_seed_03_alone_names_the_missing_subset() -> None:
    verdict = call(model("istio/missing-subset"), "GET", "pay", "/only", proxy="client")
    assert (verdict.outcome, verdict.status) == (Outcome.REFUSE, 503)
    assert "v3" in verdict.reason


def test_seed_04_names_the_ingress_and_the_mesh_rule_that_decided() -> None:
    verdict = call(shop(), "GET", "any.example", "/api/users/7?full=1")
    assert shares(verdict) == {"user-service/v1": 90, "user-service/v2": 10}
    assert verdict.sent is not None
    assert verdict.sent.path == "/7?full=1"
    assert verdict.rule is not None
    assert str(verdict.rule.origin) == "seed/04-hybrid.yaml:27:5"
    assert str(verdict.rule.edge_origin) == "seed/04-hybrid.yaml:12:9"


def test_seed_05_takes_what_the_longer_path_leaves() -> None:
    verdict = call(shop(), "GET", "api.example.com", "/api/v10")
    assert shares(verdict) == {"my-service/": 100}
    assert verdict.policies == ()


# Orders and refusals.


@pytest.mark.parametrize(
    ("host", "service"),
    [
        ("api.example.com", "exact"),
        ("shop.example.com", "wild"),
        ("a.b.example.com:81", "wild"),
        ("x", "every"),
    ],
)
def test_the_closest_host_is_tried_first(host: str, service: str) -> None:
    assert shares(call(model("kubernetes/host-precedence"), "GET", host, "/api")) == {f"{service}/": 100}


@pytest.mark.parametrize(
    ("path", "service"),
    [("/a", "exact"), ("/a/", "prefix"), ("/a/b", "longer"), ("/a/b/c", "longer"), ("/a/bc", "prefix")],
)
def test_exact_paths_come_before_longer_and_shorter_prefixes(path: str, service: str) -> None:
    assert shares(call(model("kubernetes/path-types"), "GET", "paths.example", path)) == {f"{service}/": 100}


def test_a_host_without_rules_is_404() -> None:
    verdict = call(model("kubernetes/path-types"), "GET", "nobody.example", "/a")
    assert (verdict.status, verdict.virtual_host) == (404, "")


def test_a_broken_plugin_closes_its_route_and_no_other() -> None:
    closed = call(model("kong/broken-plugin"), "GET", "x", "/broken")
    assert closed.status == 503
    assert "limit" in closed.reason
    assert call(model("kong/broken-plugin"), "GET", "x", "/open").rule is not None
    assert shares(call(model("kong/broken-plugin"), "GET", "x", "/open")) == {"shop/": 100}


def test_the_plugin_of_the_route_beats_the_services_and_the_global_one() -> None:
    def said(path: str) -> list[str]:
        return [
            p.says.partition(" per")[0]
            for p in call(model("kong/plugin-precedence"), "GET", "x", path).policies
        ]

    assert (said("/route"), said("/service"), said("/global")) == (["1"], ["2"], ["3"])


def test_a_weight_of_zero_takes_nothing_and_a_lone_weight_all() -> None:
    assert shares(call(model("istio/weights"), "GET", "pay", "/zero", proxy="client")) == {"pay/v1": 100}
    assert shares(call(model("istio/weights"), "GET", "pay", "/x", proxy="client")) == {"pay/v2": 100}


def test_a_header_that_only_the_gateway_may_set_is_not_seen() -> None:
    spoofed = call(shop(), "GET", "api.example.com", "/api/v1", {"X-Consumer-ID": "alice"})
    assert spoofed.status == 401


def test_strict_turns_plaintext_away() -> None:
    strict = model("istio/peer-authentication-levels")
    assert call(strict, "GET", "a.default", "/", proxy="c.shop").destinations[0].tls is Tls.MUTUAL
    mixed = model("istio/strict-and-a-caller-without-sidecar")
    for caller in ("plain", "client"):  # the one has no sidecar, the other's rule says plaintext
        refused = call(mixed, "GET", "web", "/", proxy=caller)
        assert refused.outcome is Outcome.REFUSE
        assert "mTLS only" in refused.reason
    # DISABLE at the callee: its sidecar takes no mTLS, so none is spoken.
    assert call(strict, "GET", "c.shop", "/", proxy="a").destinations[0].tls is Tls.PLAIN


def test_a_caller_without_sidecar_follows_no_rules() -> None:
    verdict = call(model("kubernetes/not-meshed"), "GET", "web", "/", proxy="web")
    assert (verdict.proxy, verdict.outcome) == ("", Outcome.FORWARD)
    assert "no sidecar" in verdict.reason


def test_tcp_is_carried_without_a_look_at_requests() -> None:
    verdict = call(model("kubernetes/tcp-port"), "GET", "db:5432", "/", proxy="client")
    assert (verdict.outcome, verdict.rule is not None) == (Outcome.TCP, True)


def test_hosts_outside_of_the_mesh_are_left_alone() -> None:
    verdict = call(shop(), "GET", "www.example.org", "/", proxy="checkout")
    assert (verdict.outcome, verdict.rule) == (Outcome.OUTSIDE, None)


def test_source_labels_tell_callers_apart() -> None:
    labels = model("istio/source-labels")
    assert shares(call(labels, "GET", "a", "/", proxy="client")) == {"b/": 100}
    assert shares(call(labels, "GET", "a", "/", proxy="other")) == {"a/": 100}
    assert shares(call(labels, "GET", "a", "/")) == {"a/": 100}


def test_without_pods_nothing_is_ready() -> None:
    linked = stand_in(cases.read("kubernetes/baseline").model)
    verdict = call(cases.read("kubernetes/baseline").model, "GET", "x", "/")
    assert (verdict.status, verdict.reason) == (503, "no pod is ready")
    assert call(linked, "GET", "x", "/").outcome is Outcome.FORWARD


def test_timeouts_retries_and_hashes_are_told() -> None:
    sent = call(model("istio/retries-and-timeout"), "GET", "pay", "/", proxy="client").sent
    assert sent is not None
    assert (sent.timeout_ms, sent.retries, sent.per_try_timeout_ms) == (2500, 3, 500)
    off = call(model("istio/retries-and-timeout"), "GET", "pay", "/off", proxy="client").sent
    assert off is not None
    assert off.retries == 0
    hashed = call(model("istio/consistent-hash"), "GET", "by-header", "/", proxy="client").sent
    assert hashed is not None
    assert hashed.hash_on == "header x-user"


def test_an_unknown_caller_is_named() -> None:
    with pytest.raises(UnknownCaller, match="default/nobody"):
        call(shop(), "GET", "payment", "/", proxy="nobody")


@pytest.mark.parametrize(
    ("host", "tls", "problem"),
    [
        ("simple.example", Tls.SIMPLE, ""),
        ("mutual.example", Tls.MUTUAL, ""),
        ("loose.example", Tls.SIMPLE, ""),
        ("closed.example", Tls.UNKNOWN, "a DestinationRule asks for TLS"),
        ("nokey.example", Tls.UNKNOWN, "a DestinationRule asks for TLS"),
    ],
)
def test_tls_to_hosts_outside_of_the_mesh(host: str, tls: Tls, problem: str) -> None:
    verdict = call(model("istio/client-tls-external"), "GET", host, "/", proxy="client")
    (found,) = verdict.destinations
    assert found.cluster == f"outbound|80||{host}"
    assert found.tls is tls
    assert found.problem.startswith(problem)
    assert bool(found.problem) is bool(problem)


def test_who_does_not_see_a_service_entry_goes_as_without_it() -> None:
    verdict = call(model("istio/service-entry"), "GET", "hidden.example", "/", proxy="client")
    assert [d.cluster for d in verdict.destinations] == ["ForwardProxyCluster"]


@pytest.mark.parametrize(
    ("url", "cluster"),
    [
        ("shop.example", "outbound|80||shop.default.svc.cluster.local"),
        ("pay.example", "outbound|80||shop.default.svc.cluster.local"),
    ],
)
def test_a_server_with_tls_has_a_table_of_its_own(url: str, cluster: str) -> None:
    secure = call(model("istio/gateway-tls"), "GET", url, "/", scheme="https")
    assert [d.cluster for d in secure.destinations] == [cluster]
    assert secure.virtual_host.startswith("https.443.")
    plain = call(model("istio/gateway-tls"), "GET", url, "/")
    assert (plain.outcome, plain.status) == (Outcome.REDIRECT, 301)


def test_connections_follow_tcp_routes() -> None:
    verdict = call(model("istio/tcp-routes"), "GET", "echo:9000", "/", proxy="client")
    assert verdict.outcome is Outcome.TCP
    assert {d.subset: d.percent for d in verdict.destinations} == {"v1": 80, "v2": 20}
    other = call(model("istio/tcp-routes"), "GET", "echo:9001", "/", proxy="client")
    assert [d.cluster for d in other.destinations] == ["outbound|9001||echo.default.svc.cluster.local"]


@pytest.mark.parametrize(
    ("case", "host", "endpoints", "problem"),
    [
        ("kubernetes/endpoint-slices", "database", 3, ""),
        ("kubernetes/endpoint-slices", "legacy", 3, ""),
        ("kubernetes/endpoint-slices", "shop", 2, ""),
        ("istio/workload-entries", "ratings", 4, ""),
        ("istio/workload-entries", "named.example", 5, ""),
        ("istio/service-entry-endpoints", "far.example", 3, ""),
        ("istio/service-entry", "x.any.example", 0, ""),
    ],
)
def test_what_answers_and_is_no_pod(case: str, host: str, endpoints: int, problem: str) -> None:
    (found,) = call(model(case), "GET", host, "/", proxy="client").destinations
    assert (found.endpoints, found.problem) == (endpoints, problem)


@pytest.mark.parametrize(
    ("host", "cluster", "rule"),
    [
        ("other-name", "outbound|80||web.default.svc.cluster.local", "virtualservice/default/web/0"),
        ("chain", "outbound|80||web.default.svc.cluster.local", "virtualservice/default/web/0"),
        ("outside", "outbound|80||api.example.com", "default"),
        ("away:8443", "outbound|8443||away.default.svc.cluster.local", "default"),
    ],
)
def test_another_name_follows_the_rules_of_what_it_stands_for(host: str, cluster: str, rule: str) -> None:
    verdict = call(model("kubernetes/external-name"), "GET", host, "/", proxy="client")
    assert [d.cluster for d in verdict.destinations] == [cluster]
    assert verdict.rule is not None
    assert verdict.rule.name == rule
    assert verdict.outcome is Outcome.FORWARD


def _marks(name: str, path: str) -> list[str]:
    """What explain tells of the plugins that a consumer of the case meets, behind its key."""
    secrets = {"alice": "not-a-secret-1", "bob": "not-a-secret-2", "": ""}
    linked = stand_in(cases.read("kong/consumer-plugins").model)
    verdict = call(linked, "GET", "x", path, {"apikey": secrets[name]})
    return [f"{met.kind}@{met.origin.line}" for met in verdict.policies if met.kind != "key-auth"]


def test_who_has_plugins_of_his_own_meets_them() -> None:
    assert _marks("alice", "/shop") == [
        "correlation-id@56",
        "ip-restriction@42",
        "request-transformer@24",
        "response-transformer@48",
        "grpc-web@66",
        "tcp-log@75",
    ]
    assert _marks("bob", "/shop") == [
        "request-size-limiting@54",
        "request-transformer@36",
        "response-transformer@48",
    ]
    assert _marks("bob", "/other") == ["request-size-limiting@54", "request-transformer@30"]
    assert _marks("", "/shop") == ["request-transformer@18", "response-transformer@48"]
