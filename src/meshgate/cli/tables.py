"""The columns in which kubectl shows each kind (kubectl 1.34; Istio's and Kong's from their CRDs)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from meshgate.cli.printing import get_in, list_in, text_in

Cell = Callable[[object], str]


@dataclass(frozen=True, slots=True)
class Column:
    """A heading and how to read its cell out of an object."""

    title: str
    cell: Cell
    wide: bool = False
    """Only with `-o wide`."""
    rare: bool = False
    """Only where some object has something to say there."""


_NONE = "<none>"


def _at(*path: str | int, default: str = _NONE) -> Cell:
    return lambda obj: text_in(obj, *path, default=default)


def _size(*path: str) -> Cell:
    def cell(obj: object) -> str:
        found = get_in(obj, *path)
        return str(len(found)) if isinstance(found, Mapping | list | tuple) else "0"

    return cell


def _joined(*path: str) -> Cell:
    def cell(obj: object) -> str:
        return ",".join(str(item) for item in list_in(obj, *path)) or "<none>"

    return cell


def _json_list(*path: str) -> Cell:
    def cell(obj: object) -> str:
        items = [f'"{item}"' for item in list_in(obj, *path)]
        return f"[{','.join(items)}]" if items else ""

    return cell


def _pod_ready(pod: object) -> str:
    statuses = list_in(pod, "status", "containerStatuses")
    return f"{sum(get_in(s, 'ready') is True for s in statuses)}/{len(statuses)}"


def _pod_status(pod: object) -> str:
    for status in list_in(pod, "status", "containerStatuses"):
        for phase in ("waiting", "terminated"):
            reason = get_in(status, "state", phase, "reason")
            if reason:
                return str(reason)
    return text_in(pod, "status", "reason", default=text_in(pod, "status", "phase", default="Unknown"))


def _pod_restarts(pod: object) -> str:
    counts = [get_in(s, "restartCount") for s in list_in(pod, "status", "containerStatuses")]
    return str(sum(c for c in counts if isinstance(c, int)))


def _ready_of(deployment: object) -> str:
    wanted = text_in(deployment, "spec", "replicas", default="1")
    return f"{text_in(deployment, 'status', 'readyReplicas', default='0')}/{wanted}"


def _service_ports(service: object) -> str:
    found = []
    for port in list_in(service, "spec", "ports"):
        node = get_in(port, "nodePort")
        number = f"{text_in(port, 'port')}:{node}" if node else text_in(port, "port")
        found.append(f"{number}/{text_in(port, 'protocol', default='TCP')}")
    return ",".join(found) or "<none>"


def _external_ip(service: object) -> str:
    if get_in(service, "spec", "externalName"):
        return text_in(service, "spec", "externalName")
    ingress = list_in(service, "status", "loadBalancer", "ingress")
    return ",".join(text_in(i, "ip", default=text_in(i, "hostname")) for i in ingress) or "<none>"


def _selector(*path: str) -> Cell:
    def cell(obj: object) -> str:
        found = get_in(obj, *path)
        pairs = [f"{k}={v}" for k, v in found.items()] if isinstance(found, Mapping) else []
        return ",".join(pairs) or "<none>"

    return cell


def _ingress_hosts(ingress: object) -> str:
    hosts = [text_in(rule, "host", default="*") for rule in list_in(ingress, "spec", "rules")]
    return ",".join(hosts) or "*"


def _ingress_ports(ingress: object) -> str:
    return "80, 443" if list_in(ingress, "spec", "tls") else "80"


def _addresses(obj: object) -> str:
    found = list_in(obj, "status", "loadBalancer", "ingress")
    return ",".join(text_in(i, "ip", default=text_in(i, "hostname", default="")) for i in found)


def _endpoints(obj: object) -> str:
    found = []
    for subset in list_in(obj, "subsets"):
        ports = list_in(subset, "ports")
        for address in list_in(subset, "addresses"):
            ip = text_in(address, "ip")
            found += [f"{ip}:{text_in(port, 'port')}" for port in ports] or [ip]
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return (",".join(found[:3]) or "<none>") + more


def _slice_ports(obj: object) -> str:
    return ",".join(text_in(port, "port") for port in list_in(obj, "ports")) or "<unset>"


def _slice_endpoints(obj: object) -> str:
    found = [str(a) for e in list_in(obj, "endpoints") for a in list_in(e, "addresses")]
    return ",".join(found) or "<unset>"


def _containers(field: str) -> Cell:
    def cell(obj: object) -> str:
        found = list_in(obj, "spec", "template", "spec", "containers")
        return ",".join(text_in(c, field, default="") for c in found)

    return cell


def _condition(kind: str) -> Cell:
    def cell(obj: object) -> str:
        found = (c for c in list_in(obj, "status", "conditions") if text_in(c, "type") == kind)
        return next((text_in(c, "status") for c in found), "")

    return cell


def _gateway_addresses(gateway: object) -> str:
    return ",".join(text_in(a, "value") for a in list_in(gateway, "status", "addresses"))


_COLUMNS: Mapping[str, Sequence[Column]] = MappingProxyType(
    {
        "Pod": (
            Column("READY", _pod_ready),
            Column("STATUS", _pod_status),
            Column("RESTARTS", _pod_restarts),
            Column("STAND-IN FOR", _at("metadata", "annotations", "meshgate.dev/stand-in"), rare=True),
        ),
        "Service": (
            Column("TYPE", _at("spec", "type", default="ClusterIP")),
            Column("CLUSTER-IP", _at("spec", "clusterIP")),
            Column("EXTERNAL-IP", _external_ip),
            Column("PORT(S)", _service_ports),
        ),
        "Deployment": (
            Column("READY", _ready_of),
            Column("UP-TO-DATE", _at("status", "updatedReplicas", default="0")),
            Column("AVAILABLE", _at("status", "availableReplicas", default="0")),
        ),
        "StatefulSet": (Column("READY", _ready_of),),
        "DaemonSet": (
            Column("DESIRED", _at("status", "desiredNumberScheduled", default="0")),
            Column("CURRENT", _at("status", "currentNumberScheduled", default="0")),
            Column("READY", _at("status", "numberReady", default="0")),
            Column("UP-TO-DATE", _at("status", "updatedNumberScheduled", default="0")),
            Column("AVAILABLE", _at("status", "numberAvailable", default="0")),
        ),
        "Namespace": (Column("STATUS", _at("status", "phase", default="Active")),),
        "Secret": (Column("TYPE", _at("type", default="Opaque")), Column("DATA", _size("data"))),
        "ConfigMap": (Column("DATA", _size("data")),),
        "Ingress": (
            Column("CLASS", _at("spec", "ingressClassName")),
            Column("HOSTS", _ingress_hosts),
            Column("ADDRESS", _addresses),
            Column("PORTS", _ingress_ports),
        ),
        "IngressClass": (
            Column("CONTROLLER", _at("spec", "controller")),
            Column("PARAMETERS", _at("spec", "parameters", "name")),
        ),
        "Endpoints": (Column("ENDPOINTS", _endpoints),),
        "EndpointSlice": (
            Column("ADDRESSTYPE", _at("addressType")),
            Column("PORTS", _slice_ports),
            Column("ENDPOINTS", _slice_endpoints),
        ),
        "VirtualService": (
            Column("GATEWAYS", _json_list("spec", "gateways")),
            Column("HOSTS", _json_list("spec", "hosts")),
        ),
        "ServiceEntry": (
            Column("HOSTS", _json_list("spec", "hosts")),
            Column("LOCATION", _at("spec", "location", default="")),
            Column("RESOLUTION", _at("spec", "resolution", default="")),
        ),
        "WorkloadEntry": (Column("ADDRESS", _at("spec", "address", default="")),),
        "DestinationRule": (Column("HOST", _at("spec", "host")),),
        "PeerAuthentication": (Column("MODE", _at("spec", "mtls", "mode", default="")),),
        "KongPlugin": (
            Column("PLUGIN-TYPE", _at("plugin")),
            Column("DISABLED", _at("disabled", default=""), wide=True),
        ),
        "KongClusterPlugin": (Column("PLUGIN-TYPE", _at("plugin")),),
        "KongConsumer": (Column("USERNAME", _at("username")),),
        "GatewayClass": (
            Column("CONTROLLER", _at("spec", "controllerName")),
            Column("ACCEPTED", _condition("Accepted")),
        ),
        "gateways.gateway.networking.k8s.io": (
            Column("CLASS", _at("spec", "gatewayClassName")),
            Column("ADDRESS", _gateway_addresses),
            Column("PROGRAMMED", _condition("Programmed")),
        ),
        "HTTPRoute": (Column("HOSTNAMES", _json_list("spec", "hostnames")),),
        "GRPCRoute": (Column("HOSTNAMES", _json_list("spec", "hostnames")),),
        "TLSRoute": (Column("HOSTNAMES", _json_list("spec", "hostnames")),),
        "ListenerSet": (
            Column("ACCEPTED", _condition("Accepted")),
            Column("PROGRAMMED", _condition("Programmed")),
        ),
    }
)
"""Between NAME and AGE."""

_WIDE: Mapping[str, Sequence[Column]] = MappingProxyType(
    {
        "Pod": (Column("IP", _at("status", "podIP")), Column("NODE", _at("spec", "nodeName"))),
        "Service": (Column("SELECTOR", _selector("spec", "selector")),),
        "Deployment": (
            Column("CONTAINERS", _containers("name")),
            Column("IMAGES", _containers("image")),
            Column("SELECTOR", _selector("spec", "selector", "matchLabels")),
        ),
    }
)
"""After AGE, with `-o wide`."""


def columns_of(
    kind: str, resource: str, objects: Sequence[object], *, wide: bool
) -> tuple[Sequence[Column], Sequence[Column]]:
    """The columns between NAME and AGE, and those after AGE; two groups may have a kind of one name."""
    before = [
        column
        for column in _COLUMNS.get(resource, _COLUMNS.get(kind, ()))
        if (wide or not column.wide) and (not column.rare or any(column.cell(o) != _NONE for o in objects))
    ]
    return before, _WIDE.get(kind, ()) if wide else ()
