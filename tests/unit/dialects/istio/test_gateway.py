"""Gateway: every field, and what closes a server."""

from __future__ import annotations

import pytest

from meshgate.model.gateway import Server, ServerProtocol, ServerTls, ServerTlsMode
from tests.unit.dialects.reading import read, said

HEAD = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
"""


def _server(text: str) -> str:
    return HEAD + f"  - {text}\n"


def _https(tls: str) -> str:
    return _server(f"{{port: {{number: 443, name: s, protocol: HTTPS}}, hosts: [a.example], tls: {{{tls}}}}}")


def test_servers_as_written() -> None:
    text = (
        _https(
            "mode: MUTUAL, credentialName: 'kubernetes://pair', minProtocolVersion: TLSV1_2, "
            "maxProtocolVersion: TLSV1_3, cipherSuites: [A], subjectAltNames: [b.example]"
        )
        + "  - {port: {number: 80, name: h, protocol: http2}, "
        "hosts: ['ns/B.example', './*.c.example', '*/*']}\n"
    )
    (gateway,) = read(text).declared.gateways
    assert said(text) == []
    assert (str(gateway.name), dict(gateway.selector)) == ("shop/edge", {"istio": "ingressgateway"})
    secure, plain = gateway.servers
    assert secure.tls == ServerTls(
        mode=ServerTlsMode.MUTUAL,
        credentials=("pair",),
        min_version="TLSV1_2",
        max_version="TLSV1_3",
        cipher_suites=("A",),
        subject_alt_names=("b.example",),
    )
    assert (plain.protocol, plain.hosts) == (ServerProtocol.HTTP, ("ns/b.example", "./*.c.example", "*/*"))


def _tls(fields: str) -> str:
    return f"{{port: {{number: 443, name: s, protocol: HTTPS}}, hosts: [a], tls: {{{fields}}}}}"


@pytest.mark.parametrize(
    "tls",
    [
        "mode: MUTUAL, credentialName: a, insecureSkipVerify: true",
    ],
)
def test_security_that_cannot_be_had_closes_its_server_alone(tls: str) -> None:
    text = _https(tls) + "  - {port: {number: 80, name: h, protocol: HTTP}, hosts: ['*']}\n"
    assert {line.split()[2] for line in said(text)} == {"MG1104"}
    closed, other = read(text).declared.gateways[0].servers
    assert closed.closed
    assert not other.closed


@pytest.mark.parametrize(
    ("server", "code"),
    [
        ("{port: {number: 443, name: s, protocol: HTTPS}, hosts: [a]}", "MG2003"),
        ("{port: {number: 443, name: s, protocol: HTTPS}, hosts: [a], tls: {mode: SIMPLE}}", "MG2003"),
        ("{port: {number: 80, name: s, protocol: HTTP}, hosts: [a], tls: {mode: SIMPLE}}", "MG2006"),
        (_tls("mode: SIMPLE, serverCertificate: /a"), "MG2003"),
        (_tls("mode: SIMPLE, serverCertificate: a, privateKey: /b"), "MG2002"),
        (_tls("mode: SIMPLE, serverCertificate: /../a, privateKey: /b"), "MG2002"),
        (_tls("mode: SIMPLE, serverCertificate: /a~c, privateKey: /b"), "MG2002"),
        (_tls("mode: SIMPLE, credentialName: c, serverCertificate: /a, privateKey: /b"), "MG2006"),
        (_tls("mode: MUTUAL, serverCertificate: /a, privateKey: /b"), "MG2003"),
        (_tls("mode: MUTUAL, credentialName: c, caCrl: /crl"), "MG2006"),
        (_tls("mode: MUTUAL, credentialName: c, caCertificates: /ca, caCertCredentialName: d"), "MG2006"),
        (_tls("mode: SIMPLE, credentialName: c, verifyCertificateHash: [ab]"), "MG2002"),
        (_tls("mode: SIMPLE, credentialName: c, verifyCertificateSpki: [ab]"), "MG2002"),
        (_tls(f"mode: SIMPLE, credentialName: c, verifyCertificateHash: [{'ab' * 32}]"), "MG2006"),
        (_tls("mode: AUTO_PASSTHROUGH, credentialName: c"), "MG2006"),
        ("{port: {number: 80, name: s, protocol: HTPP}, hosts: [a]}", "MG2002"),
        ("{port: {number: 80, name: s, protocol: HTTP}, hosts: []}", "MG2003"),
        ("{port: {number: 80, name: s, protocol: HTTP}, hosts: ['a b']}", "MG2004"),
        ("{port: {number: 80, name: s, protocol: HTTP}, hosts: ['a/b/c']}", "MG2004"),
        (
            "{port: {number: 443, name: s, protocol: TLS}, hosts: [a], "
            "tls: {mode: PASSTHROUGH, credentialName: c}}",
            "MG2006",
        ),
        (
            "{port: {number: 443, name: s, protocol: HTTPS}, hosts: [a], "
            "tls: {mode: SIMPLE, credentialName: c, httpsRedirect: true}}",
            "MG2006",
        ),
    ],
)
def test_what_contradicts_itself_is_an_error(server: str, code: str) -> None:
    assert [line.split()[2] for line in said(_server(server))] == [code]
    assert read(_server(server)).declared.gateways == ()


def test_a_redirect_and_a_protocol_of_databases() -> None:
    text = (
        _server("{port: {number: 80, name: h, protocol: HTTP}, hosts: [a], tls: {httpsRedirect: true}}")
        + "  - {port: {number: 3306, name: db, protocol: MySQL}, hosts: ['*'], bind: 10.0.0.1}\n"
    )
    servers: tuple[Server, ...] = read(text).declared.gateways[0].servers
    assert servers[0].https_redirect
    assert servers[0].tls is None
    assert servers[1].protocol is ServerProtocol.TCP
    assert [line.split()[2] for line in said(text)] == ["MG1103"]
