"""Ports that a GRPCRoute leads to speak gRPC, where they do not say themselves. Internal to `link`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from meshgate.model.declared import Declared
from meshgate.model.gateway_api import ParentRef, Reference, RouteKind
from meshgate.model.linking.gateway_api.grants import permits
from meshgate.model.names import Name
from meshgate.model.service import AppProtocol, Service, ServicePort


def with_grpc_ports(declared: Declared) -> Declared:
    """The declared Services with what GRPCRoutes say of their ports: gRPC needs HTTP/2.

    A route that may not refer to a Service says nothing of it.
    """
    called = frozenset(_called(declared))
    if not called:
        return declared
    return replace(declared, services=tuple(_told(service, called) for service in declared.services))


def _called(declared: Declared) -> Iterator[tuple[Name, int]]:
    grants = declared.reference_grants
    for route in declared.api_routes:
        if route.kind is RouteKind.GRPC:
            backends = (backend.target for rule in route.rules for backend in rule.backends)
            named: tuple[Reference | ParentRef, ...] = (*backends, *route.parents)
            for target in named:
                is_service = (target.group, target.kind) == ("", "Service")
                if is_service and permits(grants, route.kind.value, route.namespace, target):
                    yield target.name, target.port


def _told(service: Service, called: frozenset[tuple[Name, int]]) -> Service:
    def of(port: ServicePort) -> ServicePort:
        silent = port.protocol is AppProtocol.UNKNOWN and (service.name, port.number) in called
        return replace(port, protocol=AppProtocol.GRPC) if silent else port

    return replace(service, ports=tuple(of(port) for port in service.ports))
