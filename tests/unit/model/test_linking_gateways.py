"""Gateways bound to VirtualServices: which hosts come together, what comes first, what stays closed."""

from __future__ import annotations

import pytest

from meshgate.model.route import Destination, Forward
from meshgate.pipeline import Built, build, read_texts

BASE = """
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {ports: [{name: http, port: 80}, {name: more, port: 81}]}
---
"""


def gateway(
    name: str, *servers: str, namespace: str = "default", selector: str = "istio: ingressgateway"
) -> str:
    listed = "".join(f"  - {server}\n" for server in servers)
    return (
        f"apiVersion: networking.istio.io/v1\nkind: Gateway\n"
        f"metadata: {{name: {name}, namespace: {namespace}}}\n"
        f"spec:\n  selector: {{{selector}}}\n  servers:\n{listed}---\n"
    )


def http(*hosts: str, port: int = 80, name: str = "http") -> str:
    quoted = ", ".join(f"'{h}'" for h in hosts)
    return f"{{port: {{number: {port}, name: {name}, protocol: HTTP}}, hosts: [{quoted}]}}"


def virtual_service(
    name: str,
    hosts: str,
    gateways: str = "[edge]",
    namespace: str = "default",
    export: str = "",
    http: str = "",
) -> str:
    rules = http or "[{route: [{destination: {host: shop.default.svc.cluster.local, port: {number: 80}}}]}]"
    more = f"  exportTo: {export}\n" if export else ""
    return (
        f"apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        f"metadata: {{name: {name}, namespace: {namespace}}}\n"
        f"spec:\n  hosts: {hosts}\n  gateways: {gateways}\n{more}  http: {rules}\n---\n"
    )


def linked(*texts: str) -> Built:
    documents, problems = read_texts({"f.yaml": BASE + "".join(texts)})
    assert problems == ()
    return build(documents)


def codes(built: Built) -> list[str]:
    return [d.code for d in built.diagnostics]


def served(built: Built, routes: str = "http.80") -> list[str]:
    return sorted(h.host for h in built.model.edge_hosts.values() if h.routes == routes)


@pytest.mark.parametrize(
    ("server", "written", "expected"),
    [
        ("*", "a.example", ["a.example"]),
        ("*.example", "a.example", ["a.example"]),
        ("a.example", "*.example", ["a.example"]),
        ("*.example", "*", ["*.example"]),
        ("*.example", "*.b.example", ["*.b.example"]),
        ("*.example", "example", []),
        ("a.example", "b.example", []),
        ("A.Example", "a.eXample", ["a.example"]),
    ],
)
def test_hosts_come_together_as_the_narrower_of_both(server: str, written: str, expected: list[str]) -> None:
    built = linked(gateway("edge", http(server)), virtual_service("v", f"['{written}']"))
    assert served(built) == expected
    assert codes(built) == ([] if expected else ["MG3021"])


@pytest.mark.parametrize(
    ("host", "namespace", "export", "bound"),
    [
        ("team/a.example", "team", "", True),
        ("team/a.example", "default", "", False),
        ("./a.example", "default", "", True),
        ("./a.example", "team", "", False),
        ("*/a.example", "team", "", True),
        ("a.example", "team", "['.']", False),
        ("a.example", "default", "['.']", True),
        ("a.example", "team", "[istio-system]", True),
        ("a.example", "team", "[other]", False),
    ],
)
def test_namespaces_and_export_decide_who_is_bound(
    host: str, namespace: str, export: str, bound: bool
) -> None:
    rules = virtual_service("v", "[a.example]", "[default/edge]", namespace=namespace, export=export)
    assert bool(served(linked(gateway("edge", http(host)), rules))) is bound


@pytest.mark.parametrize(
    ("selector", "ours"),
    [
        ("istio: ingressgateway", True),
        ("app: istio-ingressgateway", True),
        ("app: istio-ingressgateway, istio: ingressgateway", True),
        ("istio: ingress", True),
        ("app: meshgate-gateway", True),
        ("", True),
        ("istio: egressgateway", False),
        ("istio: ingressgateway, team: a", False),
    ],
)
def test_the_customary_selectors_take_our_gateway(selector: str, ours: bool) -> None:
    built = linked(gateway("edge", http("*"), selector=selector), virtual_service("v", "[a.example]"))
    assert bool(served(built)) is ours
    assert codes(built) == ([] if ours else ["MG3007", "MG3021"])


