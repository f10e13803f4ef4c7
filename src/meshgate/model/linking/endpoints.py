"""What answers for a host and is no pod: ServiceEntries' endpoints, WorkloadEntries, EndpointSlices.

Internal to `link`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.findings import Findings
from meshgate.model.external import EndpointList, ExternalEndpoint, Machine, Resolution
from meshgate.model.linking.input import Input, service_ref
from meshgate.model.names import Name
from meshgate.model.service import Service, ServicePort

_GROUPS = {"EndpointSlice": "discovery.k8s.io", "Endpoints": ""}


def selected_machines(service: Service, given: Input) -> tuple[Machine, ...]:
    """The WorkloadEntries of the service's namespace that have the labels of its selector."""
    if not service.selector:
        return ()
    return tuple(
        m for m in given.machines.get(service.name.namespace, ()) if m.endpoint.has(service.selector)
    )


def link_endpoints(given: Input, findings: Findings) -> dict[str, tuple[ExternalEndpoint, ...]]:
    """By full host, each with the port for every port of the service; MG3051 for what cannot be used.

    Kubernetes' and Istio's rules: lists are for Services without a selector (a list beside a
    selector adds to it unless a cluster's controller wrote it); a WorkloadEntry serves whatever
    selects it.
    """
    lists = _lists(given, findings)
    found: dict[str, tuple[ExternalEndpoint, ...]] = {}
    for service in (*given.services.values(), *given.entries.values()):
        if service.host in found or service.external_name:
            continue
        endpoints = [*_declared(service), *_by_selector(service, given, findings)]
        if service.external is None:
            endpoints.extend(lists.get(service.name, ()))
        resolved = (replace(e, ports=_resolved(e, service.ports)) for e in endpoints)
        if kept := tuple(dict.fromkeys(resolved)):
            found[service.host] = kept
    return dict(sorted(found.items()))


def _declared(service: Service) -> tuple[ExternalEndpoint, ...]:
    return service.external.endpoints if service.external and not service.external.by_workloads else ()


def _resolved(endpoint: ExternalEndpoint, ports: Iterable[ServicePort]) -> tuple[tuple[str, int], ...]:
    """Service port name -> port there: by that name, by the name it targets, else the service's own."""
    own = dict(endpoint.ports)

    def number(port: ServicePort) -> int:
        if port.name in own:
            return own[port.name]
        if isinstance(port.target, str):
            return own.get(port.target, port.number)
        return port.target or port.number

    return tuple((port.name, number(port)) for port in ports)


def _by_selector(service: Service, given: Input, findings: Findings) -> Iterable[ExternalEndpoint]:
    by_name = service.external is not None and service.external.resolution in (
        Resolution.DNS,
        Resolution.DNS_ROUND_ROBIN,
    )
    for machine in selected_machines(service, given):
        if machine.endpoint.is_name and not by_name:
            what = "ServiceEntry" if service.external else "Service"
            findings.warn(
                "MG3051",
                machine.origin,
                ObjectRef("WorkloadEntry", machine.name.namespace, machine.name.name, "networking.istio.io"),
                f"{machine.endpoint.address} is a name, which {what} {service.name} does not look up",
                "give its IP address, or use a ServiceEntry with resolution DNS",
                ("spec", "address"),
            )
        else:
            yield machine.endpoint


def _lists(given: Input, findings: Findings) -> Mapping[Name, list[ExternalEndpoint]]:
    found: dict[Name, list[ExternalEndpoint]] = {}
    for listed in sorted(given.declared.endpoint_lists, key=lambda e: (e.service, e.kind, e.name, e.origin)):
        if (reason := _unused(listed, given.services.get(listed.service), given)) is None:
            names = {p.name for p in given.services[listed.service].ports}
            for endpoint in listed.endpoints:
                # A port that the list does not name is not served.
                ports = {**dict.fromkeys(names, 0), **dict(endpoint.ports)}
                exact = replace(endpoint, ports=tuple(sorted(ports.items())))
                found.setdefault(listed.service, []).append(exact)
        elif reason:
            ref = ObjectRef(listed.kind, listed.name.namespace, listed.name.name, _GROUPS[listed.kind])
            findings.warn("MG3051", listed.origin, ref, f"{reason}; it has no effect")
    return found


def _unused(listed: EndpointList, service: Service | None, given: Input) -> str | None:
    """Why a list counts for nothing; empty where that needs no word, None where it counts."""
    if service is None:
        return f"Service {listed.service} {given.absence('Service', listed.service)}"
    if service.external_name:
        return f"{service_ref(listed.service)} is another name of {service.external_name}"
    if service.selector and listed.made_by_cluster:
        return ""
    if service.selector and listed.kind == "Endpoints":
        return f"Service {listed.service} has a selector, from which its Endpoints are made"
    return None
