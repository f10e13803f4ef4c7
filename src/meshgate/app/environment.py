"""What an application finds in its environment: how to reach the services by their names."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from meshgate.app.variables import named_hosts
from meshgate.model.graph import Model
from meshgate.runtime.placement import Placement
from meshgate.runtime.spec import Isolation, PodSpec


class Environment:
    """Kubernetes' service variables and, in ports isolation, the way through the sidecar."""

    def __init__(self, model: Callable[[], Model], node: Callable[[str], Placement | None]) -> None:
        """`model` gives the newest one, `node` the place of a namespace's node proxy, if it has one."""
        self._model, self._node = model, node

    def environment(self, pod: PodSpec, placement: Placement) -> Mapping[str, str]:
        """The variables for a pod's containers; see `runtime.placement.EnvFactory`."""
        found = {"PATH": _path()}
        ports_only = placement.isolation is Isolation.PORTS
        through = placement if pod.meshed or not ports_only else self._node(pod.namespace)
        if through is None:
            return found
        model = self._model()
        for named in named_hosts(model, pod.namespace):
            host, prefix = named.host, named.prefix
            if not ports_only:
                # Programs without a sidecar look hosts outside of the mesh up themselves.
                known = host in model.services or pod.meshed
                address = model.addresses.get(host) if known else None
                ports = {p.number: p.number for p in named.ports}
            else:
                address = "127.0.0.1"
                ports = {
                    p.number: local
                    for p in named.ports
                    if (local := through.service_ports.get(f"{host}:{p.number}"))
                }
            if address is None or named.ports[0].number not in ports:
                continue
            found[f"{prefix}_SERVICE_HOST"] = address
            found[f"{prefix}_SERVICE_PORT"] = str(ports[named.ports[0].number])
            for port in named.ports:
                if port.name and port.number in ports:
                    name = re.sub(r"[^A-Z0-9]", "_", port.name.upper())
                    found[f"{prefix}_SERVICE_PORT_{name}"] = str(ports[port.number])
        if ports_only and through.outbound_port:
            found["http_proxy"] = f"http://127.0.0.1:{through.outbound_port}"
            found["no_proxy"] = "localhost,127.0.0.1,::1"
        return found


def _path() -> str:
    """The interpreter that runs Meshgate comes first, so that `python3` is the same everywhere."""
    own = str(Path(sys.executable).parent)
    return os.pathsep.join((own, os.environ.get("PATH", os.defpath)))
