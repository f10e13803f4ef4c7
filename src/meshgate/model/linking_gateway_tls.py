"""TLS of a Gateway's server with its certificates fetched. Internal to `link`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from meshgate.model.credential_secrets import find_credential
from meshgate.model.edge import Certificate
from meshgate.model.gateway import GatewayObject, Server, ServerTls, ServerTlsMode
from meshgate.model.linking_input import Findings, Input
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
    for number, credential in enumerate(server.tls.credentials):
        found = find_credential(
            given,
            credential,
            (gateway.name.namespace, ROOT_NAMESPACE, GATEWAY_NAMESPACE),
            pair=True,
            authorities=checks and number == 0,
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
        certificates[str(found.name)] = Certificate(
            name=str(found.name),
            hosts=(),
            chain_pem=found.chain_pem,
            key_pem=found.key_pem,
            ca_pem=found.ca_pem,
            servers_only=True,
            origin=found.origin,
        )
    return LinkedTls(replace(server.tls, credentials=tuple(certificates)), certificates)
