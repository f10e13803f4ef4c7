"""BackendTLSPolicies: how the gateway begins TLS to the pods of Services. Internal to `link`.

Each becomes what a DestinationRule with TLS of mode SIMPLE would be for the gateway alone. A
policy whose authorities cannot be had closes its Service at the gateway: never plaintext, and
never the authorities of somebody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from meshgate.core.findings import Findings
from meshgate.core.secret import Secret
from meshgate.model.destination import ClientTls, ClientTlsMode, DestinationPolicy, TrafficPolicy
from meshgate.model.edge import Certificate
from meshgate.model.gateway_api import ApiGateway, BackendTlsPolicyObject, ParentRef, Reference
from meshgate.model.graph import status_key
from meshgate.model.linking.gateway_api.refs import Problem, References
from meshgate.model.linking.gateway_api.status import report, resolved
from meshgate.model.linking.input import Input, oldest_first
from meshgate.model.names import GATEWAY_LABELS, GATEWAY_NAMESPACE, ROOT_NAMESPACE, Name
from meshgate.model.service import Service
from meshgate.model.status import Condition, ObjectStatus, ParentStatus

Destinations = Mapping[str, tuple[DestinationPolicy, ...]]


@dataclass(slots=True)
class LinkedBackendTls:
    """What the policies add to the model."""

    destinations: dict[str, tuple[DestinationPolicy, ...]]
    """All of them, with those for the gateway."""
    credentials: dict[str, Certificate] = field(default_factory=dict)
    statuses: dict[str, ObjectStatus] = field(default_factory=dict)


def link_backend_tls(
    given: Input,
    destinations: Destinations,
    used_by: Mapping[tuple[Name, int], tuple[ApiGateway, ...]],
    findings: Findings,
) -> LinkedBackendTls:
    """The policies, oldest first; `used_by` says which Gateways lead to a port of a Service."""
    found = LinkedBackendTls(dict(destinations))
    references = References(given)
    owners: dict[tuple[Name, str], BackendTlsPolicyObject] = {}
    chosen: dict[Name, dict[str, ClientTls | None]] = {}
    for policy in oldest_first(given.declared.backend_tls_policies):
        problem = references.authority_problem(policy.ref.kind, policy.ref.namespace, policy.authorities)
        settings = _settings(policy, references, found)
        conditions: tuple[Condition, ...] = ()
        gateways: dict[Name, ApiGateway] = {}
        for target, section in policy.targets:
            taken = _accepted(policy, target, section, given, owners)
            service = given.services.get(target.name)
            for port in service.ports if service else ():
                if section in ("", port.name):
                    used = used_by.get((target.name, port.number), ())
                    gateways.update({gateway.name: gateway for gateway in used})
            if taken.holds:
                chosen.setdefault(target.name, {})[section] = settings
                if settings is None:
                    taken = _closing(policy)
            conditions = conditions if conditions and not conditions[0].holds else (taken,)
        conditions = (*conditions, resolved(_named(problem)))
        report(conditions, policy.origin, policy.ref, findings)
        ancestors = tuple(
            ParentStatus(parent=_parent(gateway), conditions=conditions) for gateway in gateways.values()
        )
        status = ObjectStatus(generation=policy.generation, ancestors=ancestors)
        found.statuses[status_key(policy.ref)] = status
    for name, sections in chosen.items():
        service = given.services[name]
        shown = _ClientCertificates(references, used_by, found, findings)
        own = _for_gateway(service, sections, destinations.get(service.host, ()), shown)
        found.destinations[service.host] = (own, *destinations.get(service.host, ()))
    return found


@dataclass(slots=True)
class _ClientCertificates:
    """What Gateways show to backends (`spec.tls.backend`)."""

    references: References
    used_by: Mapping[tuple[Name, int], tuple[ApiGateway, ...]]
    found: LinkedBackendTls
    findings: Findings

    def at(
        self, service: Service, port: int, settings: ClientTls | None
    ) -> tuple[ClientTlsMode, ClientTls | None]:
        """The same with the certificate of the Gateway that leads there; of several, the oldest's.

        One proxy serves all Gateways, and has one way to speak to a port.
        """
        showing = [g for g in self.used_by.get((service.name, port), ()) if g.client_certificate is not None]
        if settings is None or not showing:
            return ClientTlsMode.SIMPLE, settings
        first = oldest_first(showing)[0]
        for other in showing:
            if other.client_certificate != first.client_certificate:
                message = (
                    f"port {port} of {service.name} is shown the certificate of {first.ref}, which is older"
                )
                self.findings.warn(
                    "MG3008", other.origin, other.ref, message, "give both the same certificate"
                )
        assert first.client_certificate is not None
        pair = self.references.certificate("Gateway", first.ref.namespace, first.client_certificate)
        if isinstance(pair, Problem):
            return ClientTlsMode.SIMPLE, settings  # the Gateway's status says why
        name = settings.credential or f"backend-tls.system.{service.name.namespace}.{service.name.name}"
        credential = f"{name}.{first.name.namespace}.{first.name.name}"
        trusted = self.found.credentials.get(f"{GATEWAY_NAMESPACE}/{settings.credential}")
        key = f"{GATEWAY_NAMESPACE}/{credential}"
        authorities = trusted.ca_pem if trusted is not None else b""
        self.found.credentials[key] = replace(pair, name=key, ca_pem=authorities)
        shown = replace(settings, credential=credential, system_authorities=not settings.credential)
        return ClientTlsMode.MUTUAL, shown


def _closing(policy: BackendTlsPolicyObject) -> Condition:
    reason, which = "NoValidCACertificate", "none of its authorities can be had"
    if policy.unknown_authorities:
        reason, which = "Invalid", f"the authorities {policy.unknown_authorities} are not known here"
    message = f"{which}; the Service is closed at the gateway"
    return Condition(type="Accepted", holds=False, reason=reason, message=message)


def _accepted(
    policy: BackendTlsPolicyObject,
    target: Reference,
    section: str,
    given: Input,
    owners: dict[tuple[Name, str], BackendTlsPolicyObject],
) -> Condition:
    service = given.services.get(target.name) if (target.group, target.kind) == ("", "Service") else None
    if service is None or (section and service.port(section) is None):
        where = f" with the port {section}" if section and service else ""
        message = f"there is no {target.kind} {target.name}{where}"
        return Condition(type="Accepted", holds=False, reason="TargetNotFound", message=message)
    older = owners.setdefault((target.name, section), policy)
    if older is not policy:
        message = f"{older.ref} is older and for the same Service"
        return Condition(type="Accepted", holds=False, reason="Conflicted", message=message)
    return Condition(type="Accepted", holds=True, reason="Accepted")


def _settings(
    policy: BackendTlsPolicyObject, references: References, found: LinkedBackendTls
) -> ClientTls | None:
    """What TLS is begun with; None where nobody could be trusted."""
    if policy.unknown_authorities:
        return None
    names = policy.subject_alt_names
    wildcards = any(name.startswith("*.") for name in names)
    settings = ClientTls(sni=policy.hostname, subject_alt_names=names, wildcards=wildcards)
    if policy.system_authorities:
        return settings
    pem = references.authorities(policy.ref.kind, policy.ref.namespace, policy.authorities)
    if isinstance(pem, Problem):
        return None
    credential = f"backend-tls.{policy.name.namespace}.{policy.name.name}"
    key = f"{GATEWAY_NAMESPACE}/{credential}"
    found.credentials[key] = Certificate(
        name=key,
        hosts=(),
        chain_pem=b"",
        key_pem=Secret(b""),
        ca_pem=pem,
        servers_only=True,
        origin=policy.origin,
    )
    return replace(settings, credential=credential)


def gateway_base(service: Service, existing: Iterable[DestinationPolicy]) -> DestinationPolicy:
    """What the DestinationRules say to the gateway of a Service; nothing where none is for it."""
    candidates = [p for p in existing if p.selects(GATEWAY_NAMESPACE, GATEWAY_LABELS)]
    found = next(
        (
            p
            for namespace in (GATEWAY_NAMESPACE, service.name.namespace, ROOT_NAMESPACE)
            for p in candidates
            if p.namespace == namespace
        ),
        DestinationPolicy(host=service.host, namespace=GATEWAY_NAMESPACE),
    )
    return replace(found, selector=None) if found.selector is not None else found


def _for_gateway(
    service: Service,
    sections: Mapping[str, ClientTls | None],
    existing: Iterable[DestinationPolicy],
    shown: _ClientCertificates,
) -> DestinationPolicy:
    """What the gateway's DestinationRule for the Service is, with TLS to the ports that are meant."""
    base = gateway_base(service, existing)
    special = dict(base.policy.ports)
    for port in service.ports:
        if port.name in sections or "" in sections:
            settings = sections[port.name] if port.name in sections else sections[""]
            own = special.get(port.number, replace(base.policy, ports=()))
            mode, settings = shown.at(service, port.number, settings)
            special[port.number] = replace(own, tls=mode, client_tls=settings)
    policy: TrafficPolicy = replace(base.policy, ports=tuple(sorted(special.items())))
    return replace(base, namespace=GATEWAY_NAMESPACE, policy=policy, export_to=(GATEWAY_NAMESPACE,))


def _parent(gateway: ApiGateway) -> ParentRef:
    return ParentRef(group=gateway.ref.group, kind=gateway.ref.kind, name=gateway.name, namespace_given=True)


def _named(problem: Problem | None) -> Problem | None:
    """In the words for policies."""
    if problem is not None and problem.reason == "InvalidCACertificateKind":
        return Problem("InvalidKind", problem.message)
    return problem
