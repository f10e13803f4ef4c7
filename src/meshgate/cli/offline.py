"""A model and its proxies without anything that runs: what `translate` works on.

Pods, addresses and ports are made up, the same each time (`simulate.stand_in`). Secrets of
users never get in here: `simulate.redact` puts placeholders in their place.
"""

from __future__ import annotations

from dataclasses import dataclass

from meshgate.cli.errors import CliError
from meshgate.model.graph import Model
from meshgate.model.proxy import Isolation, Proxy
from meshgate.simulate import redact, stand_in
from meshgate.simulate.call import GATEWAY, caller_key
from meshgate.simulate.stand_in import client_proxy, gateway_proxy


@dataclass(frozen=True, slots=True, kw_only=True)
class Offline:
    """Manifests as if they ran."""

    model: Model
    """With instances, certificates and addresses; without any secret of a user."""
    isolation: Isolation

    def proxy(self, written: str) -> Proxy:
        """The proxy of `gateway` or `DEPLOYMENT[.NS]`; raises `CliError` where there is none."""
        if written == GATEWAY:
            return gateway_proxy()
        workload = self.model.workloads.get(caller_key(written.rpartition("/")[2]))
        if workload is None:
            known = ", ".join(
                sorted(f"{w.name.name}.{w.name.namespace}" for w in self.model.workloads.values())
            )
            raise CliError(f"there is no Deployment {written}", f"known are: gateway, {known}")
        if not workload.meshed:
            raise CliError(
                f"Deployment {workload.name} has no sidecar",
                f"label its namespace: istio-injection=enabled (now {workload.name.namespace} has none)",
            )
        return client_proxy(self.model, workload, self.isolation)


def take_offline(model: Model, isolation: Isolation = Isolation.PORTS) -> Offline:
    """The linked model with made-up instances and certificates, and without secrets."""
    return Offline(model=redact(stand_in(model, isolation=isolation)), isolation=isolation)
