"""AuthorizationPolicies: rules as conditions, and what is broken closes."""

from __future__ import annotations

import pytest

from meshgate.model.authorization import Action, Attribute, AuthorizationRule, Condition, TargetKind
from tests.unit.dialects.reading import declared, read, said

HEAD = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: shop%s}\n"
FIRST = HEAD % ""


def _rule(text: str) -> AuthorizationRule:
    (policy,) = declared(FIRST + f"spec: {{rules: [{text}]}}\n").authorization_policies
    (rule,) = policy.rules
    return rule


@pytest.mark.parametrize("spec", ["", "spec: {}\n", "spec: {rules: []}\n", "spec: {rules: null}\n"])
def test_without_rules_it_lets_nothing_in(spec: str) -> None:
    (policy,) = declared(FIRST + spec).authorization_policies
    assert (policy.action, policy.rules, policy.closed, dict(policy.selector)) == (Action.ALLOW, (), "", {})


def test_an_empty_rule_takes_everything() -> None:
    assert _rule("{}") == AuthorizationRule()


def test_sources_are_alternatives_and_their_fields_hold_together() -> None:
    rule = _rule(
        "{from: [{source: {principals: [cluster.local/ns/a/sa/b], notIpBlocks: [10.1.2.3/8]}},"
        " {source: {serviceAccounts: [me, other/you]}}]}"
    )
    assert rule.sources == (
        (
            Condition(attribute=Attribute.PRINCIPAL, values=("cluster.local/ns/a/sa/b",)),
            Condition(attribute=Attribute.SOURCE_IP, not_values=("10.0.0.0/8",)),
        ),
        (Condition(attribute=Attribute.SERVICE_ACCOUNT, values=("shop/me", "other/you")),),
    )


