"""What Kong's `prometheus` tells of a node and its targets, of what a gateway's Envoy says (Kong 3.9)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from meshgate.model.names import CLUSTER_DOMAIN
from meshgate.telemetry.exposition import Exposition
from meshgate.translate.names import ClusterName, parse_cluster

NODE_STATS = r"^http\..*\.downstream_(cx_total|cx_active|rq_total)$|^control_plane\.connected_state$"
"""What is asked of Envoy for it."""
STATES = ("healthchecks_off", "healthy", "unhealthy", "dns_error")
_OWN = "http.admin."
_CONNECTIONS = {"accepted": "cx_total", "handled": "cx_total", "total": "rq_total", "active": "cx_active"}
"""Nginx counts requests as `total`; what connections are busy with Envoy does not say."""
_BAD = ("failed_active_health_check", "failed_outlier_check", "excluded_via_immediate_hc_fail")


def add_node(stats: Mapping[str, int], node_id: str, version: str, found: Exposition) -> None:
    """Adds what is told of the gateway itself."""
    node = {"node_id": node_id}
    found.gauge("kong_node_info", 1, {**node, "version": version}, "The gateway's id and version.")
    for state, counted in _CONNECTIONS.items():
        labels = {**node, "subsystem": "http", "state": state}
        value = _sum(stats, counted)
        found.gauge("kong_nginx_connections_total", value, labels, "Connections of clients, by state.")
    labels = {**node, "subsystem": "http"}
    found.gauge("kong_nginx_requests_total", _sum(stats, "rq_total"), labels, "Requests of clients.")
    connected = stats.get("control_plane.connected_state", 0)
    found.gauge("kong_control_plane_connected", connected, {}, "Whether the control plane is connected.")


def _sum(stats: Mapping[str, int], counted: str) -> int:
    end = f".downstream_{counted}"
    return sum(value for name, value in stats.items() if name.endswith(end) and not name.startswith(_OWN))


def add_targets(clusters: str, checked: Callable[[ClusterName], bool], found: Exposition) -> None:
    """Adds the health of the gateway's targets.

    `clusters`: Envoy's `/clusters` as JSON; `checked` says whether anybody looks after a cluster's health.
    """
    states: dict[tuple[str, str], str] = {}
    for cluster, target, good in _targets(clusters):
        upstream = _upstream(cluster)
        state = "healthchecks_off"
        if checked(cluster):
            state = "healthy" if good else "unhealthy"
        key = (upstream, target)
        # Of a service's subsets the worst counts: Kong knows none.
        states[key] = max(states.get(key, state), state, key=STATES.index)
    for (upstream, target), state in sorted(states.items()):
        for one in STATES:
            labels = {
                "upstream": upstream,
                "target": target,
                "address": target,
                "state": one,
                "subsystem": "http",
            }
            value = int(one == state)
            found.gauge("kong_upstream_target_health", value, labels, "1 for the state that a target is in.")


def _upstream(cluster: ClusterName) -> str:
    """As Kong's ingress controller calls it: `<service>.<namespace>.<port>.svc`; of others the host."""
    name = cluster.host.removesuffix(f".svc.{CLUSTER_DOMAIN}")
    return cluster.host if name == cluster.host else f"{name}.{cluster.port}.svc"


def _targets(clusters: str) -> Iterator[tuple[ClusterName, str, bool]]:
    """(cluster, address and port, whether Envoy sends it requests)."""
    for one in json.loads(clusters).get("cluster_statuses", ()):
        cluster = parse_cluster(one.get("name", ""))
        if cluster is None or cluster.direction != "outbound":
            continue
        for host in one.get("host_statuses", ()):
            address = host.get("address", {}).get("socket_address")
            if address is None:
                continue
            health = host.get("health_status", {})
            good = not any(health.get(bad) for bad in _BAD)
            good = good and health.get("eds_health_status", "HEALTHY") in ("HEALTHY", "UNKNOWN", "DEGRADED")
            yield cluster, f"{address['address']}:{address['port_value']}", good
