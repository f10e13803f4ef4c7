"""The edge: what the gateway's listeners serve, host by host."""

from __future__ import annotations

from dataclasses import dataclass

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.core.secret import Secret
from meshgate.model.route import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeHost:
    """A virtual host of the gateway; its rules are in the order in which they are tried."""

    host: str
    """`*`, `*.example.com` or a full name, lower case."""
    rules: tuple[Rule, ...]
    routes: str = "edge"
    """The route configuration that it belongs to: `edge` holds the Ingresses' hosts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFiles:
    """A certificate with its key as files of this machine, which the proxy reads itself."""

    chain: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate that the HTTPS listener shows for the hosts."""

    name: str
    """`namespace/name` of the Secret."""
    hosts: tuple[str, ...]
    """SNI names; empty for the default certificate."""
    chain_pem: bytes
    key_pem: Secret
    ca_pem: bytes = b""
    """Authorities of clients' certificates (Gateway servers with mode MUTUAL)."""
    crl_pem: bytes = b""
    """What those authorities have revoked; empty: nothing is known."""
    servers_only: bool = False
    """Shown by Gateway servers that name it and nowhere else."""
    origin: Origin = BUILT_IN
