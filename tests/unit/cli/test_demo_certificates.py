"""A certificate is read from a real handshake."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from meshgate.cli.demo_certificates import certificate_of, life
from meshgate.cli.demo_shop import free_port

DEADLINE_S = 60.0
ID = "spiffe://cluster.local/ns/default/sa/web"


def a_server(folder: Path, until: datetime) -> ssl.SSLContext:
    """A TLS server's side with a certificate of its own making."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    certificate = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(until - timedelta(days=1))
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(ID)]), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_name_and_life_are_those_of_the_leaf(tmp_path: Path) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    context = a_server(tmp_path, until)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def shake() -> None:
            connection, _ = server.accept()
            with connection, context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(1)

        thread = threading.Thread(target=shake)
        thread.start()
        found = certificate_of("127.0.0.1", server.getsockname()[1])
        thread.join(DEADLINE_S)
    assert (found.spiffe_id, found.until) == (ID, until)


def test_nobody_there_is_an_error_of_the_system() -> None:
    with pytest.raises(OSError, match="refused"):
        certificate_of("127.0.0.1", free_port())


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 s"), (59, "59 s"), (150, "2 min"), (3600, "1 h 00 min"), (86399, "23 h 59 min")],
)
def test_lives(seconds: int, said: str) -> None:
    assert life(timedelta(seconds=seconds)) == said
