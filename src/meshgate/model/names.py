"""Names of objects, hosts and identities, and how a short host is completed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

CLUSTER_DOMAIN = "cluster.local"
"""The DNS domain of the mesh's services."""

TRUST_DOMAIN = "cluster.local"
"""The SPIFFE trust domain, as in Istio's default."""

ROOT_NAMESPACE = "istio-system"
"""Istio's root namespace: mesh-wide PeerAuthentication and DestinationRules live here."""

GATEWAY_NAMESPACE = "meshgate-system"
GATEWAY_SERVICE_ACCOUNT = "meshgate-gateway"
GATEWAY_LABELS: Mapping[str, str] = MappingProxyType({"app": "meshgate-gateway"})
"""What `sourceLabels` of a mesh rule see when the request comes through the gateway."""


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """A namespaced name; prints as `namespace/name`."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def service_host(name: Name) -> str:
    """`default/payment` -> `payment.default.svc.cluster.local`."""
    return f"{name.name}.{name.namespace}.svc.{CLUSTER_DOMAIN}"


def complete_host(host: str, namespace: str) -> str:
    """A host as written in a mesh rule, completed as Istio does it.

    Only a name without dots is short: it gets the rule's namespace. Everything else is
    taken as it is (Istio 1.27 `ResolveShortnameToFQDN`).
    """
    if host and "." not in host and host != "*":
        return service_host(Name(namespace, host))
    return host.lower()


def requested_host(host: str, namespace: str) -> str:
    """A host as a client in `namespace` asks for it, completed along its DNS search path.

    `payment`, `payment.default`, `payment.default.svc` and the full name are one host.
    The caller checks whether a service of that name exists.
    """
    labels = host.lower().rstrip(".").split(".")
    if len(labels) == 1:
        return service_host(Name(namespace, labels[0]))
    if len(labels) == 2 or (len(labels) == 3 and labels[2] == "svc"):
        return service_host(Name(labels[1], labels[0]))
    return ".".join(labels)


def short_hosts(name: Name, client_namespace: str) -> tuple[str, ...]:
    """All names by which a client in `client_namespace` may ask for a service, full name first."""
    full = service_host(name)
    names = [full, f"{name.name}.{name.namespace}.svc", f"{name.name}.{name.namespace}"]
    if client_namespace == name.namespace:
        names.append(name.name)
    return tuple(names)
