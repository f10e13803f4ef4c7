"""How clients are told to speak, against what servers take: DestinationRule and PeerAuthentication."""

from __future__ import annotations

from collections.abc import Iterator

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.findings import Findings
from meshgate.model.declared import Declared, DestinationRules
from meshgate.model.destination import ClientTlsMode, TrafficPolicy
from meshgate.model.graph import Model
from meshgate.model.linking.inbound import container_port
from meshgate.model.names import complete_host
from meshgate.model.service import Service, ServicePort
from meshgate.model.workload import MtlsMode


def analyze(declared: Declared, model: Model, advice: Findings) -> None:
    """MG3110 for each port of a rule's service where one of the two refuses the other."""
    for rules in declared.destination_rules:
        service = model.services.get(complete_host(rules.host, rules.namespace))
        for port in service.ports if service else ():
            problem = next(_problems(rules, service, port, model), "") if service else ""
            if problem:
                advice.warn(
                    "MG3110",
                    rules.origin,
                    ObjectRef("DestinationRule", rules.namespace, rules.ref.name, rules.ref.group),
                    f"port {port.number}: {problem}",
                    "leave tls out of the rule: members speak mTLS to each other by themselves",
                )


def _problems(rules: DestinationRules, service: Service, port: ServicePort, model: Model) -> Iterator[str]:
    modes = {_mode(p, port.number) for p in (rules.policy, *(s.policy for s in rules.subsets))} - {None}
    for key in model.backends.get(service.host, ()):
        workload, inbound = model.workloads[key], model.inbound.get(key)
        number = container_port(port, workload)
        if not workload.meshed and ClientTlsMode.ISTIO_MUTUAL in modes:
            yield f"clients are to speak mTLS, and the pods of {key} have no sidecar"
        for own in inbound.ports if inbound and workload.meshed else ():
            if own.port != number:
                continue
            if own.mtls is MtlsMode.STRICT and modes - {ClientTlsMode.ISTIO_MUTUAL}:
                yield f"{key} takes mTLS only (PeerAuthentication STRICT), and clients are to speak otherwise"
            if own.mtls is MtlsMode.DISABLE and ClientTlsMode.ISTIO_MUTUAL in modes:
                yield f"clients are to speak mTLS, and {key} takes none (PeerAuthentication DISABLE)"


def _mode(policy: TrafficPolicy, port: int) -> ClientTlsMode | None:
    own = next((special for number, special in policy.ports if number == port), policy)
    return own.tls
