"""What a sidecar shows to whoever begins a TLS handshake with it: its certificate."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509

_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The leaf certificate of a workload."""

    spiffe_id: str
    """Its only URI name; empty where it has none."""
    until: datetime

    @property
    def left(self) -> timedelta:
        """How long it is valid from now on."""
        return self.until - datetime.now(UTC)

    def __str__(self) -> str:
        return f"{self.spiffe_id}, valid for {life(self.left)}"


def life(left: timedelta) -> str:
    """`23 h 59 min`, `58 s`."""
    seconds = max(int(left.total_seconds()), 0)
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 3600} h {seconds // 60 % 60:02} min" if seconds >= 3600 else f"{seconds // 60} min"


def certificate_of(address: str, port: int) -> Certificate:
    """The certificate of the proxy there; raises `OSError` where no handshake can be made.

    Nothing is verified, for this only looks. We show no certificate ourselves, so with TLS 1.3
    the proxy refuses us after we have seen its own.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["istio", "h2"])
    with (
        socket.create_connection((address, port), timeout=_TIMEOUT_S) as connection,
        context.wrap_socket(connection) as secured,
    ):
        shown = secured.getpeercert(binary_form=True)
    if not shown:
        raise OSError(f"{address}:{port} shows no certificate")
    certificate = x509.load_der_x509_certificate(shown)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        uris = []
    return Certificate(spiffe_id=uris[0] if len(uris) == 1 else "", until=certificate.not_valid_after_utc)
