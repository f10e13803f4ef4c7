"""Filter chains of the HTTPS listener: one per certificate, chosen by server name (SNI).

Where `mtls-auth` wants to know clients of some of a certificate's hosts, these get a chain of their own,
so that nobody else is asked for a certificate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.core.origin import BUILT_IN
from meshgate.model.edge import Certificate
from meshgate.model.reader import Reader
from meshgate.translate import tls
from meshgate.translate.client_certificates import AskedHosts, asked_hosts
from meshgate.translate.http import http_chain
from meshgate.translate.names import EDGE_CERTIFICATE_PREFIX, EDGE_ROUTES

ASKING = "/clients"
"""Behind the name of a chain that asks for certificates."""

MakeManager = Callable[[bool], hcm.HttpConnectionManager]
"""Made for whether clients' certificates are unverified."""


def add_chains(reader: Reader, found: listener_pb2.Listener, taken: set[str], make: MakeManager) -> None:
    """Adds those of all certificates; `taken` are server names that have a chain already."""
    asked = asked_hosts(reader, EDGE_ROUTES)
    certificates = list(_certificates(reader))
    elsewhere = {h for _, certificate in certificates for h in certificate.hosts} | taken
    plain = http_chain(make(False))
    asking = http_chain(make(True)) if asked.authorities else plain
    default: str | None = None
    for name, certificate in certificates:
        names = [h for h in certificate.hosts if h not in taken]
        taken.update(names)
        if not certificate.hosts:
            default = name if default is None else default
            continue
        wanting = _asked_of(names, asked, elsewhere)
        elsewhere.update(wanting)
        others = [n for n in names if n not in wanting]
        if others:
            chain = found.filter_chains.add(
                name=name, filters=[plain], transport_socket=tls.downstream_edge(_secret(name))
            )
            chain.filter_chain_match.server_names.extend(others)
        if wanting:
            chain = found.filter_chains.add(
                name=name + ASKING,
                filters=[asking],
                transport_socket=tls.downstream_edge(_secret(name), asked.told(wanting)),
            )
            chain.filter_chain_match.server_names.extend(wanting)
    if default is None:
        return
    everybody = "*" in asked.authorities
    told = asked.told(asked.authorities) if everybody else None
    found.default_filter_chain.filters.append(asking if everybody else plain)
    found.default_filter_chain.transport_socket.CopyFrom(tls.downstream_edge(_secret(default), told))
    left = [h for h in asked.authorities if h != "*" and h not in elsewhere]
    if left:
        chain = found.filter_chains.add(
            name=default + ASKING,
            filters=[asking],
            transport_socket=tls.downstream_edge(_secret(default), asked.told(left)),
        )
        chain.filter_chain_match.server_names.extend(left)


def _certificates(reader: Reader) -> Iterator[tuple[str, Certificate]]:
    """A default certificate that somebody named comes before our own."""
    found = sorted(reader.all_certificates().items(), key=lambda c: (c[1].origin == BUILT_IN, c[0]))
    return ((name, certificate) for name, certificate in found if not certificate.servers_only)


def _asked_of(names: list[str], asked: AskedHosts, elsewhere: set[str]) -> list[str]:
    """Which of a certificate's names are asked, and which hosts under its wildcards."""
    wanting = [n for n in names if asked.cover(n)]
    inside = (h for n in names if n not in wanting for h in asked.inside(n))
    return [*wanting, *(h for h in dict.fromkeys(inside) if h not in elsewhere)]


def _secret(name: str) -> str:
    return EDGE_CERTIFICATE_PREFIX + name
