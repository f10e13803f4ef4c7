"""Who may speak to whom: modes of mTLS, identities that hold, certificates that change under load."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from meshgate.identity.ca import Authority, create_authority
from meshgate.identity.spiffe import SpiffeId
from meshgate.identity.storage import load_or_create
from meshgate.model.names import TRUST_DOMAIN
from tests.e2e.clients import Headers, Load
from tests.e2e.harness import ROOT, Meshgate, running
from tests.e2e.manifests import KONG_CLASS, deployment, ingress, mesh_namespace, peer_authentication, service
from tests.e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

CHECKOUT = ROOT / "examples/shop/checkout.py"
FORGED = "By=spiffe://cluster.local/ns/default/sa/forged;URI=spiffe://cluster.local/ns/default/sa/forged"
STRANGER = "spiffe://cluster.local/ns/default/sa/stranger"
GATEWAY = "spiffe://cluster.local/ns/meshgate-system/sa/meshgate-gateway"


def manifests() -> str:
    names = ("payment", "permissive", "disabled", "opened", "closed")
    return (
        mesh_namespace()
        + KONG_CLASS
        + "".join(service(name) + deployment(name) for name in names)
        + service("checkout")
        + deployment("checkout", command=f"python3 {CHECKOUT} v1 8080")
        + peer_authentication("default", "STRICT")
        + peer_authentication("permissive", "PERMISSIVE", app="permissive")
        + peer_authentication("disabled", "DISABLE", app="disabled")
        + peer_authentication("opened", "STRICT", app="opened", ports="{8080: {mode: DISABLE}}")
        + peer_authentication("closed", "DISABLE", app="closed", ports="{8080: {mode: STRICT}}")
        + ingress("shop", host="shop.example.test", backend="checkout")
        + "".join(ingress(name, host=f"{name}.example.test", backend=name) for name in names)
    )


@dataclass(slots=True, kw_only=True)
class Mesh:
    """A mesh whose certificates live 30 s, under load from its first minute on."""

    meshgate: Meshgate
    load: Load
    folder: Path

    def authority(self) -> Authority:
        return load_or_create(self.meshgate.state, TRUST_DOMAIN, datetime.now(UTC))

    def client_context(self, authority: Authority | None) -> ssl.SSLContext:
        """TLS as a proxy of ours begins it, with the stranger's certificate from that authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        roots = b"".join(root.public_bytes(Encoding.PEM) for root in self.authority().roots)
        context.load_verify_locations(cadata=roots.decode())
        context.set_alpn_protocols(["istio-http/1.1", "istio", "http/1.1"])
        if authority is not None:
            stranger = SpiffeId(trust_domain=TRUST_DOMAIN, namespace="default", service_account="stranger")
            svid = authority.issue(stranger, lifetime=timedelta(hours=1), now=datetime.now(UTC))
            made = svid.for_model()
            file = self.folder / "stranger.pem"
            file.touch(mode=0o600)
            file.write_bytes(made.chain_pem + made.key_pem.reveal())
            context.load_cert_chain(file)
            file.unlink()
        return context

    def raw(self, name: str, context: ssl.SSLContext | None, headers: Headers = ()) -> bytes:
        """What the port before a service's application says to a GET; empty where it hangs up."""
        lines = "".join(f"{key}: {value}\r\n" for key, value in headers)
        request = f"GET / HTTP/1.1\r\nHost: {name}\r\n{lines}Connection: close\r\n\r\n"
        found = b""
        try:
            with socket.create_connection(self.meshgate.endpoint(name), timeout=10) as plain:
                channel = context.wrap_socket(plain, server_hostname=name) if context else plain
                with channel:
                    channel.sendall(request.encode())
                    while piece := channel.recv(65536):
                        found += piece
        except (ConnectionError, ssl.SSLError):
            pass
        return found

    def serial(self, name: str) -> int:
        """The serial number of the certificate that a service's sidecar shows."""
        context = self.client_context(self.authority())
        with (
            socket.create_connection(self.meshgate.endpoint(name), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=name) as channel,
        ):
            shown = channel.getpeercert(binary_form=True)
        assert shown is not None
        return x509.load_der_x509_certificate(shown).serial_number


