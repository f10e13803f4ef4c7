"""Certificates that DestinationRules name for TLS to other servers. Internal to `link`."""

from __future__ import annotations

from collections.abc import Iterator

from meshgate.core.findings import Findings
from meshgate.model.declared import DestinationRules
from meshgate.model.destination import ClientTlsMode, TrafficPolicy
from meshgate.model.edge import Certificate
from meshgate.model.linking.input import Input
from meshgate.model.linking.tls_secrets import find_credential


def link_client_credentials(given: Input, findings: Findings) -> dict[str, Certificate]:
    """By `namespace/name` of the Secret, which lies beside the rule; one that cannot be used is
    MG3005 and is left out: what asks for it stays closed."""
    wanted: dict[tuple[str, str], bool] = {}
    for rules in given.declared.destination_rules:
        for policy in _policies(rules):
            settings = policy.client_tls
            if settings is None or not settings.credential:
                continue
            key = (rules.namespace, settings.credential)
            mutual = policy.tls is ClientTlsMode.MUTUAL
            found = find_credential(
                given,
                settings.credential,
                (rules.namespace,),
                pair=mutual,
                authorities=not settings.insecure_skip_verify,
            )
            if found.problem:
                findings.error(
                    "MG3005",
                    rules.origin,
                    rules.ref,
                    f"Secret {found.name} {found.problem}; its host is closed",
                    "add a Secret with " + ("tls.crt, tls.key and ca.crt" if mutual else "ca.crt"),
                    ("spec", "trafficPolicy", "tls", "credentialName"),
                )
                continue
            wanted[key] = wanted.get(key, False) or mutual
    credentials: dict[str, Certificate] = {}
    for (namespace, name), mutual in sorted(wanted.items()):
        found = find_credential(given, name, (namespace,), pair=mutual, authorities=False)
        authorities = find_credential(given, name, (namespace,), pair=False, authorities=True)
        credentials[f"{namespace}/{name}"] = Certificate(
            name=f"{namespace}/{name}",
            hosts=(),
            chain_pem=found.chain_pem,
            key_pem=found.key_pem,
            ca_pem=b"" if authorities.problem else authorities.ca_pem,
            crl_pem=b"" if authorities.problem else authorities.crl_pem,
            servers_only=True,
            origin=found.origin,
        )
    return credentials


def _policies(rules: DestinationRules) -> Iterator[TrafficPolicy]:
    for policy in (rules.policy, *(subset.policy for subset in rules.subsets)):
        yield policy
        yield from (special for _, special in policy.ports)
