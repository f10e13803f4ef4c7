"""Which DestinationRule holds for a client, and what its parts add up to."""

from __future__ import annotations

from dataclasses import replace

from meshgate.model.destination import DestinationPolicy, TrafficPolicy
from meshgate.model.names import ROOT_NAMESPACE
from meshgate.model.reader import Reader


def destination_policy(reader: Reader, host: str, client_namespace: str) -> DestinationPolicy | None:
    """The policy of a host as seen from a namespace.

    The client's own namespace first, then the service's, then the root namespace; an exact
    host before wildcards, longer wildcards first (Istio 1.27).
    """
    service = reader.service(host)
    namespaces = [client_namespace, service.name.namespace if service else "", ROOT_NAMESPACE]
    candidates = _visible(reader, host, client_namespace)
    for namespace in dict.fromkeys(namespaces):
        for policy in candidates:
            if policy.namespace == namespace:
                return policy
    return None


def _visible(reader: Reader, host: str, client_namespace: str) -> list[DestinationPolicy]:
    found = list(reader.destinations(host))
    wildcards = sorted((n for n in reader.destination_names() if n.startswith("*")), key=len, reverse=True)
    for wildcard in wildcards:
        if host.endswith(wildcard[1:]):
            found.extend(reader.destinations(wildcard))
    return [
        p
        for p in found
        if "*" in p.export_to
        or client_namespace in p.export_to
        or ("." in p.export_to and p.namespace == client_namespace)
    ]


def traffic_policy(policy: DestinationPolicy | None, port: int, subset: str) -> TrafficPolicy:
    """What holds for one cluster: port-level over rule-level, the subset's own over both.

    A port-level policy replaces the rule-level one whole, as Istio documents it.
    """
    if policy is None:
        return TrafficPolicy()
    effective = _for_port(policy.policy, port)
    chosen = policy.subset(subset) if subset else None
    if chosen is None:
        return effective
    own = _for_port(chosen.policy, port)
    return replace(
        effective,
        balance=own.balance if own.balance or own.hash else effective.balance,
        hash=own.hash if own.balance or own.hash else effective.hash,
        pool=own.pool or effective.pool,
        outliers=own.outliers or effective.outliers,
        tls=own.tls or effective.tls,
        client_tls=own.client_tls if own.tls else effective.client_tls,
    )


def _for_port(policy: TrafficPolicy, port: int) -> TrafficPolicy:
    for number, special in policy.ports:
        if number == port:
            return replace(special, ports=())
    return replace(policy, ports=())
