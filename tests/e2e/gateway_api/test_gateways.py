"""Gateways: classes, addresses, listeners, TLS and what their statuses say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.gateway_api.api import (
    GROUP,
    Api,
    Caller,
    Object,
    conditions,
    gateway,
    listener,
    obj,
    route,
    rule,
    to,
)
from tests.e2e.gateway_api.certificates import client, secret
from tests.e2e.waiting import until

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


def test_statuses_outlive_the_control_plane(api: Api) -> None:
    """Generations rise with specs alone; what is shown is the same after a crash, times included."""
    outliving = route("outliving", "outliving", rule(backends=[to("one")]))
    api.apply(gateway("outliving", listener("http")), outliving)
    api.apply(gateway("outliving", listener("http"), listener("more", 8091)), outliving)
    labeled = {**outliving, "metadata": {**outliving["metadata"], "labels": {"a": "b"}}}
    api.apply(labeled)

    def shown() -> list[Object]:
        return [api.get(kind, "outliving") for kind in ("Gateway", "HTTPRoute")]

    before = shown()
    assert [one["metadata"]["generation"] for one in before] == [2, 1]
    old = api.meshgate.status()["pid"]
    api.meshgate.crash(old)
    until(lambda: api.meshgate.status()["pid"] != old, "another control plane")
    api.meshgate.wait_ready()
    until(lambda: shown() == before, "the statuses from before")


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


def test_routes_are_counted_at_their_listeners(api: Api) -> None:
    """Also where the listener or the route has references that lead nowhere, and not where none fits."""
    chosen = listener("http", hostname="foo.example.com", frm="Selector")
    labels = {"kubernetes.io/metadata.name": "infra"}
    chosen["allowedRoutes"] = {
        "kinds": [{"kind": "HTTPRoute"}],
        "namespaces": {"from": "Selector", "selector": {"matchLabels": labels}},
    }
    api.apply(
        gateway("counts", chosen, https("tls", "does-not-exist")),
        route("counts-one", [{"name": "counts", "sectionName": "http"}], rule(backends=[to("one")])),
        route("counts-two", [{"name": "counts", "sectionName": "http"}], rule(backends=[to("one")])),
        route("counts-not", [{"name": "counts", "sectionName": "http"}], rule(backends=[to("one")]),
              hostnames=["not-accepted.test.com"]),
        route("counts-lost", [{"name": "counts", "sectionName": "tls"}], rule(backends=[to("absent")])),
    )  # fmt: skip
    found = api.listener("counts", "http")
    assert (found["attachedRoutes"], found["supportedKinds"]) == (2, [{"group": GROUP, "kind": "HTTPRoute"}])
    held = conditions(found)
    assert (held["Accepted"][0], held["ResolvedRefs"][0], held["Programmed"][0]) == ("True", "True", "True")
    lost = api.listener("counts", "tls")
    assert lost["attachedRoutes"] == 1
    assert (conditions(lost)["ResolvedRefs"][0], conditions(lost)["Programmed"][0]) == ("False", "False")
    assert api.parents("HTTPRoute", "counts-not")[0]["Accepted"] == ("False", "NoMatchingListenerHostname")
    assert api.parents("HTTPRoute", "counts-lost")[0]["ResolvedRefs"][0] == "False"


def test_protocols_and_listeners_that_collide(api: Api) -> None:
    api.apply(
        gateway("proto-bad", listener("x", protocol="example.com/x")),
        gateway("proto-some", listener("x", protocol="example.com/x"), listener("http")),
        secret("collide", "a.test"),
        gateway("collide", listener("first"), https("tls", "collide", port=80),
                listener("good", 8093)),
    )  # fmt: skip
    assert conditions(api.gateway("proto-bad"))["Accepted"] == ("False", "ListenersNotValid")
    assert conditions(api.listener("proto-bad", "x"))["Accepted"] == ("False", "UnsupportedProtocol")
    assert conditions(api.gateway("proto-some"))["Accepted"] == ("True", "ListenersNotValid")
    assert conditions(api.listener("proto-some", "http"))["Accepted"] == ("True", "Accepted")
    assert conditions(api.listener("collide", "first"))["Conflicted"] == ("True", "ProtocolConflict")
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


def test_invalid_parameters_and_backend_certificates(api: Api) -> None:
    parameters = {"group": "example.com", "kind": "Params", "name": "x"}
    api.apply(
        gateway("parameters", listener("http"), infrastructure={"parametersRef": parameters}),
        gateway("backend-bad", listener("http"),
                tls={"backend": {"clientCertificateRef": {"name": "does-not-exist"}}}),
    )  # fmt: skip
    assert conditions(api.gateway("parameters"))["Accepted"] == ("False", "InvalidParameters")
    assert conditions(api.gateway("backend-bad"))["ResolvedRefs"] == ("False", "InvalidClientCertificateRef")


def test_what_is_made_for_a_gateway(api: Api) -> None:
    """A Service, with the labels and annotations of `infrastructure`; it is no backend of anything."""
    meta = {"labels": {"key2": "value2"}, "annotations": {"key1": "value1"}}
    api.apply(
        gateway("infra-meta", listener("http"), listener("dns", 5353, "UDP"), infrastructure=meta),
        route("infra-meta", "infra-meta", rule(backends=[to("infra-meta-meshgate", port=80)])),
    )
    assert conditions(api.gateway("infra-meta"))["Accepted"] == ("True", "Accepted")
    found = api.get("service", "infra-meta-meshgate")
    label = f"{GROUP}/gateway-name"
    assert found["metadata"]["labels"] == {"key2": "value2", label: "infra-meta"}
    assert found["metadata"]["annotations"] == {"key1": "value1"}
    assert [owner["name"] for owner in found["metadata"]["ownerReferences"]] == ["infra-meta"]
    ports = [(port["port"], port["protocol"]) for port in found["spec"]["ports"]]
    assert ports == [(80, "TCP"), (5353, "UDP")]
    ingress = [one["ip"] for one in found["status"]["loadBalancer"]["ingress"]]
    assert ingress == [one["value"] for one in api.gateway("infra-meta")["addresses"]]
    shown = api.meshgate.cli("get", "service", "-n", "infra", "-l", f"{label}=infra-meta")
    assert [line.split()[0] for line in shown.splitlines()[1:]] == ["infra-meta-meshgate"]
    assert "infra-meta-meshgate" in api.meshgate.cli(
        "describe", "service", "infra-meta-meshgate", "-n", "infra"
    )
    assert api.parents("HTTPRoute", "infra-meta")[0]["ResolvedRefs"] == ("False", "BackendNotFound")


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
