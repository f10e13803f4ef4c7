"""Gateways: classes, addresses, listeners, TLS and what their statuses say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.gateway_api.api import (
    GROUP,
    WEB,
    Api,
    Caller,
    Object,
    conditions,
    gateway,
    grant,
    listener,
    obj,
    prefix,
    route,
    rule,
    to,
)
from tests.e2e.gateway_api.certificates import authorities, client, secret
from tests.e2e.harness import until

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]
GOOD = ("True", "Programmed")


def https(name: str, *refs: str | Object, port: int = 443, hostname: str = "") -> Object:
    """An HTTPS listener with Secrets."""
    listed = [{"name": ref} if isinstance(ref, str) else ref for ref in refs]
    return listener(name, port, "HTTPS", hostname, tls={"certificateRefs": listed})


def tls(api: Api, name: str, listener_: str, folder: Path, sni: str, own: str = "") -> Caller:
    found = api.caller(name, listener_)
    found.tls, found.sni = client(folder, own), sni
    return found


def test_the_class_is_there_by_itself(api: Api) -> None:
    found = api.get("gatewayclass", "meshgate")
    assert found["spec"]["controllerName"] == "meshgate.dev/gateway-controller"
    assert conditions(found["status"])["Accepted"] == ("True", "Accepted")
    assert {"name": "HTTPRoute"} in found["status"]["supportedFeatures"]


def test_classes_of_ours_and_of_others(api: Api) -> None:
    mine = {"controllerName": "meshgate.dev/gateway-controller"}
    api.apply(
        obj("GatewayClass", "second", {**mine, "description": "one"}),
        obj("GatewayClass", "theirs", {"controllerName": "example.com/other"}),
        obj("GatewayClass", "odd", {**mine, "parametersRef": {"group": "x.y", "kind": "K", "name": "n"}}),
        obj("Gateway", "of-theirs", {"gatewayClassName": "theirs", "listeners": [listener("http")]}),
        obj("Gateway", "of-second", {"gatewayClassName": "second", "listeners": [listener("http")]}),
    )
    assert "status" not in api.get("gatewayclass", "theirs")
    assert "status" not in api.get("Gateway", "of-theirs")
    assert conditions(api.gateway("of-second"))["Programmed"] == GOOD
    assert conditions(api.get("gatewayclass", "odd")["status"])["Accepted"] == ("False", "InvalidParameters")
    api.apply(obj("GatewayClass", "second", {**mine, "description": "two"}))
    found = until(
        lambda: [
            c
            for c in api.get("gatewayclass", "second")["status"]["conditions"]
            if c["observedGeneration"] == 2
        ],
        "the newest generation",
    )
    assert found[0]["status"] == "True"


def test_generations_rise_and_are_observed(api: Api) -> None:
    api.apply(gateway("bumped", listener("http")), route("bumped", "bumped", rule(backends=[to("one")])))
    assert api.get("Gateway", "bumped")["metadata"]["generation"] == 1
    address = api.gateway("bumped")["addresses"]
    api.apply(
        gateway("bumped", listener("http"), listener("more", 8090)),
        route("bumped", "bumped", rule(backends=[to("two")])),
    )
    found = api.get("Gateway", "bumped")
    assert found["metadata"]["generation"] == 2
    inside = [c for one in found["status"]["listeners"] for c in one["conditions"]]
    assert {c["observedGeneration"] for c in [*found["status"]["conditions"], *inside]} == {2}
    found = api.get("HTTPRoute", "bumped")
    assert {c["observedGeneration"] for c in found["status"]["parents"][0]["conditions"]} == {2}
    assert found["status"]["parents"][0]["controllerName"] == "meshgate.dev/gateway-controller"
    assert found["status"]["parents"][0]["parentRef"] == {"group": GROUP, "kind": "Gateway", "name": "bumped"}
    assert api.gateway("bumped")["addresses"] == address
    assert api.caller("bumped").pod("x.test") == "two"


def test_listeners_come_and_go(api: Api, tmp_path: Path) -> None:
    api.apply(
        secret("come", "secure.test"),
        gateway("come", https("https", "come", hostname="secure.test"), listener("http")),
        route("come", "come", rule(backends=[to("one")])),
    )
    assert [s["attachedRoutes"] for s in api.gateway("come")["listeners"]] == [1, 1]
    assert api.caller("come").pod("any.test") == "one"
    assert tls(api, "come", "https", tmp_path, "secure.test").pod("secure.test") == "one"
    api.apply(gateway("come", https("https", "come", hostname="secure.test")))
    assert [s["name"] for s in api.gateway("come")["listeners"]] == ["https"]
    ports = api.get("Gateway", "come")["metadata"]["annotations"]["meshgate.dev/listener-ports"]
    assert json.loads(ports) == {"https": api.meshgate.https_port}


def test_addresses(api: Api) -> None:
    name = "n" + "a" * 62
    both = [{"value": "192.0.2.7"}, {"value": "127.9.9.9"}]
    api.apply(
        gateway(name, listener("http")),
        gateway("empty", listener("http", 8091), addresses=[{"type": "IPAddress"}]),
        gateway("static", listener("http", 8092),
                addresses=[{"type": "test/fake", "value": "x"}, *both]),
        route("static", "static", rule(backends=[to("one")])),
    )  # fmt: skip
    assert conditions(api.gateway(name))["Programmed"] == GOOD
    assert len(api.gateway("empty")["addresses"]) == 1
    assert conditions(api.gateway("static"))["Accepted"] == ("False", "UnsupportedAddress")
    api.apply(gateway("static", listener("http", 8092), addresses=both))
    found = conditions(api.gateway("static"))
    assert found["Accepted"] == ("True", "Accepted")
    assert found["Programmed"] == ("False", "AddressNotUsable")
    api.apply(gateway("static", listener("http", 8092), addresses=[{"value": "127.9.9.9"}]))
    assert conditions(api.gateway("static"))["Programmed"] == GOOD
    assert api.gateway("static")["addresses"] == [{"type": "IPAddress", "value": "127.9.9.9"}]
    assert api.caller("static").pod("x.test") == "one"


def test_kinds_of_routes(api: Api) -> None:
    def with_kinds(name: str, *kinds: str) -> Object:
        found = listener(name)
        found["allowedRoutes"]["kinds"] = [{"kind": kind} for kind in kinds]
        return found

    api.apply(
        gateway("kinds-bad", with_kinds("http", "InvalidRoute")),
        gateway("kinds-some", with_kinds("http", "InvalidRoute", "HTTPRoute")),
        gateway("kinds-tls", with_kinds("http", "GRPCRoute")),
        route("disallowed", "kinds-tls", rule(backends=[to("one")])),
    )
    found = api.listener("kinds-bad", "http")
    assert conditions(found)["ResolvedRefs"] == ("False", "InvalidRouteKinds")
    assert found["supportedKinds"] == []
    found = api.listener("kinds-some", "http")
    assert conditions(found)["ResolvedRefs"] == ("False", "InvalidRouteKinds")
    assert found["supportedKinds"] == [{"group": GROUP, "kind": "HTTPRoute"}]
    assert api.parents("HTTPRoute", "disallowed")[0]["Accepted"] == ("False", "NotAllowedByListeners")
    assert api.listener("kinds-tls", "http")["attachedRoutes"] == 0


def test_protocols_and_listeners_that_collide(api: Api) -> None:
    api.apply(
        gateway("proto-bad", listener("x", protocol="example.com/x")),
        gateway("proto-some", listener("x", protocol="example.com/x"), listener("http")),
        secret("collide", "a.test"),
        gateway("collide", listener("first"), listener("second"), https("tls", "collide", port=80),
                listener("good", 8093)),
    )  # fmt: skip
    assert conditions(api.gateway("proto-bad"))["Accepted"] == ("False", "ListenersNotValid")
    assert conditions(api.listener("proto-bad", "x"))["Accepted"] == ("False", "UnsupportedProtocol")
    assert conditions(api.gateway("proto-some"))["Accepted"] == ("True", "ListenersNotValid")
    assert conditions(api.listener("proto-some", "http"))["Accepted"] == ("True", "Accepted")
    assert conditions(api.listener("collide", "second"))["Conflicted"] == ("True", "HostnameConflict")
    assert conditions(api.listener("collide", "tls"))["Conflicted"] == ("True", "ProtocolConflict")
    assert conditions(api.listener("collide", "good"))["Programmed"] == GOOD


def test_a_listener_at_8080(api: Api) -> None:
    api.apply(
        gateway("eighty", listener("unattached", 80), listener("http", 8080)),
        route("eighty", [{"name": "eighty", "sectionName": "http"}], rule(backends=[to("one")])),
    )
    assert [s["attachedRoutes"] for s in api.gateway("eighty")["listeners"]] == [0, 1]
    assert api.caller("eighty").pod("x.test") == "one"
    assert api.caller("eighty", "unattached").pod("x.test") == "404"


@pytest.mark.parametrize(
    ("name", "ref", "reason"),
    [
        ("absent", {"name": "does-not-exist"}, "InvalidCertificateRef"),
        ("group", {"name": "come", "group": "wrong.example.com"}, "InvalidCertificateRef"),
        ("kind", {"name": "come", "kind": "WrongKind"}, "InvalidCertificateRef"),
        ("malformed", {"name": "malformed"}, "InvalidCertificateRef"),
        ("denied", {"name": "far", "namespace": WEB}, "RefNotPermitted"),
    ],
)
def test_certificates_that_cannot_be_had(api: Api, name: str, ref: Object, reason: str) -> None:
    bad = secret("malformed", "x.test")
    bad["data"] = {"tls.crt": "SGVsbG8gd29ybGQK", "tls.key": "SGVsbG8gd29ybGQK"}
    api.apply(
        bad,
        secret("far", "far.test", namespace=WEB),
        gateway(f"cert-{name}", https("https", ref)),
        route(f"cert-{name}", f"cert-{name}", rule(backends=[to("absent")])),
    )
    found = api.listener(f"cert-{name}", "https")
    assert conditions(found)["ResolvedRefs"] == ("False", reason)
    assert conditions(found)["Programmed"][0] == "False"
    assert found["attachedRoutes"] == 1
    assert conditions(api.gateway(f"cert-{name}"))["Programmed"][0] == "False"
    assert api.parents("HTTPRoute", f"cert-{name}")[0]["ResolvedRefs"][0] == "False"


def test_certificates_of_other_namespaces(api: Api, tmp_path: Path) -> None:
    ref = {"name": "granted", "namespace": WEB}
    api.apply(
        secret("granted", "far.test", namespace=WEB),
        gateway("granted", https("https", ref)),
        route("granted-cert", "granted", rule(backends=[to("one")])),
        grant("cert-wrong", "Gateway", "infra", "Secret", WEB, only="other"),
    )
    assert conditions(api.listener("granted", "https"))["ResolvedRefs"] == ("False", "RefNotPermitted")
    for only in ("granted", ""):
        api.apply(grant("cert-right", "Gateway", "infra", "Secret", WEB, only=only))
        until(
            lambda: conditions(api.listener("granted", "https"))["ResolvedRefs"][0] == "True",
            "the grant counts",
        )
        until(lambda: conditions(api.listener("granted", "https"))["Programmed"] == GOOD, "it is opened")
    api.meshgate.wait_ready()
    assert tls(api, "granted", "https", tmp_path, "far.test").pod("far.test") == "one"


def test_https_by_server_name_and_misdirected_requests(api: Api, tmp_path: Path) -> None:
    names = {"exact": "example.org", "second": "second-example.org", "wild": "*.example.org"}
    api.apply(
        secret("sni", "example.org", "second-example.org", "*.example.org", "unknown.test"),
        gateway("sni", *(https(n, "sni", hostname=h) for n, h in names.items())),
        route("sni-one", [{"name": "sni", "sectionName": "exact"}], rule(backends=[to("one")])),
        route("sni-two", [{"name": "sni", "sectionName": "second"}], rule(backends=[to("two")])),
        route(
            "sni-three", [{"name": "sni", "sectionName": "wild"}], rule(prefix("/"), backends=[to("three")])
        ),
    )
    caller = tls(api, "sni", "exact", tmp_path, "example.org")
    assert caller.pod("example.org") == "one"
    assert caller.pod("second-example.org") == "421"
    assert caller.pod("sub.example.org") == "421"
    assert caller.pod("unknown.test") == "404"
    caller.sni = "second-example.org"
    assert caller.pod("second-example.org") == "two"
    assert caller.pod("example.org") == "421"
    caller.sni = "any.example.org"
    assert caller.pod("any.example.org") == "three"
    caller.sni = "unknown.test"
    assert caller.pod("unknown.test") == "0"


def test_clients_with_certificates(api: Api, tmp_path: Path) -> None:
    def frontend(default: Object, per_port: dict[int, Object]) -> Object:
        ports = [{"port": port, "tls": {"validation": found}} for port, found in per_port.items()]
        return {"frontend": {"default": {"validation": default}, "perPort": ports}}

    good = {"caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "roots"}]}
    loose = {**good, "mode": "AllowInsecureFallback"}
    missing = {"caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "nope"}]}
    kind = {"caCertificateRefs": [{"group": "x.y", "kind": "Thing", "name": "roots"}]}
    denied = {"caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "roots", "namespace": WEB}]}
    api.apply(
        secret("clients", "clients.test"),
        authorities("roots"),
        authorities("roots", WEB),
        gateway("clients", https("strict", "clients"), https("loose", "clients", port=8441),
                https("missing", "clients", port=8442), https("kind", "clients", port=8444),
                https("denied", "clients", port=8445),
                tls=frontend(good, {8441: loose, 8442: missing, 8444: kind, 8445: denied})),
        route("clients", "clients", rule(backends=[to("one")])),
    )  # fmt: skip
    asks = {
        own: tls(api, "clients", "strict", tmp_path, "clients.test", own) for own in ("", "signed", "foreign")
    }
    assert [asks[own].pod("clients.test") for own in ("", "signed", "foreign")] == ["0", "one", "0"]
    asks = {
        own: tls(api, "clients", "loose", tmp_path, "clients.test", own) for own in ("", "signed", "foreign")
    }
    assert [asks[own].pod("clients.test") for own in ("", "signed", "foreign")] == ["one", "one", "one"]
    assert conditions(api.gateway("clients"))["InsecureFrontendValidationMode"][0] == "True"
    for name, reason in (
        ("missing", "InvalidCACertificateRef"),
        ("kind", "InvalidCACertificateKind"),
        ("denied", "RefNotPermitted"),
    ):
        found = conditions(api.listener("clients", name))
        assert found["ResolvedRefs"] == ("False", reason)
        assert found["Accepted"] == ("False", "NoValidCACertificate")
        assert found["Programmed"][0] == "False"


def test_invalid_parameters_and_backend_certificates(api: Api) -> None:
    parameters = {"group": "example.com", "kind": "Params", "name": "x"}
    api.apply(
        gateway("parameters", listener("http"), infrastructure={"parametersRef": parameters}),
        gateway("infra-meta", listener("http"),
                infrastructure={"labels": {"a": "b"}, "annotations": {"c": "d"}}),
        gateway("backend-bad", listener("http"),
                tls={"backend": {"clientCertificateRef": {"name": "does-not-exist"}}}),
    )  # fmt: skip
    assert conditions(api.gateway("parameters"))["Accepted"] == ("False", "InvalidParameters")
    assert conditions(api.gateway("infra-meta"))["Accepted"] == ("True", "Accepted")
    assert conditions(api.gateway("backend-bad"))["ResolvedRefs"] == ("False", "InvalidClientCertificateRef")


def test_what_people_see(api: Api) -> None:
    """`gateway` is the Gateway API's; `describe` shows the reasons."""
    api.apply(gateway("shown", listener("http")), route("shown", "shown", rule(backends=[to("absent")])))
    assert "shown" in api.meshgate.cli("get", "gateway", "-n", "infra")
    text = api.meshgate.cli("describe", "gateway/shown", "-n", "infra")
    assert "Listener http: 1 routes attached; takes HTTPRoute, GRPCRoute" in text
    text = api.meshgate.cli("describe", "httproute", "shown", "-n", "infra")
    assert "BackendNotFound" in text
    assert "Service infra/absent does not exist" in text
    assert "lastTransitionTime" in api.meshgate.cli("get", "httproute", "shown", "-n", "infra", "-o", "yaml")


