"""Ports of services: whether they say what they speak, and whether services agree about them."""

from __future__ import annotations

from collections.abc import Iterator

from meshgate.core.findings import Findings
from meshgate.model.declared import Declared
from meshgate.model.graph import Model
from meshgate.model.linking.inbound import container_port
from meshgate.model.linking.input import service_ref
from meshgate.model.linking.workloads import selects
from meshgate.model.names import ROOT_NAMESPACE
from meshgate.model.service import AppProtocol, Service, ServicePort

_STREAMS = frozenset({AppProtocol.TCP, AppProtocol.TLS, AppProtocol.HTTPS})


def analyze(declared: Declared, model: Model, advice: Findings) -> None:
    """MG3103, MG3104, MG3107 and MG3109."""
    for service in model.services.values():
        _unnamed(service, advice)
        _external_name(service, advice)
    _disagreements(model, advice)
    _unchecked_tokens(declared, model, advice)


def _unnamed(service: Service, advice: Findings) -> None:
    for port in service.ports:
        if port.protocol is AppProtocol.UNKNOWN:
            advice.note(
                "MG3103",
                port.origin,
                service_ref(service.name),
                f"port {port.number}{f' ({port.name})' if port.name else ''} names no protocol; "
                "what its connections speak is found out from their first bytes",
                "name it like http-web, grpc-api or tcp-db, or set appProtocol",
            )


def _external_name(service: Service, advice: Findings) -> None:
    """Istio's IST0150: without a request's Host or a server name there is nothing to go by."""
    for port in service.ports if service.external_name else ():
        if port.protocol in (AppProtocol.TCP, AppProtocol.UNKNOWN):
            advice.warn(
                "MG3109",
                port.origin,
                service_ref(service.name),
                f"port {port.number} carries plain connections to {service.external_name}, "
                "which show no host name to route by",
                "name the port http-... or tls-..., or use a ServiceEntry with addresses",
            )


def _meetings(model: Model) -> Iterator[tuple[str, int, list[tuple[Service, ServicePort]]]]:
    """(workload, container port, all service ports that lead there), where several do."""
    met: dict[tuple[str, int], list[tuple[Service, ServicePort]]] = {}
    for host, service in model.services.items():
        for key in model.backends.get(host, ()):
            for port in service.ports:
                number = container_port(port, model.workloads[key])
                if number is not None:
                    met.setdefault((key, number), []).append((service, port))
    for (key, number), found in sorted(met.items()):
        if len({service.name for service, _ in found}) > 1:
            yield key, number, found


def _disagreements(model: Model, advice: Findings) -> None:
    """Of one container port, services that say it speaks something else, or offer it elsewhere."""
    for key, number, found in _meetings(model):
        first, its_port = found[0]
        for service, port in found[1:]:
            if port.protocol is not its_port.protocol:
                difference = f"{port.protocol.value}, but {first.name} says {its_port.protocol.value}"
            elif port.number != its_port.number:
                difference = f"its port {port.number}, but {first.name} calls it {its_port.number}"
            else:
                continue
            advice.warn(
                "MG3104",
                port.origin,
                service_ref(service.name),
                f"says that port {number} of Deployment {model.workloads[key].name} is {difference}",
                "let both say the same, or give the program a second port",
            )


def _unchecked_tokens(declared: Declared, model: Model, advice: Findings) -> None:
    """RequestAuthentications whose workloads have a service port that carries plain connections."""
    for policy in declared.request_authentications:
        for host, service in model.services.items():
            in_reach = policy.namespace in (ROOT_NAMESPACE, service.name.namespace)
            chosen = [
                k
                for k in model.backends.get(host, ())
                if in_reach and selects(policy.selector, model.workloads[k].labels)
            ]
            for port in service.ports if chosen and policy.selector else ():
                if port.protocol in _STREAMS:
                    advice.warn(
                        "MG3107",
                        policy.origin,
                        policy.ref,
                        f"port {port.number} of service {service.name} carries {port.protocol.value}: "
                        "no token is looked for there",
                        "name the port http-..., or guard it with an AuthorizationPolicy by port",
                    )
