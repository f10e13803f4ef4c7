"""Kong's `acme` with a real ACME server: hosts get certificates, keep them, and say why they got none."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from tests.e2e.acme_server import AcmeServer, acme_server
from tests.e2e.harness import Meshgate, running
from tests.e2e.manifests import deployment, ingress, service
from tests.e2e.waiting import until
from tests.redis_server import free_port

pytestmark = pytest.mark.e2e

PLUGIN = """
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {{name: certified}}
plugin: acme
config:
  account_email: ops@shop.example
  api_uri: {directory}
  tos_accepted: true
  cert_type: {kind}
  domains: [shop.example, '*.wild.example', blocked.example]
  fail_backoff_minutes: 1
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {{name: keys}}
plugin: key-auth
---
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AcmeServer, int]]:
    port = free_port()
    with acme_server(tmp_path_factory.mktemp("acme"), port) as found:
        before = os.environ.get("REQUESTS_CA_BUNDLE")
        os.environ["REQUESTS_CA_BUNDLE"] = str(found.authorities_file)
        try:
            yield found, port
        finally:
            os.environ.pop("REQUESTS_CA_BUNDLE")
            if before is not None:
                os.environ["REQUESTS_CA_BUNDLE"] = before


def _shown(meshgate: Meshgate, host: str, root_pem: str | None = None) -> x509.Certificate | None:
    """The certificate that a client sees at a host; with a root it must be trusted, or there is none."""
    context = ssl.create_default_context(cadata=root_pem)
    if root_pem is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", meshgate.https_port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=host) as wrapped,
        ):
            seen = wrapped.getpeercert(binary_form=True)
    except (ssl.SSLError, OSError):
        return None
    assert seen is not None
    return x509.load_der_x509_certificate(seen)


def test_hosts_get_certificates(tmp_path: Path, server: tuple[AcmeServer, int]) -> None:
    acme, port = server
    manifest = tmp_path / "shop.yaml"
    text = PLUGIN.format(directory=acme.directory, kind="ecc") + deployment("shop") + service("shop")
    plugins = "certified,keys"
    for name, host in (
        ("shop", "shop.example"),
        ("wild", "a.wild.example"),
        ("other", "other.example"),
        ("blocked", "blocked.example"),
    ):
        text += ingress(name, host=host, backend="shop", plugins=plugins)
    manifest.write_text(text)
    with running(tmp_path / "state", (manifest,), "ports", http_port=port) as meshgate:

        def trusted(host: str) -> x509.Certificate:
            return until(lambda: _shown(meshgate, host, acme.root_pem), f"a certificate for {host}")

        first = trusted("shop.example")
        trusted("a.wild.example")
        # No domain of the plugin's, so the gateway's own certificate.
        assert _shown(meshgate, "other.example", acme.root_pem) is None
        assert _shown(meshgate, "other.example") is not None
        (problem,) = until(lambda: meshgate.diagnostics("MG4007"), "why a host has no certificate")
        assert problem["message"].startswith("no certificate for blocked.example: ")
        assert "rejectedIdentifier" in problem["message"]
        # The plugins of the route hold all the same, and nothing of the challenge is left.
        assert meshgate.ask("shop.example", "/").status == 401
        assert meshgate.ask("shop.example", "/.well-known/acme-challenge/x").status == 401
        folder = tmp_path / "state/acme"
        assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
        assert folder.stat().st_mode & 0o777 == 0o700
        log = (tmp_path / "state/logs/meshgate.log").read_text() if (tmp_path / "state/logs").exists() else ""
        assert "PRIVATE KEY" not in log
        # A control plane that comes back asks for nothing again.
        meshgate.down()
        meshgate.up()
        again = trusted("shop.example")
        assert again.serial_number == first.serial_number
        # Another kind of key, and another account's: a new certificate.
        manifest.write_text(text.replace("ops@shop.example", "new@shop.example").replace("ecc", "rsa"))

        def renewed() -> x509.Certificate | None:
            seen = _shown(meshgate, "shop.example", acme.root_pem)
            return seen if seen is not None and seen.serial_number != first.serial_number else None

        until(renewed, "a certificate for the new account")
