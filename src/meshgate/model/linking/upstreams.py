"""What Kong says of upstreams: KongUpstreamPolicy, and TLS by annotations. Internal to `link`.

Both hold for the gateway alone, as the part of a DestinationRule for it: what a DestinationRule
says of balancing, outliers or TLS counts before them. What TLS needs and cannot be had
closes the Service at the gateway: never plaintext, and nobody is trusted instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from cryptography.x509 import InvalidVersion, load_pem_x509_certificates

from meshgate.core.findings import Findings
from meshgate.core.secret import Secret
from meshgate.model.destination import ClientTls, ClientTlsMode, DestinationPolicy, TrafficPolicy
from meshgate.model.edge import Certificate
from meshgate.model.linking.backend_tls import gateway_base
from meshgate.model.linking.input import Input, service_ref
from meshgate.model.linking.tls_secrets import find_credential
from meshgate.model.names import GATEWAY_NAMESPACE, Name
from meshgate.model.service import Service, UpstreamTls
from meshgate.model.upstream import UpstreamPolicy

_AUTHORITIES = ("cert", "ca.crt", "tls.crt")
"""Keys of a Secret or ConfigMap with an authority; Kong's own is the first."""
_ANNOTATIONS = ("metadata", "annotations")


@dataclass(slots=True)
class LinkedUpstreams:
    """What the annotations add to the model."""

    destinations: dict[str, tuple[DestinationPolicy, ...]]
    credentials: dict[str, Certificate] = field(default_factory=dict)


def link_upstreams(
    given: Input, destinations: Mapping[str, tuple[DestinationPolicy, ...]], findings: Findings
) -> LinkedUpstreams:
    """All destinations, with those for the gateway (MG3005, MG3014)."""
    found = LinkedUpstreams(dict(destinations))
    policies: dict[Name, UpstreamPolicy] = {}
    for policy in sorted(given.declared.upstream_policies, key=lambda p: (p.name, p.origin)):
        policies.setdefault(policy.name, policy)
    for service in sorted(given.services.values(), key=lambda s: s.name):
        wanted = _policy(service, policies, given, findings) if service.edge.upstream_policy else None
        tls = _client_tls(service, service.edge.tls, given, found, findings) if service.edge.tls else None
        if wanted is None and service.edge.tls is None:
            continue
        existing = found.destinations.get(service.host, ())
        base = gateway_base(service, existing)
        joined = _joined(base.policy, wanted, service.edge.tls, tls)
        own = replace(base, namespace=GATEWAY_NAMESPACE, policy=joined, export_to=(GATEWAY_NAMESPACE,))
        others = tuple(p for p in existing if p is not base or p.namespace != GATEWAY_NAMESPACE)
        found.destinations[service.host] = (own, *others)
    return found


def _policy(
    service: Service, policies: Mapping[Name, UpstreamPolicy], given: Input, findings: Findings
) -> UpstreamPolicy | None:
    name = Name(service.name.namespace, service.edge.upstream_policy)
    policy = policies.get(name)
    if policy is None:
        absence = given.absence("KongUpstreamPolicy", name)
        findings.warn(
            "MG3014",
            service.edge.upstream_policy_origin or service.origin,
            service_ref(service.name),
            f"KongUpstreamPolicy {name} {absence}; endpoints are chosen as without it",
            "add or mend it, or take the annotation away",
            (*_ANNOTATIONS, "konghq.com/upstream-policy"),
        )
    return policy


def _joined(
    base: TrafficPolicy, policy: UpstreamPolicy | None, wanted: UpstreamTls | None, tls: ClientTls | None
) -> TrafficPolicy:
    """The base with what it leaves open filled in, at every port."""
    changed = base
    if policy is not None:
        changed = replace(
            changed,
            balancer=changed.balancer or policy.balancer,
            outliers=changed.outliers or policy.outliers,
            check=policy.check,
            least_healthy_percent=policy.least_healthy_percent,
        )
    if wanted is not None and changed.tls is None:
        mode = ClientTlsMode.MUTUAL if wanted.client_secret else ClientTlsMode.SIMPLE
        changed = replace(changed, tls=mode, client_tls=tls)
    ports = tuple((number, _joined(special, policy, wanted, tls)) for number, special in base.ports)
    return replace(changed, ports=ports)


def _client_tls(
    service: Service, wanted: UpstreamTls, given: Input, found: LinkedUpstreams, findings: Findings
) -> ClientTls | None:
    """What TLS is begun with; None where it cannot be had."""
    namespace = service.name.namespace
    settings = ClientTls(
        sni=service.edge.host_header.partition(":")[0],
        named_by_request=not service.edge.host_header,
        insecure_skip_verify=not wanted.verify,
        verify_depth=wanted.depth,
    )
    trouble: list[str] = []
    chain, key = b"", Secret(b"")
    if wanted.client_secret:
        pair = find_credential(given, wanted.client_secret, (namespace,), pair=True, authorities=False)
        chain, key = pair.chain_pem, pair.key_pem
        trouble += [f"Secret {pair.name} {pair.problem}"] if pair.problem else []
    named = bool(wanted.authority_secrets or wanted.authority_config_maps)
    authorities = b"".join(_authorities(wanted, namespace, given, trouble)) if wanted.verify else b""
    if trouble:
        findings.error(
            "MG3005",
            wanted.origin,
            service_ref(service.name),
            f"{'; '.join(trouble)}; the Service is closed at the gateway",
            "add or mend it, or take the annotation away",
            _ANNOTATIONS,
        )
        return None
    if not chain and not (wanted.verify and named):
        return settings
    credential = f"kong-upstream.{namespace}.{service.name.name}"
    key_name = f"{GATEWAY_NAMESPACE}/{credential}"
    found.credentials[key_name] = Certificate(
        name=key_name,
        hosts=(),
        chain_pem=chain,
        key_pem=key,
        ca_pem=authorities,
        servers_only=True,
        origin=wanted.origin,
    )
    return replace(settings, credential=credential)


def _authorities(wanted: UpstreamTls, namespace: str, given: Input, trouble: list[str]) -> Iterator[bytes]:
    for name in (Name(namespace, one) for one in wanted.authority_secrets):
        secret = given.secrets.get(name)
        if secret is None:
            trouble.append(f"Secret {name} {given.absence('Secret', name)}")
            continue
        value = next((secret.data[key] for key in _AUTHORITIES if key in secret.data), None)
        yield from _certificate(value.reveal() if value else b"", f"Secret {name}", trouble)
    for name in (Name(namespace, one) for one in wanted.authority_config_maps):
        config = given.config_maps.get(name)
        if config is None:
            trouble.append(f"ConfigMap {name} {given.absence('ConfigMap', name)}")
            continue
        text = next((config.data[key] for key in _AUTHORITIES if key in config.data), "")
        yield from _certificate(text.encode(), f"ConfigMap {name}", trouble)


def _certificate(pem: bytes, where: str, trouble: list[str]) -> Iterator[bytes]:
    try:
        load_pem_x509_certificates(pem)
    except (ValueError, InvalidVersion):
        trouble.append(f"{where} holds no certificate as PEM text under {', '.join(_AUTHORITIES)}")
    else:
        yield pem.rstrip() + b"\n"