def test_a_gateway_in_another_namespace_needs_its_namespace() -> None:
    edge = gateway("edge", http("*"), namespace="istio-system")
    assert codes(linked(edge, virtual_service("v", "[a.example]"))) == ["MG3021"]
    assert served(linked(edge, virtual_service("v", "[a.example]", "[istio-system/edge]"))) == ["a.example"]


def test_matches_of_other_ports_and_gateways_have_no_effect() -> None:
    rules = (
        "[{match: [{port: 81}], route: [{destination: {host: shop, port: {number: 81}}}]},"
        " {match: [{gateways: [mesh]}], directResponse: {status: 418}},"
        " {match: [{gateways: [default/edge], port: 80}], route: [{destination: {host: shop}}]}]"
    )
    built = linked(gateway("edge", http("*")), virtual_service("v", "[shop]", "[edge, mesh]", http=rules))
    (host,) = built.model.edge_hosts.values()
    assert host.host == "shop.default.svc.cluster.local"
    (rule,) = host.rules
    assert isinstance(rule.action, Forward)
    asked = rule.action.destinations[0].destination
    assert asked == Destination(host="shop.default.svc.cluster.local", port=80), "the server's own port"
    assert len(built.model.mesh_hosts["shop.default.svc.cluster.local"][0].rules) == 2


def test_8080_and_8443_are_the_ports_of_istios_ingress_behind_its_service() -> None:
    built = linked(gateway("edge", http("*", port=8080)), virtual_service("v", "[a.example]"))
    assert served(built) == ["a.example"]


def test_rules_of_two_virtual_services_for_one_host_are_joined_oldest_first() -> None:
    first = virtual_service(
        "a", "[a.example]", http="[{match: [{uri: {prefix: /a}}], directResponse: {status: 200}}]"
    )
    second = virtual_service("b", "[a.example]", http="[{directResponse: {status: 201}}]")
    third = virtual_service("c", "[a.example]", http="[{directResponse: {status: 202}}]")
    built = linked(gateway("edge", http("*")), third, second, first)
    (host,) = built.model.edge_hosts.values()
    assert [r.name for r in host.rules] == ["virtualservice/default/a/0", "virtualservice/default/b/0"]
    assert codes(built) == ["MG3009"]


def test_of_two_servers_for_one_name_the_older_is_opened() -> None:
    secure = "{port: {number: 443, name: s, protocol: TLS}, hosts: [a.example], tls: {mode: PASSTHROUGH}}"
    stream = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: t}\n"
        "spec: {hosts: [a.example], gateways: [one, two], "
        "tls: [{match: [{sniHosts: [a.example]}], "
        "route: [{destination: {host: shop, port: {number: 80}}}]}]}\n"
    )
    built = linked(gateway("two", secure), gateway("one", secure), stream)
    assert codes(built) == ["MG3008"]
    assert [s.sni for s in built.model.edge_servers.values()] == [("a.example",)]


def test_a_server_without_its_secret_is_not_opened_and_the_others_are() -> None:
    secure = (
        "{port: {number: 443, name: s, protocol: HTTPS}, hosts: [a.example], "
        "tls: {mode: SIMPLE, credentialName: gone}}"
    )
    built = linked(gateway("edge", secure, http("*")), virtual_service("v", "[a.example]"))
    assert codes(built) == ["MG3005"]
    assert list(built.model.edge_servers) == ["http.80"]


def test_a_broken_gateway_is_named_by_those_who_rely_on_it() -> None:
    built = linked(gateway("edge", "{hosts: [a]}"), virtual_service("v", "[a.example]"))
    assert sorted(set(codes(built))) == ["MG2003", "MG3021"]
    assert not built.model.edge_hosts
