"""v1 Service: ports, protocols, and what contradicts itself."""

from __future__ import annotations

import pytest

from meshgate.dialects.kubernetes.protocol import port_protocol
from meshgate.model.service import AppProtocol
from tests.unit.dialects.reading import declared, said

_HEAD = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"


def test_a_service() -> None:
    (service,) = declared(
        _HEAD + "spec:\n"
        "  selector: {app: a}\n"
        "  ports:\n"
        "  - {name: http-web, port: 80, targetPort: web}\n"
        "  - {name: db, port: 5432, targetPort: 5433, protocol: TCP}\n"
        "  - {name: dns, port: 53, protocol: UDP}\n"
    ).services
    assert str(service.name) == "default/a"
    assert service.selector == {"app": "a"}
    assert [(p.number, p.name, p.target, p.protocol) for p in service.ports] == [
        (80, "http-web", "web", AppProtocol.HTTP),
        (5432, "db", 5433, AppProtocol.UNKNOWN),
        (53, "dns", 0, AppProtocol.UDP),
    ]
    assert str(service.ports[1].origin) == "f.yaml:8:5"


def test_headless_and_external() -> None:
    (headless,) = declared(_HEAD + "spec: {clusterIP: None, selector: {app: a}}").services
    assert headless.headless
    (external,) = declared(_HEAD + "spec: {type: ExternalName, externalName: db.example.com}").services
    assert (external.external_name, dict(external.selector)) == ("db.example.com", {})


@pytest.mark.parametrize(
    ("app_protocol", "name", "number", "expected"),
    [
        ("http", "tcp", 80, AppProtocol.HTTP),
        ("kubernetes.io/h2c", "", 80, AppProtocol.HTTP2),
        ("example.com/own", "http", 80, AppProtocol.UNKNOWN),
        (None, "http", 80, AppProtocol.HTTP),
        (None, "http2-x", 80, AppProtocol.HTTP2),
        (None, "grpc", 80, AppProtocol.GRPC),
        (None, "grpc-web-x", 80, AppProtocol.HTTP),
        (None, "https-x", 80, AppProtocol.HTTPS),
        (None, "redis", 6379, AppProtocol.TCP),
        (None, "httpx", 80, AppProtocol.UNKNOWN),
        (None, "", 3306, AppProtocol.TCP),
        (None, "", 80, AppProtocol.UNKNOWN),
    ],
)
def test_protocol_selection(app_protocol: str | None, name: str, number: int, expected: AppProtocol) -> None:
    assert port_protocol(app_protocol=app_protocol, name=name, number=number, transport="TCP") is expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{}", ["4:7: error MG2003 Service default/a spec.ports: needs at least one port"]),
        (
            "{ports: [{port: 80}, {port: 80, name: a}]}",
            [
                "4:16: error MG2003 Service default/a spec.ports[0].name: is required where there "
                "are several ports",
                "4:35: error MG2006 Service default/a spec.ports[1].port: port 80 is there twice",
            ],
        ),
        (
            "{ports: [{port: 80, name: a}, {port: 81, name: a}]}",
            ["4:54: error MG2006 Service default/a spec.ports[1].name: two ports are named 'a'"],
        ),
        (
            "{ports: [{port: 70000}]}",
            ["4:23: error MG2002 Service default/a spec.ports[0].port: must be <= 65535, got 70000"],
        ),
        (
            "{ports: [{port: 80, targetPort: '8080'}]}",
            [
                "4:39: error MG2004 Service default/a spec.ports[0].targetPort: must be a port's "
                "number or its name "
                "(at most 15 of a-z, 0-9 and '-'), got '8080'; write a number without quotes"
            ],
        ),
        (
            "{ports: [{port: 80}], type: Ingress}",
            [
                "4:35: error MG2002 Service default/a spec.type: must be one of ClusterIP, "
                "NodePort, LoadBalancer "
                "or ExternalName, got 'Ingress'"
            ],
        ),
        (
            "{type: ExternalName, externalName: http://x}",
            ["4:42: error MG2004 Service default/a spec.externalName: must be a DNS name"],
        ),
        (
            "{ports: [{port: 80, nodePort: 30080}], sessionAffinity: ClientIP}",
            [
                "4:27: info MG1103 Service default/a spec.ports[0].nodePort: not used here: "
                "spec.ports[0].nodePort",
            ],
        ),
        (
            "{ports: [{port: 80}], loadBalancerSourceRanges: [10.0.0.0/8]}",
            [
                "4:29: warning MG1103 Service default/a spec.loadBalancerSourceRanges: has no effect: "
                "no load balancer is made, the gateway is the way in"
            ],
        ),
    ],
)
def test_mistakes(spec: str, expected: list[str]) -> None:
    assert said(_HEAD + f"spec: {spec}\n") == [f"f.yaml:{line}" for line in expected]


def test_names_must_be_labels_that_start_with_a_letter() -> None:
    assert said(_HEAD.replace("{name: a}", "{name: 1.a}") + "spec: {ports: [{port: 80}]}") == [
        "f.yaml:3:18: error MG2004 Service default/1.a metadata.name: must be a DNS label that starts with a "
        "letter (RFC 1035), got '1.a'"
    ]
