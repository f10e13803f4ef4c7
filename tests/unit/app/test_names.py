"""Hosts with addresses of their own, what DNS says about them, and the variables of programs."""

from __future__ import annotations

from dataclasses import replace

from meshgate.app.names import addressed_hosts, dns_table
from meshgate.app.variables import named_hosts, port_keys
from meshgate.model.graph import Model
from meshgate.pipeline import build, read_texts
from meshgate.runtime.dns_table import HostEntry

_SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {%s}\n---\n"
_ENTRY = (
    "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: %s, namespace: %s}\n"
    "spec: {hosts: ['%s'], resolution: %s, ports: [{number: %d, name: it, protocol: %s}]%s}\n---\n"
)
_ONE = ", endpoints: [{address: 192.0.2.1}]"


def _model() -> Model:
    text = (
        _SERVICE % ("web", "selector: {app: web}, ports: [{port: 80, name: http}, {port: 81, name: tcp-a}]")
        + _SERVICE % ("alias", "type: ExternalName, externalName: db.example")
        + _SERVICE % ("short", "type: ExternalName, externalName: web")
        + _ENTRY % ("db", "default", "db.example", "DNS", 5432, "TCP", "")
        + _ENTRY % ("api", "default", "api.example", "DNS", 80, "HTTP", "")
        + _ENTRY % ("any", "default", "*.any.example", "NONE", 443, "TLS", "")
        + _ENTRY % ("wide", "default", "*.wide.example", "STATIC", 443, "TLS", _ONE)
        + _ENTRY
        % ("given", "istio-system", "given.example", "STATIC", 1, "TCP", f"{_ONE}, addresses: [203.0.113.1]")
        + _ENTRY % ("own", "other", "own.example", "STATIC", 1, "TCP", f"{_ONE}, exportTo: ['.']")
    )
    documents, _ = read_texts({"in.yaml": text})
    model = build(documents).model
    hosts = sorted(addressed_hosts(model))
    return replace(model, addresses={host: f"10.0.0.{n}" for n, host in enumerate(hosts, start=1)})


def test_hosts_without_an_address_get_one_unless_connections_go_where_they_were_going() -> None:
    assert sorted(addressed_hosts(_model())) == [
        "*.wide.example",
        "api.example",
        "db.example",
        "own.example",
        "web.default.svc.cluster.local",
    ]


def test_dns_knows_services_other_names_and_the_hosts_that_members_see() -> None:
    table = dns_table(_model(), {"10.0.1.1": "default"})
    assert table.names == {"web.default.svc.cluster.local": ("10.0.0.5",)}
    assert table.aliases == {
        "alias.default.svc.cluster.local": "db.example",
        "short.default.svc.cluster.local": "web.default.svc.cluster.local",
    }
    assert table.entries == {
        "*.wide.example": HostEntry(addresses=("10.0.0.1",)),
        "api.example": HostEntry(addresses=("10.0.0.2",)),
        "db.example": HostEntry(addresses=("10.0.0.3",)),
        "given.example": HostEntry(addresses=("203.0.113.1",)),
        "own.example": HostEntry(addresses=("10.0.0.4",), namespaces=("other",)),
    }
    assert table.members == {"10.0.1.1": "default"}


def test_programs_are_told_of_services_and_of_hosts_that_are_reached_by_connections() -> None:
    model = _model()
    assert [(n.prefix, [p.number for p in n.ports]) for n in named_hosts(model, "default")] == [
        ("WEB", [80, 81]),
        ("DB_EXAMPLE", [5432]),
        ("GIVEN_EXAMPLE", [1]),
    ]
    assert [n.prefix for n in named_hosts(model, "other")] == ["GIVEN_EXAMPLE", "OWN_EXAMPLE"]
    assert port_keys(model) == {
        "default": (
            "web.default.svc.cluster.local:80",
            "web.default.svc.cluster.local:81",
            "db.example:5432",
            "given.example:1",
        ),
    }
