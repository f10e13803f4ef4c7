"""Sidecars, environments, selectors and what inbound accepts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.secret import Secret
from meshgate.model.declared import Broken, ConfigMapObject, Declared, Namespace, PeerPolicy, ServiceAccount
from meshgate.model.link import link
from meshgate.model.names import Name
from meshgate.model.service import AppProtocol, Service, ServicePort
from meshgate.model.workload import ContainerPort, EnvKind, EnvRef, EnvVar, MtlsMode, Workload
from tests.unit.model.build import at, codes, one, peer, secret, service, workload

INJECT = "sidecar.istio.io/inject"
MESHED = (Namespace(name="default", labels={"istio-injection": "enabled"}),)


@pytest.mark.parametrize(
    ("namespace", "labels", "annotations", "meshed"),
    [
        ({}, {}, {}, False),
        ({"istio-injection": "enabled"}, {}, {}, True),
        ({"istio.io/rev": "canary"}, {}, {}, True),
        ({"istio-injection": "disabled", "istio.io/rev": "x"}, {}, {}, False),
        ({"istio-injection": "enabled"}, {INJECT: "false"}, {}, False),
        ({"istio-injection": "enabled"}, {}, {INJECT: "false"}, False),
        ({"istio-injection": "enabled"}, {INJECT: "true"}, {INJECT: "false"}, True),
        ({}, {INJECT: "true"}, {}, True),
        ({}, {}, {INJECT: "yes"}, True),
        ({}, {"istio.io/rev": "default"}, {}, True),
        ({"istio-injection": "disabled"}, {INJECT: "true"}, {}, False),
    ],
)
def test_who_gets_a_sidecar(
    namespace: dict[str, str], labels: dict[str, str], annotations: dict[str, str], meshed: bool
) -> None:
    declared = Declared(
        namespaces=(Namespace(name="default", labels=namespace),),
        workloads=(workload("app", labels=labels, annotations=annotations),),
    )
    model, _ = link(declared)
    assert model.workloads["default/app"].meshed is meshed


def test_system_namespaces_are_left_alone() -> None:
    declared = Declared(workloads=(workload("dns", namespace="kube-system", labels={INJECT: "true"}),))
    assert not link(declared)[0].workloads["kube-system/dns"].meshed


def with_env(*env: EnvVar, env_from: tuple[EnvRef, ...] = ()) -> Workload:
    base = workload("app")
    return replace(base, containers=(replace(base.containers[0], env=env, env_from=env_from),))


def ref(kind: EnvKind, name: str, key: str = "", *, optional: bool = False, prefix: str = "") -> EnvRef:
    return EnvRef(kind=kind, name=name, key=key, optional=optional, prefix=prefix, origin=at("env", 9))


def test_environment_values_are_fetched_and_secrets_stay_hidden() -> None:
    declared = Declared(
        secrets=(secret("keys", token="s3cr3t"),),
        config_maps=(ConfigMapObject(name=Name("default", "conf"), data={"mode": "fast", "level": "1"}),),
        workloads=(
            with_env(
                EnvVar(name="TOKEN", value="", ref=ref(EnvKind.SECRET, "keys", "token")),
                EnvVar(name="APP_level", value="2"),
                EnvVar(name="NONE", value="", ref=ref(EnvKind.SECRET, "nothing", "x", optional=True)),
                env_from=(
                    ref(EnvKind.CONFIG_MAP, "conf", prefix="APP_"),
                    ref(EnvKind.SECRET, "nothing", optional=True),
                ),
            ),
        ),
    )
    model, found = link(declared)
    assert not found
    (container,) = model.workloads["default/app"].containers
    assert {v.name: v.value for v in container.env} == {
        "APP_level": "2",
        "APP_mode": "fast",
        "TOKEN": Secret.of("s3cr3t"),
    }
    assert all(v.ref is None for v in container.env)
    assert container.env_from == ()


def test_environment_values_that_cannot_be_had() -> None:
    declared = Declared(
        secrets=(secret("keys", token="x"),),
        workloads=(
            with_env(
                EnvVar(name="A", value="", ref=ref(EnvKind.SECRET, "keys", "other")),
                EnvVar(name="B", value="", ref=ref(EnvKind.CONFIG_MAP, "conf", "a")),
                env_from=(ref(EnvKind.SECRET, "bad"),),
            ),
        ),
        broken=(Broken(ref=ObjectRef("Secret", "default", "bad"), problem="data is a list"),),
    )
    model, found = link(declared)
    assert codes(found) == ["MG4004"] * 3
    text = "\n".join(map(str, found))
    assert "Secret default/keys has no key 'other'" in text
    assert "ConfigMap default/conf does not exist" in text
    assert "Secret default/bad is broken: data is a list" in text
    assert "env.yaml:9:1" in text
    assert model.workloads["default/app"].containers[0].env == ()


def test_missing_service_account_is_a_warning() -> None:
    declared = Declared(
        workloads=(workload("app", account="robot"), workload("other", account="known")),
        service_accounts=(ServiceAccount(name=Name("default", "known")),),
    )
    _, found = link(declared)
    assert codes(found) == ["MG3006"]
    assert "default/robot" in found[0].message


def test_selectors_stay_in_their_namespace_and_say_when_they_take_nothing() -> None:
    declared = Declared(
        services=(service("a"), service("b", selector={}), service("c")),
        workloads=(workload("a"), workload("c", namespace="other")),
    )
    model, found = link(declared)
    assert model.backends["a.default.svc.cluster.local"] == ("default/a",)
    assert "b.default.svc.cluster.local" not in model.backends
    assert model.backends["c.default.svc.cluster.local"] == ()
    assert "app=c" in one(found, "MG3007").message


def test_an_object_defined_twice_counts_once() -> None:
    first, second = service("a", 80), replace(service("a", 81), origin=at("z"))
    model, found = link(Declared(services=(second, first)))
    assert model.services["a.default.svc.cluster.local"] == first
    assert one(found, "MG1106").origin == at("z")


def modes(
    *policies: PeerPolicy, namespace: str = "default"
) -> tuple[MtlsMode, dict[int, MtlsMode], list[str]]:
    app = workload(
        "app",
        namespace=namespace,
        labels={INJECT: "true"},
        ports=(ContainerPort(number=8080), ContainerPort(number=9090)),
    )
    model, found = link(Declared(workloads=(app,), peer_policies=policies))
    inbound = model.inbound[f"{namespace}/app"]
    return inbound.default_mtls, {p.port: p.mtls for p in inbound.ports}, codes(found)


STRICT, PERMISSIVE, DISABLE = MtlsMode.STRICT, MtlsMode.PERMISSIVE, MtlsMode.DISABLE


def test_inbound_accepts_both_where_nobody_says() -> None:
    assert modes() == (PERMISSIVE, {8080: PERMISSIVE, 9090: PERMISSIVE}, [])


@pytest.mark.parametrize("root", ["istio-system", "meshgate-system"])
def test_mesh_wide_mode(root: str) -> None:
    assert modes(peer("default", STRICT, namespace=root))[0] is STRICT


def test_the_closest_level_decides_and_unset_inherits() -> None:
    mesh = peer("default", STRICT, namespace="istio-system")
    namespace = peer("default", DISABLE)
    unset = peer("default", None)
    own = peer("app", None, selector={"app": "app"}, ports={8080: STRICT, 9090: None})
    assert modes(mesh, namespace)[0] is DISABLE
    assert modes(mesh, unset)[0] is STRICT
    assert modes(mesh, namespace, own) == (DISABLE, {8080: STRICT, 9090: DISABLE}, [])
    assert modes(mesh, replace(own, mode=PERMISSIVE))[0] is PERMISSIVE
    assert modes(replace(namespace, namespace="other"))[0] is PERMISSIVE


def test_the_older_of_two_policies_counts() -> None:
    older, younger = peer("z", STRICT, created="2026-01-01"), peer("a", DISABLE, created="2026-01-02")
    assert modes(younger, older) == (STRICT, {8080: STRICT, 9090: STRICT}, ["MG3008"])
    selector = {"app": "app"}
    assert modes(replace(younger, selector=selector), replace(older, selector=selector))[0] is STRICT


def test_policies_without_effect_are_named() -> None:
    assert modes(peer("x", STRICT, selector={"app": "other"}))[2] == ["MG3007"]
    assert modes(peer("x", STRICT, ports={8080: DISABLE})) == (
        STRICT,
        {8080: STRICT, 9090: STRICT},
        ["MG2006"],
    )
    found = modes(peer("x", STRICT, namespace="istio-system", selector={"app": "app"}))
    assert found[0] is PERMISSIVE
    assert found[2] == ["MG1103"]


@pytest.mark.parametrize(
    ("namespace", "mode"), [("default", STRICT), ("istio-system", STRICT), ("other", PERMISSIVE)]
)
def test_a_broken_policy_closes_what_it_may_have_been_for(namespace: str, mode: MtlsMode) -> None:
    broken = Broken(ref=ObjectRef("PeerAuthentication", namespace, "x"), problem="mode is not one")
    app = workload("app", labels={INJECT: "true"})
    model, found = link(Declared(workloads=(app,), broken=(broken,), peer_policies=(peer("d", DISABLE),)))
    expected = DISABLE if mode is PERMISSIVE else STRICT
    assert model.inbound["default/app"].default_mtls is expected
    assert codes(found) == ["MG1104"]


def test_ports_take_their_protocol_from_the_services() -> None:
    def port(number: int, target: int | str, protocol: AppProtocol) -> ServicePort:
        return ServicePort(number=number, target=target, protocol=protocol, origin=at("svc"))

    svc = Service(
        name=Name("default", "app"),
        ports=(
            port(80, "web", AppProtocol.HTTP),
            port(6379, 0, AppProtocol.TCP),
            port(81, "nameless", AppProtocol.GRPC),
        ),
        selector={"app": "app"},
    )
    app = workload(
        "app",
        labels={INJECT: "true"},
        ports=(ContainerPort(number=8080, name="web"), ContainerPort(number=9090)),
    )
    model, found = link(Declared(services=(svc,), workloads=(app,)))
    assert [(p.port, p.protocol) for p in model.inbound["default/app"].ports] == [
        (6379, AppProtocol.TCP),
        (8080, AppProtocol.HTTP),
        (9090, AppProtocol.UNKNOWN),
    ]
    assert "'nameless'" in one(found, "MG2006").message


def test_meshed_namespace_gives_every_workload_an_inbound() -> None:
    model, _ = link(Declared(namespaces=MESHED, workloads=(workload("a"), workload("b"))))
    assert sorted(model.inbound) == ["default/a", "default/b"]


def test_of_one_name_the_last_value_stays_in_its_place() -> None:
    declared = Declared(
        config_maps=(ConfigMapObject(name=Name("default", "c"), data={"A": "from", "B": "x"}),),
        workloads=(
            with_env(
                EnvVar(name="C", value="1"),
                EnvVar(name="A", value="$(C)"),
                env_from=(ref(EnvKind.CONFIG_MAP, "c"),),
            ),
        ),
    )
    (container,) = link(declared)[0].workloads["default/app"].containers
    assert [(v.name, v.value) for v in container.env] == [("B", "x"), ("C", "1"), ("A", "$(C)")]
