"""Certificates for tests: signed by one authority, or by nobody."""

from __future__ import annotations

import base64
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from meshgate.simulate.certificates import leaf, root
from tests.e2e.gateway_api.api import INFRA


def secret(name: str, *hosts: str, namespace: str = INFRA) -> dict[str, Any]:
    """A Secret with a certificate for the hosts."""
    chain, key = leaf(hosts[0], hosts)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": name, "namespace": namespace},
        "data": {
            "tls.crt": base64.b64encode(chain).decode(),
            "tls.key": base64.b64encode(key.reveal()).decode(),
        },
    }


def authorities(name: str, namespace: str = INFRA, text: str = "") -> dict[str, Any]:
    """A ConfigMap with the authority that signed them all."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"ca.crt": text or root().decode()},
    }


def client(folder: Path, own: str = "") -> ssl.SSLContext:
    """A client that trusts the authority; with a certificate of its own: `signed` or `foreign`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=root().decode())
    if own:
        chain, key = _foreign() if own == "foreign" else _signed()
        file = folder / f"{own}.pem"
        file.write_bytes(key + chain)
        context.load_cert_chain(file)
    return context


def _signed() -> tuple[bytes, bytes]:
    chain, key = leaf("client", ("client.test",))
    return chain, key.reveal()


def _foreign() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a stranger")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2099, 1, 1, tzinfo=UTC))
        .serial_number(x509.random_serial_number())
        .public_key(key.public_key())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM), pem
