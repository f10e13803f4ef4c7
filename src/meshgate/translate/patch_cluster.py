"""Patches of clusters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2

from meshgate.model.envoy_patch import ClusterMatch, Context, EnvoyPatch, Operation
from meshgate.translate.names import ClusterName, parse_cluster
from meshgate.translate.patching import Seen, in_context, merged, value

_ANY = ClusterMatch()


def patch_cluster(
    cluster: cluster_pb2.Cluster,
    patches: Iterable[EnvoyPatch],
    context: Context,
    services: Iterable[str],
    seen: Seen,
) -> cluster_pb2.Cluster | None:
    """The cluster with its patches; None where one removes it.

    `services`: hosts of the services that an inbound cluster is for.
    """
    name = cluster.name
    parts = parse_cluster(name)
    hosts = frozenset(services)
    for patch in patches:
        if patch.operation is Operation.ADD or not in_context(patch, context):
            continue
        if not _means(patch.cluster or _ANY, name, parts, hosts):
            continue
        if patch.operation is Operation.REMOVE:
            seen.hit(patch)
            return None
        _merge_socket(cluster, patch, seen)
    cluster.name = name
    return cluster


def _means(match: ClusterMatch, name: str, parts: ClusterName | None, hosts: frozenset[str]) -> bool:
    if match.name:
        return match.name == name
    if parts is None:
        return not (match.subset or match.service or match.port)
    if match.subset and match.subset != parts.subset:
        return False
    if match.service and match.service not in (hosts or {parts.host}):
        return False
    return not match.port or match.port == parts.port


def _merge_socket(cluster: cluster_pb2.Cluster, patch: EnvoyPatch, seen: Seen) -> None:
    """Merges the patch; its transport socket goes to the one of that name among the cluster's choices.

    Envoy takes a socket or a list to choose from, not both.
    """
    change: Any = value(patch)
    if not change.HasField("transport_socket") or not cluster.transport_socket_matches:
        merged(cluster, patch, seen)
        return
    trial = cluster_pb2.Cluster()
    trial.CopyFrom(cluster)
    trial.ClearField("transport_socket_matches")
    for choice in cluster.transport_socket_matches:
        if choice.transport_socket.name == change.transport_socket.name:
            trial.transport_socket.CopyFrom(choice.transport_socket)
            merged(trial, patch, seen)
            choice.transport_socket.CopyFrom(trial.transport_socket)
            break
    trial.ClearField("transport_socket")
    trial.transport_socket_matches.extend(cluster.transport_socket_matches)
    cluster.CopyFrom(trial)
