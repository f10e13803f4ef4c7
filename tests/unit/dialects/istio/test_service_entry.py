"""ServiceEntry: every field, and what contradicts itself."""

from __future__ import annotations

import pytest

from meshgate.model.external import External, ExternalEndpoint, Resolution
from meshgate.model.service import AppProtocol, ServicePort
from tests.unit.dialects.reading import read, said

HEAD = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: out, namespace: shop}
spec:
"""
PORTS = "  ports: [{number: 80, name: http, protocol: HTTP}]\n"


def test_every_field_as_written() -> None:
    text = HEAD + (
        "  hosts: [A.example, '*.b.example']\n  addresses: [10.1.2.3, 10.0.0.0/8]\n"
        "  location: MESH_INTERNAL\n  resolution: STATIC\n  exportTo: ['.', other]\n"
        "  ports: [{number: 80, name: h, protocol: http, targetPort: 8080}, "
        "{number: 443, name: s, protocol: TLS}]\n"
        "  endpoints: [{address: 192.0.2.1, ports: {h: 9000}, labels: {v: one}, weight: 2}, "
        "{address: '2001:db8::1', weight: 0}]\n"
    )
    first, second = read(text).declared.service_entries
    assert (first.host, second.host) == ("a.example", "*.b.example")
    assert first.external == External(
        host="a.example",
        resolution=Resolution.STATIC,
        endpoints=(
            ExternalEndpoint(address="192.0.2.1", ports=(("h", 9000),), labels=(("v", "one"),), weight=2),
            ExternalEndpoint(address="2001:db8::1", weight=0),
        ),
        addresses=("10.1.2.3", "10.0.0.0/8"),
        internal=True,
        export_to=(".", "other"),
    )
    assert [(p.number, p.name, p.target, p.protocol) for p in first.ports] == [
        (80, "h", 8080, AppProtocol.HTTP),
        (443, "s", 0, AppProtocol.TLS),
    ]
    assert first.port("s") == ServicePort(
        number=443, name="s", protocol=AppProtocol.TLS, origin=first.ports[1].origin
    )
    assert said(text) == []


def test_pods_may_answer_for_a_host() -> None:
    text = HEAD + "  hosts: [a.example]\n" + PORTS
    text += "  resolution: STATIC\n  workloadSelector: {labels: {app: a}}\n"
    (entry,) = read(text).declared.service_entries
    assert said(text) == []
    assert entry.external is not None
    assert (dict(entry.selector), entry.external.by_workloads) == ({"app": "a"}, True)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ("  hosts: []\n" + PORTS, "MG2003"),
        ("  hosts: [a.example]\n", "MG2003"),
        ("  hosts: ['*']\n" + PORTS, "MG2004"),
        ("  hosts: ['*.a.example']\n  resolution: DNS\n" + PORTS, "MG2006"),
        ("  hosts: [a.example]\n  resolution: STATIC\n" + PORTS, "MG2003"),
        ("  hosts: [a.example]\n  endpoints: [{address: 192.0.2.1}]\n" + PORTS, "MG2006"),
        (
            "  hosts: [a.example]\n  resolution: STATIC\n  endpoints: [{address: b.example}]\n" + PORTS,
            "MG2004",
        ),
        ("  hosts: [a.example]\n  resolution: DNS\n  endpoints: [{address: 'b c'}]\n" + PORTS, "MG2004"),
        (
            "  hosts: [a.example]\n  resolution: DNS_ROUND_ROBIN\n"
            "  endpoints: [{address: b.example}, {address: c.example}]\n" + PORTS,
            "MG2006",
        ),
        ("  hosts: [a.example]\n  ports: [{number: 80, name: a, protocol: HTPP}]\n", "MG2002"),
        ("  hosts: [a.example]\n  ports: [{number: 80, name: a}, {number: 80, name: b}]\n", "MG2006"),
        ("  hosts: [a.example]\n  resolution: DYNAMIC_DNS\n" + PORTS, "MG2006"),
        (
            "  hosts: ['*.a.example']\n  resolution: DYNAMIC_DNS\n"
            "  ports: [{number: 80, name: a, protocol: TCP}]\n",
            "MG2006",
        ),
        (
            "  hosts: ['*.a.example']\n  resolution: DYNAMIC_DNS\n  endpoints: [{address: 192.0.2.1}]\n"
            + PORTS,
            "MG2006",
        ),
        (
            "  hosts: ['*.a.example']\n  resolution: DYNAMIC_DNS\n  workloadSelector: {labels: {a: b}}\n"
            + PORTS,
            "MG2006",
        ),
        ("  hosts: [a.example]\n  addresses: [10.0.0.300]\n" + PORTS, "MG2004"),
        (
            "  hosts: [a.example]\n  resolution: STATIC\n  endpoints: [{address: 'unix://run/a'}]\n" + PORTS,
            "MG2004",
        ),
        (
            "  hosts: [a.example]\n  resolution: STATIC\n"
            "  endpoints: [{address: 'unix:///run/a', ports: {http: 1}}]\n" + PORTS,
            "MG2004",
        ),
        (
            "  hosts: [a.example]\n  resolution: DNS\n  endpoints: [{address: 'unix:///run/a'}]\n" + PORTS,
            "MG2004",
        ),
        (
            "  hosts: [a.example]\n  resolution: STATIC\n  endpoints: [{network: far}]\n" + PORTS,
            "MG2004",
        ),
    ],
)
def test_what_cannot_be_is_an_error_and_adds_nothing(fields: str, code: str) -> None:
    assert [line.split()[2] for line in said(HEAD + fields)] == [code]
    assert read(HEAD + fields).declared.service_entries == ()


def test_who_sees_a_host() -> None:
    def seen(namespace: str, *export: str) -> bool:
        external = External(host="a.example", resolution=Resolution.DNS, export_to=export)
        return external.visible_from(namespace, "shop")

    assert seen("anywhere", "*")
    assert seen("shop", ".")
    assert not seen("other", ".")
    assert seen("other", ".", "other")
    assert not seen("shop", "~")
