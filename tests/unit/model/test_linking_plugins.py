"""Plugins and consumers: precedence, and that nothing opens by mistake."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meshgate.core.diagnostics import ObjectRef
from meshgate.model.declared import Broken, ConsumerObject, Declared, Plugin
from meshgate.model.link import link
from meshgate.model.linking.consumers import consumer_id
from meshgate.model.names import Name
from meshgate.model.policy import ConsumerLimits, JwtAuth, KeyAuth, LimitBy, Limits, Policy, RateLimit
from meshgate.model.route import Refuse, Rule
from tests.unit.model.build import (
    KONG,
    api_key,
    at,
    codes,
    consumer,
    ingress,
    one,
    plugin,
    secret,
    segments,
    service,
    workload,
)


def limit(minute: int) -> RateLimit:
    return RateLimit(rule_id="", limits=Limits(minute=minute))


KEY = plugin("key", KeyAuth(), kind="key-auth")


def declared(
    *plugins: Plugin,
    route: tuple[str, ...] = (),
    on_service: tuple[str, ...] = (),
    consumers: tuple[ConsumerObject, ...] = (),
    broken: tuple[Broken, ...] = (),
) -> Declared:
    return Declared(
        services=(service("svc", plugins=on_service),),
        workloads=(workload("svc"),),
        edge_rules=(
            ingress(
                "a", ("x.org", segments("/a"), "svc", 80), ("x.org", segments("/b"), "svc", 80), plugins=route
            ),
        ),
        plugins=plugins,
        consumers=consumers,
        broken=broken,
    )


def first(given: Declared) -> tuple[Rule, list[str]]:
    model, found = link(given)
    return model.edge_hosts["x.org"].rules[0], codes(found)


def applied(given: Declared) -> tuple[Policy, ...]:
    found_rule, found = first(given)
    assert not found
    return found_rule.policies


def limits(given: Declared) -> RateLimit:
    (found,) = (p for p in applied(given) if isinstance(p, RateLimit))
    return found


GLOBAL = plugin("g", limit(1), namespace="", is_global=True)
SVC, ROUTE = plugin("s", limit(2)), plugin("r", limit(3))


def test_the_most_specific_configuration_counts_and_names_its_counter() -> None:
    label = "default.a.svc.x.org.80"
    everywhere = limits(declared(GLOBAL, SVC, ROUTE))
    assert (everywhere.limits.minute, everywhere.rule_id) == (1, "global/rate-limiting")
    of_service = limits(declared(GLOBAL, SVC, ROUTE, on_service=("s",)))
    assert (of_service.limits.minute, of_service.rule_id) == (2, "service/default.svc.80/rate-limiting")
    of_route = limits(declared(GLOBAL, SVC, ROUTE, on_service=("s",), route=("r",)))
    assert (of_route.limits.minute, of_route.rule_id) == (3, f"route/{label}/rate-limiting")
    assert of_route.service_id == "default.svc.80"


def test_a_cluster_plugin_answers_where_the_namespace_has_none() -> None:
    cluster = plugin("r", limit(9), namespace="")
    assert limits(declared(cluster, route=("r",))).limits.minute == 9
    assert limits(declared(cluster, ROUTE, route=("r",))).limits.minute == 3


def test_disabled_plugins_do_nothing() -> None:
    assert applied(declared(replace(ROUTE, disabled=True), route=("r",))) == ()
    assert applied(declared(replace(GLOBAL, disabled=True))) == ()


def test_types_from_different_scopes_add_up() -> None:
    jwt = plugin("jwt", JwtAuth(), kind="jwt")
    found = applied(declared(jwt, KEY, ROUTE, on_service=("key",), route=("r", "jwt")))
    assert [type(p) for p in found] == [JwtAuth, KeyAuth, RateLimit]


@pytest.mark.parametrize(
    ("plugins", "broken", "says"),
    [
        ((), (), "there is no KongPlugin default/p and no KongClusterPlugin p"),
        ((plugin("p", None, problem="minute is -5"),), (), "minute is -5"),
        (
            (plugin("p", limit(1), namespace=""),),
            (Broken(ref=ObjectRef("KongPlugin", "default", "p", KONG), problem="unreadable"),),
            "KongPlugin default/p is broken: unreadable",
        ),
        (
            (),
            (Broken(ref=ObjectRef("KongClusterPlugin", "", "p", KONG), problem="odd"),),
            "KongClusterPlugin p is broken: odd",
        ),
    ],
)
@pytest.mark.parametrize("where", ["route", "service"])
def test_a_plugin_that_cannot_be_had_closes_the_route(
    plugins: tuple[Plugin, ...], broken: tuple[Broken, ...], says: str, where: str
) -> None:
    route, on_service = (("p",), ()) if where == "route" else ((), ("p",))
    model, found = link(declared(*plugins, route=route, on_service=on_service, broken=broken))
    for found_rule in model.edge_hosts["x.org"].rules:
        assert isinstance(found_rule.action, Refuse)
        assert found_rule.action.status == 503
        assert says in found_rule.action.reason
    problem = one(found, "MG3004")
    assert says in problem.message
    assert problem.origin == at("ing-a" if where == "route" else "svc-svc")


def test_the_annotations_place_is_told_where_it_is_known() -> None:
    given = declared(route=("p",))
    edge = replace(given.edge_rules[0], plugins_origin=at("ing-a", 6))
    assert one(link(replace(given, edge_rules=(edge,)))[1], "MG3004").origin.line == 6


def test_a_broken_global_plugin_closes_unless_it_only_watches() -> None:
    watching = plugin("g", None, kind="prometheus", namespace="", is_global=True, problem="not supported")
    assert applied(declared(watching)) == ()
    guarding = replace(watching, plugin="ip-restriction")
    found_rule, _ = first(declared(guarding))
    assert isinstance(found_rule.action, Refuse)


def test_two_of_one_type_on_one_object() -> None:
    found_rule, found = first(declared(ROUTE, SVC, route=("s", "r")))
    assert found == ["MG3008"]
    (policy,) = found_rule.policies
    assert isinstance(policy, RateLimit)
    assert policy.limits.minute == 2


GOLD = plugin("gold", limit(1000))


def test_a_consumers_own_limits_replace_the_routes() -> None:
    given = declared(KEY, ROUTE, GOLD, route=("key", "r"), consumers=(consumer("ann", plugins=("gold",)),))
    found = limits(given)
    assert found.limits.minute == 3
    ann = consumer_id(Name("default", "ann"))
    assert found.consumer_limits == (ConsumerLimits(consumer_id=ann, limits=Limits(minute=1000)),)


def test_a_consumers_limits_hold_where_the_route_has_none() -> None:
    found = limits(declared(KEY, GOLD, route=("key",), consumers=(consumer("ann", plugins=("gold",)),)))
    assert found.limits == Limits()
    assert found.consumer_limits[0].limits.minute == 1000
    assert found.rule_id


def test_without_authentication_nobody_is_a_consumer() -> None:
    assert applied(declared(GOLD, consumers=(consumer("ann", plugins=("gold",)),))) == ()


def test_a_name_on_both_ingress_and_consumer_means_both_together() -> None:
    found = limits(
        declared(
            KEY,
            GOLD,
            SVC,
            route=("key", "gold"),
            on_service=("s",),
            consumers=(consumer("ann", plugins=("gold",)), consumer("bob")),
        )
    )
    assert found.limits.minute == 2
    assert [c.limits.minute for c in found.consumer_limits] == [1000]
    other = declared(KEY, GOLD, on_service=("key",), consumers=(consumer("ann", plugins=("gold",)),))
    bound_elsewhere = replace(
        other,
        edge_rules=(*other.edge_rules, ingress("b", ("y.org", segments("/"), "svc", 80), plugins=("gold",))),
    )
    assert len(limits(other).consumer_limits) == 1
    assert [type(p) for p in applied(bound_elsewhere)] == [KeyAuth]


def test_only_the_numbers_of_a_consumers_plugin_count() -> None:
    odd = plugin("gold", replace(limit(1000), limit_by=LimitBy.IP))
    _, found = first(
        declared(KEY, ROUTE, odd, route=("key", "r"), consumers=(consumer("ann", plugins=("gold",)),))
    )
    assert found == ["MG1103"]


def test_authentication_cannot_be_set_for_a_consumer() -> None:
    _, found = first(declared(KEY, consumers=(consumer("ann", plugins=("key",)),)))
    assert found == ["MG2006"]


def test_a_consumer_whose_plugin_cannot_be_had_does_not_get_in() -> None:
    given = replace(
        declared(KEY, route=("key",), consumers=(consumer("ann", "k", plugins=("gone",)), consumer("bob"))),
        secrets=(api_key("k", "open-sesame"),),
    )
    model, found = link(given)
    assert [c.username for c in model.consumers.values()] == ["bob"]
    assert "cannot get in" in one(found, "MG3004").message


def people(*consumers: ConsumerObject, **keys: str) -> tuple[dict[str, list[bytes]], list[str]]:
    """Keys by username, and the codes found."""
    model, found = link(Declared(consumers=consumers, secrets=tuple(api_key(n, v) for n, v in keys.items())))
    return {c.username: [k.key.reveal() for k in c.keys] for c in model.consumers.values()}, codes(found)


def test_credentials_are_read_from_secrets() -> None:
    assert people(consumer("ann", "k1", "k2"), k1="one", k2="two") == ({"ann": [b"one", b"two"]}, [])


def test_a_missing_secret_lets_nobody_in() -> None:
    assert people(consumer("ann", "k1", "k2"), k1="one") == ({"ann": [b"one"]}, ["MG3005"])


def test_a_key_used_twice_stays_with_the_first() -> None:
    found, problems = people(consumer("ann", "k1"), consumer("bob", "k2"), k1="same", k2="same")
    assert found == {"ann": [b"same"], "bob": []}
    assert problems == ["MG3010"]


def test_no_key_shows_in_a_diagnostic() -> None:
    given = Declared(
        consumers=(consumer("ann", "k1"), consumer("bob", "k2")),
        secrets=(api_key("k1", "open-sesame"), api_key("k2", "open-sesame")),
    )
    assert "open-sesame" not in "".join(map(str, link(given)[1]))


def test_an_issuer_used_twice_stays_with_the_first() -> None:
    jwt = {"konghq.com/credential": "jwt"}
    given = Declared(
        consumers=(consumer("bob", "j2"), consumer("ann", "j1")),
        secrets=(
            secret("j1", labels=jwt, key="issuer", secret="x" * 32),
            secret("j2", labels=jwt, key="issuer", secret="y" * 32),
        ),
    )
    model, found = link(given)
    assert {c.username: len(c.jwt) for c in model.consumers.values()} == {"ann": 1, "bob": 0}
    assert "'issuer'" in one(found, "MG3010").message


def test_two_consumers_of_one_username() -> None:
    found, problems = people(consumer("ann"), consumer("bob", username="ann"))
    assert list(found) == ["ann"]
    assert problems == ["MG3010"]