@pytest.mark.parametrize(
    ("key", "attribute", "way"),
    [
        ("request.headers[X-A]", Attribute.HEADER, ("x-a",)),
        ("request.auth.claims[a][https://b.test/c]", Attribute.CLAIM, ("a", "https://b.test/c")),
        ("request.auth.principal", Attribute.REQUEST_PRINCIPAL, ()),
        ("request.auth.audiences", Attribute.AUDIENCES, ()),
        ("request.auth.presenter", Attribute.PRESENTER, ()),
        ("source.namespace", Attribute.NAMESPACE, ()),
        ("connection.sni", Attribute.SNI, ()),
    ],
)
def test_conditions(key: str, attribute: Attribute, way: tuple[str, ...]) -> None:
    rule = _rule(f'{{when: [{{key: "{key}", values: [v], notValues: [w]}}]}}')
    assert rule.when == (Condition(attribute=attribute, key=way, values=("v",), not_values=("w",)),)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{from: []}", "must not be empty"),
        ("{from: [{source: {}}]}", "must not be empty"),
        ("{from: [{source: {notPrincipals: []}}]}", "must not be empty"),
        ("{from: [{source: {principals: []}}]}", "must not be empty"),
        ("{to: [{operation: {paths: ['']}}]}", "must not be empty"),
        ("{to: [{operation: {paths: ['/a?b']}}]}", "query"),
        ("{to: [{operation: {paths: ['/a/../b']}}]}", "normalised"),
        ("{to: [{operation: {paths: ['/%61']}}]}", "normalised"),
        ("{to: [{operation: {paths: ['/a%2Fb']}}]}", "normalised"),
        ("{to: [{operation: {paths: ['/é']}}]}", "percent-encoded"),
        ("{to: [{operation: {paths: ['/{**}/{*}']}}]}", "last operator"),
        ("{to: [{operation: {methods: [get]}}]}", "upper case"),
        ("{to: [{operation: {hosts: ['http://a']}}]}", "without scheme"),
        ("{to: [{operation: {hosts: ['é.test']}}]}", "ASCII"),
        ("{to: [{operation: {ports: ['0']}}]}", "port from 1"),
        ("{from: [{source: {ipBlocks: ['1.2.3']}}]}", "IP address"),
        ("{from: [{source: {principals: ['spiffe://a/ns/b/sa/c']}}]}", "without spiffe://"),
        ("{from: [{source: {principals: ['a*b']}}]}", "beginning or at its end"),
        ("{from: [{source: {serviceAccounts: ['a*']}}]}", "without `*`"),
        ("{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}", "together"),
        ("{when: [{key: source.ip}]}", "required"),
        ("{when: [{key: source.up, values: [a]}]}", "no attribute"),
        ("{when: [{key: 'request.headers[]', values: [a]}]}", "no attribute"),
        ("{when: [{key: experimental.envoy.filters.a, values: [b]}]}", "metadata"),
        ("{unless: []}", "unknown field"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("action", ["ALLOW", "DENY"])
def test_what_cannot_be_honoured_closes_the_selected_workloads(action: str, rule: str, message: str) -> None:
    text = FIRST + f"spec: {{selector: {{matchLabels: {{app: x}}}}, action: {action}, rules: [{rule}]}}\n"
    lowered = read(text)
    (policy,) = lowered.declared.authorization_policies
    assert (bool(policy.closed), dict(policy.selector), policy.rules) == (True, {"app": "x"}, ())
    assert message in "\n".join(said(text))
    assert "MG1104" in {d.code for d in lowered.diagnostics}


@pytest.mark.parametrize(
    "selector", ["[]", "{matchLabels: [a]}", "{matchLabels: {a: 1}}", "{labels: {a: b}}"]
)
def test_an_unreadable_selector_closes_the_namespace(selector: str) -> None:
    (policy,) = read(FIRST + f"spec: {{selector: {selector}}}\n").declared.authorization_policies
    assert (bool(policy.closed), dict(policy.selector)) == (True, {})


@pytest.mark.parametrize(
    ("ref", "kind"),
    [
        ("{group: gateway.networking.k8s.io, kind: GatewayClass, name: x}", TargetKind.GATEWAY),
        ("{group: gateway.networking.k8s.io, kind: Gateway, name: x, namespace: y}", TargetKind.GATEWAY),
        ("{kind: Service, name: x}", TargetKind.SERVICE),
        ("{group: networking.istio.io, kind: ServiceEntry, name: x}", TargetKind.OTHER),
        ("{}", TargetKind.OTHER),
    ],
)
def test_targets_are_closed(ref: str, kind: TargetKind) -> None:
    for field in (f"targetRef: {ref}", f"targetRefs: [{ref}]"):
        (policy,) = read(FIRST + f"spec: {{{field}}}\n").declared.authorization_policies
        assert (bool(policy.closed), [t.kind for t in policy.targets]) == (True, [kind])


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("provider: {name: opa}, rules: [{from: [{source: {requestPrincipals: [a/b]}}]}]", "MG1104"),
        ("provider: {name: opa}, rules: [{from: [{source: {notRequestPrincipals: [a/b]}}]}]", "MG1104"),
        ("provider: {name: opa}, rules: [{when: [{key: request.auth.audiences, values: [a]}]}]", "MG1104"),
        (
            'provider: {name: opa}, rules: [{when: [{key: "request.auth.claims[a]", notValues: [a]}]}]',
            "MG1104",
        ),
        ("rules: [{}]", "MG2003"),
        ("provider: {}, rules: [{}]", "MG2003"),
    ],
)
def test_custom_that_cannot_be_asked_closes(rule: str, code: str) -> None:
    found = read(FIRST + f"spec: {{action: CUSTOM, {rule}}}\n")
    assert code in [d.code for d in found.diagnostics]
    (policy,) = found.declared.authorization_policies
    assert policy.closed


def test_custom_names_its_provider() -> None:
    (policy,) = declared(
        FIRST + "spec: {action: CUSTOM, provider: {name: opa}, rules: [{}]}\n"
    ).authorization_policies
    assert (policy.action, policy.provider, policy.closed) == (Action.CUSTOM, "opa", "")


@pytest.mark.parametrize(("text", "tried"), [("true", True), ("T", True), ("1", True), ("false", False)])
def test_dry_run(text: str, tried: bool) -> None:
    head = HEAD % f', annotations: {{istio.io/dry-run: "{text}"}}'
    (policy,) = declared(head + "spec: {action: DENY, rules: [{}]}\n").authorization_policies
    assert policy.dry_run is tried


def test_a_misspelt_dry_run_is_enforced() -> None:
    text = HEAD % ", annotations: {istio.io/dry-run: yes please}" + "spec: {action: DENY, rules: [{}]}\n"
    (policy,) = read(text).declared.authorization_policies
    assert not policy.dry_run
    assert [d.code for d in read(text).diagnostics] == ["MG2005"]


@pytest.mark.parametrize("spec", ["{action: AUDIT, rulez: []}", "{action: AUDIT, rules: [{from: []}]}"])
def test_a_broken_audit_refuses_nothing(spec: str) -> None:
    lowered = read(FIRST + f"spec: {spec}\n")
    assert (lowered.declared.authorization_policies, lowered.declared.broken) == ((), ())
    assert lowered.diagnostics
