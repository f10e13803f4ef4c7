"""Who is who in the mesh: what metrics say of a workload, an identity and a service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshgate.model.graph import Model
from meshgate.model.names import (
    CLUSTER_DOMAIN,
    GATEWAY_LABELS,
    GATEWAY_NAMESPACE,
    GATEWAY_SERVICE_ACCOUNT,
    TRUST_DOMAIN,
    Name,
)
from meshgate.model.workload import CLUSTER_ID, canonical_name, canonical_revision

UNKNOWN = "unknown"
_SERVICE_SUFFIX = f".svc.{CLUSTER_DOMAIN}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """One end of a request, in the words of Istio's labels."""

    workload: str = UNKNOWN
    namespace: str = UNKNOWN
    app: str = UNKNOWN
    version: str = UNKNOWN
    canonical_service: str = UNKNOWN
    canonical_revision: str = UNKNOWN
    cluster: str = UNKNOWN

    @classmethod
    def of(cls, name: Name, labels: Mapping[str, str]) -> Who:
        """A workload with its pods' labels."""
        return cls(
            workload=name.name,
            namespace=name.namespace,
            app=labels.get("app") or UNKNOWN,
            version=labels.get("version") or UNKNOWN,
            canonical_service=canonical_name(name, labels),
            canonical_revision=canonical_revision(labels),
            cluster=CLUSTER_ID,
        )


NOBODY = Who()


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A service, in the words of Istio's labels."""

    service: str = UNKNOWN
    name: str = UNKNOWN
    namespace: str = UNKNOWN


class Directory:
    """Answers from one model; make a new one when the model changes."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._who = {key: Who.of(w.name, w.labels) for key, w in model.workloads.items()}
        accounts: dict[str, list[str]] = {}
        for key, workload in model.workloads.items():
            spiffe = f"spiffe://{TRUST_DOMAIN}/ns/{workload.name.namespace}/sa/{workload.service_account}"
            accounts.setdefault(spiffe, []).append(key)
        gateway = Name(GATEWAY_NAMESPACE, GATEWAY_SERVICE_ACCOUNT)
        self._who[str(gateway)] = Who.of(gateway, GATEWAY_LABELS)
        identity = f"spiffe://{TRUST_DOMAIN}/ns/{gateway.namespace}/sa/{gateway.name}"
        accounts.setdefault(identity, []).append(str(gateway))
        self._sole = {spiffe: keys[0] for spiffe, keys in accounts.items() if len(keys) == 1}
        self._services: dict[tuple[str, int], str] = {}
        for host, keys in sorted(model.backends.items()):
            service = model.services.get(host)
            for port in service.ports if service else ():
                for key in keys:
                    target = port.target if isinstance(port.target, int) else self._named(key, port.target)
                    self._services.setdefault((key, target or port.number), host)

    def _named(self, key: str, name: str) -> int:
        ports = self._model.workloads[key].ports
        return next((p.number for p in ports if p.name == name), 0)

    def workload(self, named: str) -> Who:
        """By an endpoint's metadata: `<workload>;<namespace>;<canonical>;<revision>;<cluster>`."""
        parts = named.split(";")
        if len(parts) != 5:
            return NOBODY
        known = self._who.get(f"{parts[1]}/{parts[0]}")
        if known is not None:
            return known
        return Who(
            workload=parts[0],
            namespace=parts[1],
            canonical_service=parts[2],
            canonical_revision=parts[3],
            cluster=parts[4],
        )

    def caller(self, principal: str) -> Who:
        """By identity; of several workloads with one service account only what they share is known."""
        key = self._sole.get(principal)
        if key is not None:
            return self._who[key]
        path = principal.removeprefix(f"spiffe://{TRUST_DOMAIN}/").split("/")
        if path != [principal] and len(path) == 4:
            return Who(namespace=path[1], cluster=CLUSTER_ID)
        return NOBODY

    def service(self, host: str) -> Where:
        """By full host."""
        if host.endswith(_SERVICE_SUFFIX):
            labels = host.removesuffix(_SERVICE_SUFFIX).split(".")
            if len(labels) == 2:
                return Where(service=host, name=labels[0], namespace=labels[1])
        entry = self._model.entries.get(host)
        namespace = entry.name.namespace if entry else UNKNOWN
        return Where(service=host, name=host, namespace=namespace)

    def service_of(self, workload: str, port: int) -> Where:
        """The service that leads to a workload's port, the first by host."""
        host = self._services.get((workload, port))
        return self.service(host) if host else Where()
