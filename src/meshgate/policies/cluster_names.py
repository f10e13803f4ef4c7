"""How clusters are named, for policies that lead to one; after Istio's conventions."""

from __future__ import annotations


def service_cluster(host: str, port: int, subset: str = "") -> str:
    """`outbound|80|v1|payment.default.svc.cluster.local`."""
    return f"outbound|{port}|{subset}|{host}"
