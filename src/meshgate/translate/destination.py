"""Which DestinationRule holds for a client, and what its parts add up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from meshgate.model.destination import ConsistentHash, DestinationPolicy, LoadBalancer, TrafficPolicy
from meshgate.model.names import ROOT_NAMESPACE
from meshgate.model.reader import Reader
from meshgate.model.service import EMPTY, Service


def destination_policy(
    reader: Reader, host: str, client_namespace: str, labels: Mapping[str, str] = EMPTY
) -> DestinationPolicy | None:
    """The policy of a host as seen from a namespace by a client with these labels.

    The client's own namespace first, then the service's, then the root namespace; an exact
    host before wildcards, longer wildcards first; a rule for chosen pods before the one for
    all (Istio 1.27). A Service's `sessionAffinity: ClientIP` holds where no rule chooses a balancer.
    """
    service = reader.service(host)
    namespaces = [client_namespace, service.name.namespace if service else "", ROOT_NAMESPACE]
    candidates = _visible(reader, host, client_namespace)
    for namespace in dict.fromkeys(namespaces):
        for policy in candidates:
            if policy.namespace == namespace and policy.selects(client_namespace, labels):
                return _sticky(policy, service)
    return _sticky(None, service)


def _sticky(policy: DestinationPolicy | None, service: Service | None) -> DestinationPolicy | None:
    if service is None or not service.client_affinity:
        return policy
    found = policy or DestinationPolicy(host=service.host, namespace=service.name.namespace)
    if found.policy.balancer is not None:
        return policy
    balancer = LoadBalancer(hash=ConsistentHash(source_ip=True))
    return replace(found, policy=replace(found.policy, balancer=balancer))


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

    A port-level policy replaces the four parts that it can have, also those that it leaves
    out; any other replaces the parts that it has (Istio 1.27, `MergeSubsetTrafficPolicy`).
    """
    if policy is None:
        return TrafficPolicy()
    effective, _ = _for_port(policy.policy, port)
    chosen = policy.subset(subset) if subset else None
    if chosen is None:
        return effective
    own, whole = _for_port(chosen.policy, port)
    return replace(
        effective,
        balancer=own.balancer if own.balancer or whole else effective.balancer,
        pool=own.pool if own.pool or whole else effective.pool,
        outliers=own.outliers if own.outliers or whole else effective.outliers,
        tls=own.tls if own.tls or whole else effective.tls,
        client_tls=own.client_tls if own.tls or whole else effective.client_tls,
        retry_budget=own.retry_budget or effective.retry_budget,
        tunnel=own.tunnel or effective.tunnel,
        proxy_protocol=own.proxy_protocol or effective.proxy_protocol,
    )


def _for_port(policy: TrafficPolicy, port: int) -> tuple[TrafficPolicy, bool]:
    """The policy of a port, and whether it is one of that port alone."""
    for number, special in policy.ports:
        if number == port:
            return replace(special, ports=()), True
    return replace(policy, ports=()), False