def test_certificates_that_backends_see(api: Api) -> None:
    def parts(name: str, shown: str = "") -> list[Object]:
        ports = [{"name": "https", "port": 8443, "targetPort": 8443, "appProtocol": "http"}]
        service = obj("Service", name, {"selector": {"app": "one"}, "ports": ports}, api="v1")
        roots = [{"group": "", "kind": "ConfigMap", "name": "shown-roots"}]
        target = {"group": "", "kind": "Service", "name": name}
        policy = {
            "targetRefs": [target],
            "validation": {"hostname": "backend.test", "caCertificateRefs": roots},
        }
        front = gateway(name, listener("http"))
        if shown:
            front["spec"]["tls"] = {"backend": {"clientCertificateRef": {"name": shown}}}
        return [
            service,
            obj("BackendTLSPolicy", name, policy),
            front,
            route(name, name, rule(backends=[to(name, port=8443)])),
        ]

    api.apply(
        authorities("shown-roots"),
        secret("shown-pair", "gateway.test"),
        *parts("shows", "shown-pair"),
        *parts("shows-none"),
    )
    assert conditions(api.gateway("shows"))["ResolvedRefs"] == ("True", "ResolvedRefs")
    assert api.caller("shows").ask("any.test").json()["client"] == ["gateway.test"]
    assert api.caller("shows-none").ask("any.test").json()["client"] == []


