"""Kong's TCPIngress and UDPIngress as declared: ports at which whole connections or datagrams come in."""

from __future__ import annotations

from dataclasses import dataclass

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.origin import BUILT_IN, Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamIngressRule:
    """One port, perhaps for one server name only, and the Service behind it."""

    port: int
    host: str
    """Server name (SNI), perhaps `*.` and one; empty: every connection."""
    service: str
    """In the object's namespace."""
    service_port: int
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamIngressTls:
    """The certificate that is shown for server names."""

    hosts: tuple[str, ...]
    """Empty: for all of them."""
    secret_name: str
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamIngress:
    """One TCPIngress, or a UDPIngress (`datagrams`)."""

    ref: ObjectRef
    rules: tuple[StreamIngressRule, ...]
    tls: tuple[StreamIngressTls, ...] = ()
    """Empty: TLS is not ended here, a server name is only looked at."""
    datagrams: bool = False
    plugin_names: tuple[str, ...] = ()
    plugins_origin: Origin | None = None
    created: str = ""
    origin: Origin = BUILT_IN
