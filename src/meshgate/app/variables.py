"""Hosts whose address and port a program finds in its environment, and the names of the variables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from meshgate.model.graph import Model
from meshgate.model.names import ROOT_NAMESPACE
from meshgate.model.service import AppProtocol, Service, ServicePort


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One host and what its variables begin with."""

    host: str
    prefix: str
    """`PAYMENT`, or `DB_EXAMPLE_COM`."""
    ports: tuple[ServicePort, ...]


def named_hosts(model: Model, namespace: str) -> Iterator[Named]:
    """Kubernetes' services of the namespace, then ServiceEntries' hosts that are reached by connections.

    Of ServiceEntries those of the namespace and of the root namespace, if they are seen from
    here; requests need no variable, they name their host themselves.
    """
    for host, service in sorted(model.services.items()):
        if service.name.namespace == namespace and service.ports:
            yield Named(host=host, prefix=_upper(service.name.name), ports=service.ports)
    for host, entry in sorted(model.entries.items()):
        if host in model.services or host.startswith("*") or not _seen(entry, namespace):
            continue
        if ports := tuple(p for p in entry.ports if _by_connection(p)):
            yield Named(host=host, prefix=_upper(host), ports=ports)


def port_keys(model: Model) -> Mapping[str, tuple[str, ...]]:
    """Namespace -> `host:port` of everything that its pods find in their environment."""
    namespaces = {s.name.namespace for s in model.services.values()}
    namespaces |= {w.name.namespace for w in model.workloads.values()}
    found: dict[str, tuple[str, ...]] = {}
    for namespace in sorted(namespaces):
        keys = tuple(f"{n.host}:{p.number}" for n in named_hosts(model, namespace) for p in n.ports)
        if keys:
            found[namespace] = keys
    return found


def _seen(entry: Service, namespace: str) -> bool:
    own, external = entry.name.namespace, entry.external
    near = own in (namespace, ROOT_NAMESPACE)
    return near and external is not None and external.visible_from(namespace, own)


def _by_connection(port: ServicePort) -> bool:
    return not port.protocol.is_http and port.protocol is not AppProtocol.UDP


def _upper(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())
