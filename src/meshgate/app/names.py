"""Which hosts get a virtual address in netns isolation, and what DNS says about all of them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

from meshgate.model.external import Resolution
from meshgate.model.graph import Model
from meshgate.runtime.dns_table import EVERYWHERE, DnsTable, HostEntry
from meshgate.translate.external import full_external_name


def addressed_hosts(model: Model) -> Iterator[str]:
    """Every service, and the hosts of ServiceEntries that name no address and need none of their own.

    Istio's rule for the hosts that it gives addresses to by itself: with resolution NONE connections
    go where the client was going, so that a made-up address would lead nowhere.
    """
    yield from (host for host, service in model.services.items() if not service.external_name)
    for host, entry in model.entries.items():
        external = entry.external
        if host in model.services or external is None or external.addresses:
            continue
        if external.resolution is not Resolution.NONE:
            yield host


def dns_table(model: Model, members: Mapping[str, str]) -> DnsTable:
    """`members`: the address of each pod with a sidecar and its namespace."""
    return DnsTable(
        names={host: (address,) for host, address in model.addresses.items() if host in model.services},
        aliases={
            host: full_external_name(service)
            for host, service in model.services.items()
            if service.external_name
        },
        entries=dict(_entries(model)),
        members=dict(members),
    )


def _entries(model: Model) -> Iterator[tuple[str, HostEntry]]:
    for host, entry in model.entries.items():
        external = entry.external
        if external is None or host in model.services:
            continue
        given = tuple(a for a in external.addresses if _is_ipv4(a))
        addresses = given or tuple(filter(None, (model.addresses.get(host),)))
        if not addresses:
            continue
        own = entry.name.namespace
        seen = tuple(sorted({own if n == "." else n for n in external.export_to}))
        yield host, HostEntry(addresses=addresses, namespaces=(EVERYWHERE,) if EVERYWHERE in seen else seen)


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
