"""TLS of a Gateway's server with its certificates fetched. Internal to `link`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from meshgate.core.findings import Findings
from meshgate.model.edge import Certificate
from meshgate.model.gateway import GatewayObject, Server, ServerTls, ServerTlsMode
from meshgate.model.linking.input import Input
from meshgate.model.linking.tls_secrets import find_credential
from meshgate.model.names import GATEWAY_NAMESPACE, ROOT_NAMESPACE

_CHECKS_CLIENTS = frozenset({ServerTlsMode.MUTUAL, ServerTlsMode.OPTIONAL_MUTUAL})


@dataclass(frozen=True, slots=True)
class LinkedTls:
    """Settings whose credentials are names of `certificates`."""

    settings: ServerTls
    certificates: dict[str, Certificate]


def link_tls(server: Server, gateway: GatewayObject, given: Input, findings: Findings) -> LinkedTls | None:
    """The server's TLS; None where a Secret cannot be had (MG3005): the server is not opened.

    Secrets are looked for beside the Gateway, then where Istio's own gateway would, in
    `istio-system`.
    """
    assert server.tls is not None
    checks = server.tls.mode in _CHECKS_CLIENTS
    certificates: dict[str, Certificate] = {}
    pairs: list[str] = []
    signers: list[str] = []
    own_authorities = bool(server.tls.authorities or server.tls.authorities_file)
    wanted = [
        (name, True, checks and not own_authorities and n == 0)
        for n, name in enumerate(server.tls.credentials)
    ]
    if checks and server.tls.authorities:
        wanted.append((server.tls.authorities, False, True))
    for credential, pair, authorities in wanted:
        found = find_credential(
            given,
            credential,
            (gateway.name.namespace, ROOT_NAMESPACE, GATEWAY_NAMESPACE),
            pair=pair,
            authorities=authorities,
        )
        if found.problem:
            remedy = "add a Secret of type kubernetes.io/tls with tls.crt and tls.key"
            findings.error(
                "MG3005",
                server.origin,
                gateway.ref,
                f"Secret {found.name} {found.problem}; server {server.name!r} is not opened",
                remedy + (" and ca.crt" if checks else ""),
            )
            return None
        made = Certificate(
            name=str(found.name),
            hosts=(),
            chain_pem=found.chain_pem,
            key_pem=found.key_pem,
            ca_pem=found.ca_pem,
            crl_pem=found.crl_pem,
            servers_only=True,
            origin=found.origin,
        )
        known = certificates.get(made.name)
        certificates[made.name] = both(known, made) if known else made
        (pairs if pair else signers).append(str(found.name))
    settings = replace(server.tls, credentials=tuple(pairs), authorities=next(iter(signers), ""))
    return LinkedTls(settings, certificates)


def both(one: Certificate, other: Certificate) -> Certificate:
    """What two servers ask of one Secret: its pair, its authorities, or both."""
    return replace(
        other,
        chain_pem=one.chain_pem or other.chain_pem,
        key_pem=one.key_pem if one.chain_pem else other.key_pem,
        ca_pem=one.ca_pem or other.ca_pem,
        crl_pem=one.crl_pem or other.crl_pem,
    )
