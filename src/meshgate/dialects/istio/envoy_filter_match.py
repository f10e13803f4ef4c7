"""`match` of an EnvoyFilter's patch: which listeners, routes or clusters of which proxies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from meshgate.dialects.schema import Spec
from meshgate.model.envoy_patch import ClusterMatch, ListenerMatch, RouteAction, RouteMatch
from meshgate.model.service import EMPTY

Port = Annotated[int, Field(ge=0, le=65535)]


class ProxyMatchSpec(Spec):
    proxy_version: str = ""
    metadata: Mapping[str, str] = EMPTY


class SubFilterSpec(Spec):
    name: str = ""


class FilterSpec(Spec):
    name: str = ""
    sub_filter: SubFilterSpec = SubFilterSpec()


class FilterChainSpec(Spec):
    name: str = ""
    sni: str = ""
    transport_protocol: str = ""
    application_protocols: str = ""
    destination_port: Port = 0
    filter: FilterSpec = FilterSpec()


class ListenerMatchSpec(Spec):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"portName": "Istio never used it; match by portNumber"}

    port_number: Port = 0
    name: str = ""
    listener_filter: str = ""
    filter_chain: FilterChainSpec = FilterChainSpec()

    def lower(self) -> ListenerMatch:
        """The same, for the model."""
        chain = self.filter_chain
        protocols = (p.strip() for p in chain.application_protocols.split(","))
        return ListenerMatch(
            port=self.port_number,
            name=self.name,
            listener_filter=self.listener_filter,
            chain_name=chain.name,
            sni=chain.sni,
            transport_protocol=chain.transport_protocol,
            application_protocols=tuple(p for p in protocols if p),
            destination_port=chain.destination_port,
            filter_name=chain.filter.name,
            sub_filter_name=chain.filter.sub_filter.name,
        )


class RouteSpec(Spec):
    name: str = ""
    action: Literal["ANY", "ROUTE", "REDIRECT", "DIRECT_RESPONSE"] = "ANY"


class VirtualHostSpec(Spec):
    name: str = ""
    domain_name: str = ""
    route: RouteSpec = RouteSpec()


class RouteConfigurationSpec(Spec):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "portName": "ports of servers have no name in routes; match by portNumber"
    }

    port_number: Port = 0
    gateway: str = ""
    name: str = ""
    vhost: VirtualHostSpec = VirtualHostSpec()

    def lower(self) -> RouteMatch:
        """The same, for the model."""
        return RouteMatch(
            port=self.port_number,
            name=self.name,
            gateway=self.gateway,
            host_name=self.vhost.name,
            domain=self.vhost.domain_name,
            route_name=self.vhost.route.name,
            action=RouteAction(self.vhost.route.action),
        )


class ClusterMatchSpec(Spec):
    port_number: Port = 0
    service: str = ""
    subset: str = ""
    name: str = ""

    def lower(self) -> ClusterMatch:
        """The same, for the model."""
        return ClusterMatch(name=self.name, service=self.service, subset=self.subset, port=self.port_number)


class MatchSpec(Spec):
    """Istio's `EnvoyConfigObjectMatch`."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"waypoint": "there are no waypoints here"}

    context: Literal["ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY", "WAYPOINT"] = "ANY"
    proxy: ProxyMatchSpec = ProxyMatchSpec()
    listener: ListenerMatchSpec | None = None
    route_configuration: RouteConfigurationSpec | None = None
    cluster: ClusterMatchSpec | None = None

    def has(self, name: str) -> bool:
        """Whether it matches by objects of that kind."""
        parts = {
            "listener": self.listener,
            "routeConfiguration": self.route_configuration,
            "cluster": self.cluster,
        }
        return parts[name] is not None
