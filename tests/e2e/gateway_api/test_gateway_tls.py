"""Certificates: of listeners, of clients, and the Gateway's own for backends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.gateway_api.api import (
    WEB,
    Api,
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
from tests.e2e.gateway_api.certificates import authorities, secret
from tests.e2e.gateway_api.test_gateways import GOOD, https, tls
from tests.e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]


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
