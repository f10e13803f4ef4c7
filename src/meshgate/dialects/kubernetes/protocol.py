"""What a service port speaks, by Istio 1.27's rules of protocol selection."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from meshgate.model.service import AppProtocol

_WORDS: Mapping[str, AppProtocol] = MappingProxyType(
    {
        "http": AppProtocol.HTTP,
        "http2": AppProtocol.HTTP2,
        "grpc": AppProtocol.GRPC,
        # Ordinary HTTP requests; only the bodies are gRPC's.
        "grpc-web": AppProtocol.HTTP,
        "https": AppProtocol.HTTPS,
        "tls": AppProtocol.TLS,
        "tcp": AppProtocol.TCP,
        "udp": AppProtocol.UDP,
        # Known to Istio by name; requests of these are not routed one by one here.
        "mongo": AppProtocol.TCP,
        "mysql": AppProtocol.TCP,
        "redis": AppProtocol.TCP,
        "kubernetes.io/h2c": AppProtocol.HTTP2,
        "kubernetes.io/ws": AppProtocol.HTTP,
        "kubernetes.io/wss": AppProtocol.HTTPS,
    }
)

_SERVER_SPEAKS_FIRST = frozenset({25, 53, 3306, 27017})
"""SMTP, DNS, MySQL, MongoDB: waiting for the client's first bytes would hang."""


def port_protocol(*, app_protocol: str | None, name: str, number: int, transport: str) -> AppProtocol:
    """`appProtocol` decides, else the name up to its first `-`, else the port's number."""
    if transport == "UDP":
        return AppProtocol.UDP
    if app_protocol is not None:
        return _WORDS.get(app_protocol.lower(), AppProtocol.UNKNOWN)
    lowered = name.lower()
    prefix = "grpc-web" if lowered == "grpc-web" or lowered.startswith("grpc-web-") else lowered.split("-")[0]
    found = _WORDS.get(prefix)
    if found is not None:
        return found
    return AppProtocol.TCP if number in _SERVER_SPEAKS_FIRST else AppProtocol.UNKNOWN
