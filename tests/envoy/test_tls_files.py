"""Certificates from files, revocation, pinned keys and AUTO_PASSTHROUGH at a real Envoy."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import hashlib
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from meshgate.core.diagnostics import Severity
from meshgate.model.reader import Reader
from meshgate.pipeline import build, read_texts
from meshgate.simulate import stand_in
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.translate.self_contained import self_contained
from tests.simulate.live import Serving, running

pytestmark = pytest.mark.envoy

DEADLINE_S = 60.0
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Authority:
    """Makes certificates as files in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._signed(self.name, self.key, authority=True)
        self.file("crt").write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def file(self, kind: str) -> Path:
        return self.folder / f"{self.name}.{kind}"

    def leaf(self, name: str) -> x509.Certificate:
        """`<name>.crt`, `<name>.key`."""
        key = ec.generate_private_key(ec.SECP256R1())
        found = self._signed(name, key)
        (self.folder / f"{name}.crt").write_bytes(found.public_bytes(Encoding.PEM))
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / f"{name}.key").write_bytes(text)
        return found

    def revoke(self, certificate: x509.Certificate) -> None:
        """`<authority>.crl`."""
        one = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(NOW)
        listed = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        listed = listed.last_update(NOW - DAY).next_update(NOW + DAY).add_revoked_certificate(one.build())
        self.file("crl").write_bytes(listed.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def _signed(
        self, name: str, key: ec.EllipticCurvePrivateKey, *, authority: bool = False
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = subject if authority else self.certificate.subject
        made = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        )
        made = made.serial_number(x509.random_serial_number()).not_valid_before(NOW - DAY)
        made = made.not_valid_after(NOW + DAY).add_extension(
            x509.BasicConstraints(authority, None), critical=True
        )
        if not authority:
            made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        return made.sign(self.key, hashes.SHA256())


def _manifests(folder: Path, pinned: x509.Certificate, upstream: int) -> str:
    public = pinned.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    spki = base64.b64encode(hashlib.sha256(public).digest()).decode()
    fingerprint = pinned.fingerprint(hashes.SHA256()).hex()
    files = f"serverCertificate: {folder}/server.crt, privateKey: {folder}/server.key"
    pinned_to = f"mode: MUTUAL, {files}, caCertificates: {folder}/ca.crt, verifyCertificate"
    clients = f"caCertificates: {folder}/ca.crt, caCrl: {folder}/ca.crl"

    def secret(*parts: str) -> str:
        return ", ".join(
            f"{key}: {base64.b64encode((folder / file).read_bytes()).decode()}"
            for key, file in (part.split("=") for part in parts)
        )

    def server(name: str, tls: str) -> str:
        port = f"{{number: 443, name: {name}, protocol: HTTPS}}"
        return f"  - {{port: {port}, hosts: [{name}.test], tls: {{{tls}}}}}\n"

    return f"""\
apiVersion: v1
kind: Service
metadata: {{name: shop}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: v1
kind: Secret
metadata: {{name: pair}}
type: kubernetes.io/tls
data: {{{secret("tls.crt=server.crt", "tls.key=server.key", "ca.crt=ca.crt", "ca.crl=ca.crl")}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: signers}}
data: {{{secret("ca.crt=other.crt")}}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: web}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
{server("simple", f"mode: SIMPLE, {files}")}\
{server("mutual", f"mode: MUTUAL, {files}, {clients}")}\
{server("revoked", "mode: MUTUAL, credentialName: pair")}\
{server("other", "mode: MUTUAL, credentialName: pair, caCertCredentialName: signers")}\
{server("spki", f"{pinned_to}Spki: ['{spki}']")}\
{server("hash", f"{pinned_to}Hash: [{fingerprint}]")}\
  - port: {{number: 15443, name: tls, protocol: TLS}}
    hosts: ["*.local"]
    tls: {{mode: AUTO_PASSTHROUGH}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: all}}
spec:
  hosts: ["*.test"]
  gateways: [web]
  http:
  - match: [{{uri: {{prefix: /mutual}}}}]
    route: [{{destination: {{host: upstream.example}}}}]
  - match: [{{uri: {{prefix: /bare}}}}]
    route: [{{destination: {{host: bare.example}}}}]
  - route: [{{destination: {{host: shop}}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: outside}}
spec:
  hosts: [upstream.example, bare.example]
  resolution: DNS
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {upstream}}}]
  endpoints: [{{address: localhost}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: upstream}}
spec:
  host: upstream.example
  trafficPolicy:
    tls:
      mode: MUTUAL
      clientCertificate: {folder}/client.crt
      privateKey: {folder}/client.key
      caCertificates: {folder}/ca.crt
      sni: server
      subjectAltNames: [server]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: bare}}
spec:
  host: bare.example
  trafficPolicy: {{tls: {{mode: SIMPLE, caCertificates: {folder}/other.crt, sni: server}}}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, str]:
    return asyncio.run(_all(folder))


async def _all(folder: Path) -> dict[str, str]:
    """Question -> what came of it: the status, or `refused`."""
    ours, other = Authority(folder, "ca"), Authority(folder, "other")
    ours.leaf("server")
    good = ours.leaf("client")
    ours.revoke(ours.leaf("gone"))
    other.leaf("stranger")
    results: dict[str, str] = {}
    async with _upstream(folder) as upstream:
        text = _manifests(folder, good, upstream)
        documents, problems = read_texts({"in.yaml": text})
        built = build(documents)
        wrong = [str(d) for d in (*problems, *built.diagnostics) if d.severity is Severity.ERROR]
        assert not wrong, wrong
        model = stand_in(built.model)
        async with running(self_contained(Reader(model), gateway_proxy()), "https", folder) as port:
            for host in ("simple", "mutual", "revoked", "other", "spki", "hash"):
                for client in ("", "client", "gone", "stranger"):
                    results[f"{host} {client}".strip()] = await _get(folder, port, host, client, "/")
            results["upstream"] = await _get(folder, port, "simple", "", "/mutual")
            results["untrusted upstream"] = await _get(folder, port, "simple", "", "/bare")
        config = self_contained(Reader(model), gateway_proxy())
        (folder / "named").mkdir()
        async with running(config, "gateway.15443", folder / "named", _naming) as port:
            for name in (
                "outbound_.80_._.shop.default.svc.cluster.local",
                "outbound_.80_._.gone.default.svc.cluster.local",
                "outbound_.81_._.shop.default.svc.cluster.local",
                "shop.default.svc.cluster.local",
                "outbound|80||shop.default.svc.cluster.local",
                "outbound_.80_._.shop.default.svc.cluster.locals",
            ):
                results[name] = await _named(port, name)
    return results


def _naming(cluster: str) -> Serving:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read(1)
            writer.write(cluster.encode())
            await writer.drain()
        writer.close()

    return answer


@contextlib.asynccontextmanager
async def _upstream(folder: Path) -> AsyncIterator[int]:
    """A server that wants a client's certificate of our authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    context.load_verify_locations(folder / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _get(folder: Path, port: int, host: str, client: str, path: str) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(folder / "ca.crt")
    context.check_hostname = False
    if client:
        context.load_cert_chain(folder / f"{client}.crt", folder / f"{client}.key")
    try:
        async with asyncio.timeout(DEADLINE_S):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=context, server_hostname=f"{host}.test"
            )
            writer.write(f"GET {path} HTTP/1.1\r\nhost: {host}.test\r\n\r\n".encode())
            line = await reader.readline()
            writer.transport.abort()
    except (ssl.SSLError, ConnectionError):
        return "refused"
    return line.split(b" ")[1].decode() if line else "refused"


