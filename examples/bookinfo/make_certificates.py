"""Make an authority, certificates for books.example and staff.example, and one for a client.

    .venv/bin/python examples/bookinfo/make_certificates.py | meshgate apply -f -

Prints the Secrets that tasks/ingress-tls.yaml names, and leaves `ca.pem` and `client.pem` in
the current directory. They are new every time and good for a day.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

Key = ec.EllipticCurvePrivateKey


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def certificate(subject: str, key: Key, issuer: str, issuer_key: Key) -> x509.Certificate:
    """A certificate for `subject`; an authority's where it is its own issuer."""
    now = datetime.now(UTC)
    authority = subject == issuer
    builder = (
        x509.CertificateBuilder(_name(issuer), _name(subject), key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
    return builder.sign(issuer_key, SHA256())


def _pem(item: x509.Certificate | Key) -> bytes:
    if isinstance(item, x509.Certificate):
        return item.public_bytes(Encoding.PEM)
    return item.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def main() -> None:
    """Prints the Secrets and writes the files."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _pem(certificate("bookinfo authority", ca_key, "bookinfo authority", ca_key))
    pairs = {}
    for subject in ("books.example", "staff.example", "client.example"):
        key = ec.generate_private_key(ec.SECP256R1())
        pairs[subject] = _pem(certificate(subject, key, "bookinfo authority", ca_key)), _pem(key)
    Path("ca.pem").write_bytes(ca)
    Path("client.pem").write_bytes(b"".join(pairs["client.example"]))
    for secret in ("books", "staff"):
        chain, private = pairs[f"{secret}.example"]
        data = {"tls.crt": chain, "tls.key": private, "ca.crt": ca}
        print(f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {secret}}}\ntype: kubernetes.io/tls\ndata:")
        print(
            "".join(f"  {name}: {base64.b64encode(value).decode()}\n" for name, value in data.items()) + "---"
        )


if __name__ == "__main__":
    main()
