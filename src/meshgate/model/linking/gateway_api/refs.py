"""References of Gateway API objects: what they lead to, and whether they may. Internal to `link`."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.x509 import InvalidVersion, load_pem_x509_certificates

from meshgate.model.edge import Certificate
from meshgate.model.gateway_api import Reference
from meshgate.model.gateway_api_routes import ApiRoute
from meshgate.model.linking.gateway_api.grants import permits
from meshgate.model.linking.input import Input, oldest_first
from meshgate.model.linking.plugin_names import connection_guards
from meshgate.model.linking.tls_secrets import find_credential
from meshgate.model.names import Name
from meshgate.model.service import Service, ServicePort


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a reference cannot be followed: a condition's reason and message."""

    reason: str
    message: str


class References:
    """Looks up what Gateway API objects refer to; across namespaces only with a ReferenceGrant."""

    def __init__(self, given: Input) -> None:
        self._given = given
        self._grants = given.declared.reference_grants
        self._closed = self._closed_ports()

    def permits(self, kind: str, namespace: str, target: Reference) -> bool:
        """Whether an object of that kind (of the Gateway API) in a namespace may refer to `target`."""
        return permits(self._grants, kind, namespace, target)

    def backend(self, route: ApiRoute, target: Reference) -> tuple[Service, ServicePort] | Problem:
        """The Service and its port that a route's backend is."""
        if (target.group, target.kind) != ("", "Service"):
            return Problem("InvalidKind", f"{_kind(target)} is no kind of backend here")
        if not self.permits(route.ref.kind, route.namespace, target) and not _is_consumers(route, target):
            return Problem("RefNotPermitted", f"no ReferenceGrant lets it refer to Service {target.name}")
        service = self._given.services.get(target.name)
        if service is None:
            absence = self._given.absence("Service", target.name)
            return Problem("BackendNotFound", f"Service {target.name} {absence}")
        if not target.port:
            return Problem("BackendNotFound", f"the port of Service {target.name} is not written")
        port = service.port(target.port)
        if port is None:
            return Problem("BackendNotFound", f"Service {target.name} has no port {target.port}")
        return service, port

    def closed_to_connections(self, service: Service) -> str:
        """Why no connection may get to the Service: a plugin of its own that is not run for connections."""
        guards = connection_guards(service, self._given)
        return (
            f"plugin {guards[0]} of service {service.name} is not run for connections, and what it guards "
            "would be open"
            if guards
            else ""
        )

    def closed(self, service: Service, port: ServicePort) -> str:
        """Why nothing may be sent to the port: a BackendTLSPolicy without authorities; else empty."""
        of_port = self._closed.get((service.name, port.name)) if port.name else None
        return of_port if of_port is not None else self._closed.get((service.name, ""), "")

    def _closed_ports(self) -> dict[tuple[Name, str], str]:
        """(Service, port's name or empty for all) -> why it is closed, empty where it is open."""
        found: dict[tuple[Name, str], str] = {}
        for policy in oldest_first(self._given.declared.backend_tls_policies):
            problem: bytes | Problem = b""
            if policy.unknown_authorities:
                problem = Problem(
                    "Invalid", f"the authorities {policy.unknown_authorities} are not known here"
                )
            elif not policy.system_authorities:
                problem = self.authorities(policy.ref.kind, policy.ref.namespace, policy.authorities)
            says = f"{policy.ref}: {problem.message}" if isinstance(problem, Problem) else ""
            for target, section in policy.targets:
                found.setdefault((target.name, section), says)
        return found

    def certificate(self, kind: str, namespace: str, target: Reference) -> Certificate | Problem:
        """The pair in a Secret that a listener shows."""
        if (target.group, target.kind) != ("", "Secret"):
            message = f"{_kind(target)} is no kind of certificate here; use a Secret"
            return Problem("InvalidCertificateRef", message)
        if not self.permits(kind, namespace, target):
            return Problem("RefNotPermitted", f"no ReferenceGrant lets it refer to Secret {target.name}")
        found = find_credential(
            self._given, target.name.name, (target.name.namespace,), pair=True, authorities=False
        )
        if found.problem:
            return Problem("InvalidCertificateRef", f"Secret {found.name} {found.problem}")
        return Certificate(
            name=str(found.name),
            hosts=(),
            chain_pem=found.chain_pem,
            key_pem=found.key_pem,
            servers_only=True,
            origin=found.origin,
        )

    def authorities(self, kind: str, namespace: str, targets: tuple[Reference, ...]) -> bytes | Problem:
        """The certificates of all authorities that can be had; the first problem where there are none."""
        found: list[bytes] = []
        problems: list[Problem] = []
        for target in targets:
            pem = self._authority(kind, namespace, target)
            if isinstance(pem, Problem):
                problems.append(pem)
            else:
                found.append(pem if pem.endswith(b"\n") else pem + b"\n")
        return b"".join(found) if found else problems[0]

    def authority_problem(self, kind: str, namespace: str, targets: tuple[Reference, ...]) -> Problem | None:
        """The first reference to authorities that cannot be followed."""
        found = (self._authority(kind, namespace, target) for target in targets)
        return next((p for p in found if isinstance(p, Problem)), None)

    def _authority(self, kind: str, namespace: str, target: Reference) -> bytes | Problem:
        if target.group != "" or target.kind not in ("ConfigMap", "Secret"):
            message = f"{_kind(target)} holds no authorities; use a ConfigMap with ca.crt"
            return Problem("InvalidCACertificateKind", message)
        if not self.permits(kind, namespace, target):
            message = f"no ReferenceGrant lets it refer to {target.kind} {target.name}"
            return Problem("RefNotPermitted", message)
        if target.kind == "ConfigMap":
            config_map = self._given.config_maps.get(target.name)
            text = config_map.data.get("ca.crt") if config_map else None
            pem = text.encode() if text is not None else None
            there = config_map is not None
        else:
            secret = self._given.secrets.get(target.name)
            value = secret.data.get("ca.crt") if secret else None
            pem = value.reveal() if value is not None else None
            there = secret is not None
        if pem is None:
            what = "has no ca.crt" if there else self._given.absence(target.kind, target.name)
            return Problem("InvalidCACertificateRef", f"{target.kind} {target.name} {what}")
        try:
            load_pem_x509_certificates(pem)
        except (ValueError, InvalidVersion):
            message = f"{target.kind} {target.name} holds no certificates as PEM text in ca.crt"
            return Problem("InvalidCACertificateRef", message)
        return pem


def _kind(target: Reference) -> str:
    return f"{target.group}/{target.kind}" if target.group else target.kind


def _is_consumers(route: ApiRoute, target: Reference) -> bool:
    """Whether a route inside the mesh alone leads to the Service that it is for: its clients get there as
    they are, so nobody has to let it."""
    inside = not route.default_gateways and all(parent.is_service for parent in route.parents)
    return inside and target.name in (parent.name for parent in route.parents)