@pytest.fixture(scope="module")
def mesh(isolation: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    folder = tmp_path_factory.mktemp(f"identity-{isolation}")
    (folder / "mesh.yaml").write_text(manifests())
    with (
        running(folder / "state", [folder / "mesh.yaml"], isolation, "--svid-lifetime", "30s") as meshgate,
        Load(meshgate.http_port, "shop.example.test", clients=2) as load,
    ):
        yield Mesh(meshgate=meshgate, load=load, folder=folder)


def caller(headers: Mapping[str, str]) -> list[str]:
    """All identities in the certificate header as the service saw it."""
    return re.findall(r"\bURI=([^;,]+)", headers.get("x-forwarded-client-cert", ""))


def body(reply: bytes) -> dict[str, dict[str, str]]:
    """The JSON in a raw HTTP/1.1 answer."""
    head, _, content = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), reply[:300]
    found: dict[str, dict[str, str]] = json.loads(content[content.index(b"{") : content.rindex(b"}") + 1])
    return found


@pytest.mark.parametrize(
    ("name", "plaintext", "mtls"),
    [
        ("payment", False, True),
        ("permissive", True, True),
        ("disabled", True, False),
        ("opened", True, False),
        ("closed", False, True),
    ],
)
def test_the_mode_decides_what_is_accepted(mesh: Mesh, name: str, plaintext: bool, mtls: bool) -> None:
    headers = [("X-Forwarded-Client-Cert", FORGED)]
    plain = mesh.raw(name, None, headers)
    if plaintext:
        assert caller(body(plain)["headers"]) == []
    else:
        assert plain == b""
    ours = mesh.raw(name, mesh.client_context(mesh.authority()), headers)
    if mtls:
        assert caller(body(ours)["headers"]) == [STRANGER]
    else:
        assert ours == b"", "DISABLE: the sidecar ends no TLS"
    # In every mode the gateway and the mesh itself find the way that is open.
    answer = mesh.meshgate.ask(f"{name}.example.test")
    assert answer.status == 200
    assert caller(answer.seen) == ([GATEWAY] if mtls else [])


def test_strict_refuses_a_certificate_of_another_authority_and_none(mesh: Mesh) -> None:
    foreign = create_authority(TRUST_DOMAIN, datetime.now(UTC))
    for name in ("payment", "closed"):
        assert mesh.raw(name, mesh.client_context(foreign)) == b""
        assert mesh.raw(name, mesh.client_context(None)) == b""


def test_the_service_sees_the_callers_identity_and_no_forged_one(mesh: Mesh) -> None:
    answer = mesh.meshgate.ask(
        "payment.example.test",
        headers=[("X-Forwarded-Client-Cert", FORGED), ("x-forwarded-client-cert", FORGED)],
    )
    assert caller(answer.seen) == [GATEWAY]
    assert "forged" not in answer.body.decode()
    code = f"""
import json, urllib.request
request = urllib.request.Request("http://payment/", headers={{"X-Forwarded-Client-Cert": {FORGED!r}}})
print(json.dumps(json.load(urllib.request.urlopen(request, timeout=10))["headers"]))"""
    seen = json.loads(mesh.meshgate.inside("checkout", code))
    assert caller(seen) == ["spiffe://cluster.local/ns/default/sa/checkout"]
    assert "forged" not in json.dumps(seen)


@pytest.mark.slow
def test_certificates_change_under_load_with_no_request_failed(mesh: Mesh) -> None:
    """Until each of the certificates that were shown at first has been replaced twice, so is no longer valid.

    Connections that stand keep the one they began with, as in Istio; so the servers' are
    asked for in new handshakes, and the gateway's, a client, where Envoy lists what it holds.
    """
    serials: dict[str, set[str]] = {"payment": set(), "checkout": set(), GATEWAY: set()}

    def changed_twice() -> bool:
        for name in ("payment", "checkout"):
            serials[name].add(f"{mesh.serial(name):x}")
        serials[GATEWAY] |= mesh.meshgate.certificates().get(GATEWAY, set())
        return all(len(found) >= 3 for found in serials.values())

    until(changed_twice, "two new certificates for each", deadline_s=60)
    mesh.load.more(100)
    print(f"{len(mesh.load.answers)} requests; certificates: { {k: len(v) for k, v in serials.items()} }")
    assert mesh.load.failed() == []
    identities = {answer.json()["payment"]["caller"] for answer in mesh.load.answers}
    assert identities == {"spiffe://cluster.local/ns/default/sa/checkout"}