async def _named(port: int, name: str) -> str:
    """What answers in plaintext to a ClientHello with that server name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sent = ssl.MemoryBIO()
    hello = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        hello.do_handshake()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent.read())
    try:
        async with asyncio.timeout(DEADLINE_S):
            return (await reader.read()).decode()
    except ConnectionError:
        return ""
    finally:
        writer.transport.abort()


def test_certificates_from_files(found: dict[str, str]) -> None:
    assert {found["simple"], found["simple client"]} == {"200"}


@pytest.mark.parametrize("host", ["mutual", "revoked"])
def test_clients_of_an_authority_but_for_those_that_it_revoked(found: dict[str, str], host: str) -> None:
    assert found[f"{host} client"] == "200"
    assert {found[host], found[f"{host} gone"], found[f"{host} stranger"]} == {"refused"}


def test_authorities_of_another_secret(found: dict[str, str]) -> None:
    assert found["other stranger"] == "200"
    assert {found["other"], found["other client"], found["other gone"]} == {"refused"}


@pytest.mark.parametrize("host", ["spki", "hash"])
def test_pinned_clients(found: dict[str, str], host: str) -> None:
    assert found[f"{host} client"] == "200"
    assert {found[host], found[f"{host} gone"], found[f"{host} stranger"]} == {"refused"}


def test_mutual_tls_to_servers_with_files(found: dict[str, str]) -> None:
    assert found["upstream"] == "202"
    assert found["untrusted upstream"] == "503"


def test_connections_to_the_service_of_their_server_name(found: dict[str, str]) -> None:
    name = "outbound_.80_._.shop.default.svc.cluster.local"
    assert found[name] == name
    others: Iterator[str] = (n for n in found if n.endswith(("local", "locals")) and n != name)
    assert [n for n in others if found[n]] == []