def test_gateways_for_everybody(api: Api) -> None:
    wanting = route("wants-default", [], rule(backends=[to("one")]), hostnames=["default.test"])
    wanting["spec"]["useDefaultGateways"] = "All"
    api.apply(
        gateway("everybodys", listener("http"), defaultScope="All"),
        gateway("somebodys", listener("http")),
        wanting,
        route("wants-none", [], rule(backends=[to("two")]), hostnames=["none.test"]),
    )
    (parent,) = api.get("HTTPRoute", "wants-default")["status"]["parents"]
    assert parent["parentRef"]["name"] == "everybodys"
    assert api.caller("everybodys").pod("default.test") == "one"
    assert api.caller("everybodys").pod("none.test") == "404"
    assert api.listener("somebodys", "http")["attachedRoutes"] == 0


def test_a_hostname_is_of_one_kind_of_route(api: Api) -> None:
    api.apply(
        gateway("kinds-apart", listener("http"), listener("named", hostname="*.named.test")),
        route("first-http", [{"name": "kinds-apart", "sectionName": "http"}], rule(backends=[to("one")]),
              hostnames=["both.test"]),
        route("second-grpc", [{"name": "kinds-apart", "sectionName": "http"}],
              rule(backends=[to("two")]), hostnames=["*.test"], kind="GRPCRoute"),
        route("third-grpc", [{"name": "kinds-apart", "sectionName": "http"}],
              rule(backends=[to("two")]), hostnames=["grpc.test"], kind="GRPCRoute"),
        route("other-listener", [{"name": "kinds-apart", "sectionName": "named"}],
              rule(backends=[to("two")]), kind="GRPCRoute"),
    )  # fmt: skip
    assert api.parents("HTTPRoute", "first-http")[0]["Accepted"] == ("True", "Accepted")
    assert api.parents("GRPCRoute", "second-grpc")[0]["Accepted"] == ("False", "Conflicted")
    assert api.parents("GRPCRoute", "third-grpc")[0]["Accepted"] == ("True", "Accepted")
    assert api.parents("GRPCRoute", "other-listener")[0]["Accepted"] == ("True", "Accepted")
    assert api.caller("kinds-apart").pod("both.test") == "one"
