"""Kong's `mtls-auth` (documented for 3.9): the client's certificate says who asks.

Envoy asks clients for a certificate and takes any; whether it is good is decided here and nowhere
else, for each route against the authorities of its own plugin.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.x509 import Certificate, load_pem_x509_certificate

from meshgate.bridge.certificates import (
    alternative_names,
    common_name,
    distinguished_name,
    header_text,
    read_chain,
    subject_names,
    verified,
)
from meshgate.bridge.request import Allow, Identity, Request, Verdict, refused
from meshgate.bridge.tools import Tools
from meshgate.model.consumer import Consumer
from meshgate.model.policies.client_certificate import MtlsAuth, Revocation
from meshgate.policies.client_certificate import DN_HEADER, SAN_HEADER

NOTHING_SENT = "No required TLS certificate was sent"
NOT_VERIFIED = "TLS certificate failed verification"


class MtlsCheck:
    """Whose certificate a client has shown."""

    def __init__(self, policy: MtlsAuth, tools: Tools) -> None:
        self._policy, self._tools = policy, tools
        self._authorities: Mapping[str, Certificate] = {
            one.id: load_pem_x509_certificate(one.pem.encode()) for one in policy.authorities
        }
        self._by_subject: Mapping[tuple[str, str], Consumer] = {
            (c.subject_name, c.ca_id): consumer
            for consumer in tools.directory.consumers
            for c in consumer.mtls
        }

    async def ask(self, request: Request, known: Identity | None) -> Verdict:
        """The consumer whose name is in a certificate that leads to one of the authorities."""
        if not request.peer_chain_pem:
            return refused(NOTHING_SENT, to=request)
        policy = self._policy
        chain = verified(
            read_chain(request.peer_chain_pem),
            tuple(self._authorities.values()),
            self._tools.clock.now(),
            allow_partial_chain=policy.allow_partial_chain,
        )
        if chain is None or await self._taken_back(chain):
            return refused(NOT_VERIFIED, to=request)
        if policy.skip_consumer_lookup:
            return _anybody(chain[0], policy)
        found = self._consumer(chain)
        if found is None:
            return refused("Unauthorized", to=request)
        consumer, name = found
        return Allow(identity=Identity(consumer=consumer, credential=header_text(name)))

    async def _taken_back(self, chain: tuple[Certificate, ...]) -> bool:
        if self._policy.revocation is Revocation.SKIP:
            return False
        return await self._tools.kept.revocations.taken_back(chain, self._policy)

    def _consumer(self, chain: tuple[Certificate, ...]) -> tuple[Consumer, str] | None:
        """In Kong's order: credentials of this authority, of any, then consumers by name."""
        directory, names = self._tools.directory, subject_names(chain[0])
        signers = [id for id, authority in self._authorities.items() if authority in chain[1:]]
        for authority in (*signers, ""):
            for name in names:
                if (name, authority) in self._by_subject:
                    return self._by_subject[name, authority], name
        tables = {"username": directory.by_name, "custom_id": directory.by_custom_id}
        for name in names:
            for kind in self._policy.consumer_by:
                if name in tables[kind]:
                    return tables[kind][name], name
        default = self._policy.default_consumer
        consumer = directory.by_name.get(default) or directory.by_id.get(default)
        return (consumer, names[0] if names else default) if consumer is not None else None


def _anybody(certificate: Certificate, policy: MtlsAuth) -> Allow:
    """A good certificate is enough; the service is told what is in it."""
    dn = distinguished_name(certificate.subject)
    group = common_name(certificate) if policy.authenticated_group_by == "CN" else dn
    san = ", ".join(map(header_text, alternative_names(certificate) or ()))
    told = ((DN_HEADER, dn), (SAN_HEADER, san))
    return Allow(
        identity=Identity(credential=dn or "certificate", groups=(header_text(group),) if group else ()),
        set_headers=tuple((name, value) for name, value in told if value),
    )
