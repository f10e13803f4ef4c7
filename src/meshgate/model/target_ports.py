"""Which ports of a workload services lead to by number."""

from __future__ import annotations

from collections.abc import Mapping

from meshgate.model.graph import Model
from meshgate.model.service import AppProtocol


def target_ports(model: Model) -> Mapping[str, Mapping[int, AppProtocol]]:
    """Workload key -> number -> what a service says it speaks.

    As in Kubernetes `containerPort` only tells: a `targetPort` leads to ports that no container names.
    """
    found: dict[str, dict[int, AppProtocol]] = {}
    for host, keys in sorted(model.backends.items()):
        service = model.services.get(host) or model.entries.get(host)
        for port in service.ports if service else ():
            number = port.target or port.number
            if isinstance(number, int):
                for key in keys:
                    found.setdefault(key, {}).setdefault(number, port.protocol)
    return found
