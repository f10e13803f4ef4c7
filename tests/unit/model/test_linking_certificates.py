"""Certificates of Ingresses."""

from __future__ import annotations

import datetime
from dataclasses import replace
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from meshgate.model.declared import Declared, EdgeRules, EdgeTls, SecretObject
from meshgate.model.link import link
from tests.unit.model.build import at, codes, ingress, one, secret, segments, service, workload


@cache
def pair(name: str) -> tuple[str, str]:
    """A self-signed certificate and its key as PEM text."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(Encoding.PEM).decode(),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    )


def tls_secret(name: str) -> SecretObject:
    chain, key = pair(name)
    return secret(name, type_="kubernetes.io/tls", tls_crt=chain, tls_key=key)


def edge(name: str, secret_name: str, *hosts: str) -> EdgeRules:
    base = ingress(name, (f"{name}.org", segments("/"), "svc", 80))
    return replace(base, tls=(EdgeTls(hosts=hosts, secret_name=secret_name, origin=at(f"ing-{name}", 4)),))


def declared(*edges: EdgeRules, secrets: tuple[SecretObject, ...] = ()) -> Declared:
    return Declared(
        services=(service("svc"),), workloads=(workload("svc"),), edge_rules=edges, secrets=secrets
    )


def test_hosts_of_one_secret_come_together() -> None:
    model, found = link(
        declared(edge("b", "one", "B.org"), edge("a", "one", "a.org"), secrets=(tls_secret("one"),))
    )
    assert not found
    certificate = model.certificates["default/one"]
    assert certificate.hosts == ("a.org", "b.org")
    assert certificate.chain_pem == pair("one")[0].encode()


def test_without_hosts_it_is_the_default_certificate() -> None:
    model, _ = link(declared(edge("a", "one"), secrets=(tls_secret("one"),)))
    assert model.certificates["default/one"].hosts == ()


def test_one_host_shows_one_certificate() -> None:
    model, found = link(
        declared(
            edge("b", "two", "x.org", "y.org"),
            edge("a", "one", "x.org"),
            secrets=(tls_secret("one"), tls_secret("two")),
        )
    )
    assert {n: c.hosts for n, c in model.certificates.items()} == {
        "default/one": ("x.org",),
        "default/two": ("y.org",),
    }
    assert codes(found) == ["MG3008"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "does not exist"),
        (secret("one", tls_crt=pair("one")[0]), "has no tls.key"),
        (secret("one", tls_crt="x", tls_key="y"), "does not hold a certificate"),
        (secret("one", tls_crt=pair("one")[0], tls_key=pair("two")[1]), "not the certificate's"),
    ],
    ids=["missing", "half", "garbage", "mixed"],
)
def test_a_secret_that_cannot_serve_leaves_http_going(given: SecretObject | None, says: str) -> None:
    model, found = link(declared(edge("a", "one", "a.org"), secrets=(given,) if given else ()))
    assert not model.certificates
    assert "a.org" in model.edge_hosts
    problem = one(found, "MG3005")
    assert says in problem.message
    assert problem.origin.line == 4
    assert "BEGIN" not in problem.message
