"""Statuses of Gateway API objects as an API server would answer them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from meshgate.app.condition_times import ConditionTimes
from meshgate.core.diagnostics import ObjectRef
from meshgate.model.edge_ports import real_ports
from meshgate.model.gateway_api import CLASS, CONTROLLER, GATEWAY_GROUP
from meshgate.model.graph import status_key
from meshgate.model.linking.gateway_api.classes import class_status
from meshgate.model.status import Condition, GatewayService, ListenerStatus, ObjectStatus, ParentStatus
from meshgate.sources.backend import JsonObject

_CLASS = status_key(ObjectRef("GatewayClass", "", CLASS, GATEWAY_GROUP))
"""Nobody has to declare it, so the model says nothing of it."""

PORTS_ANNOTATION = "meshgate.dev/listener-ports"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What of the listeners the gateway's Envoy has."""

    http_port: int
    https_port: int
    refused: Mapping[str, str]
    """Listener name -> why Envoy did not take it."""
    ready: bool


@dataclass(slots=True)
class GatewayStatuses:
    """The newest statuses, and since when each condition is as it is."""

    _times: ConditionTimes
    _statuses: Mapping[str, ObjectStatus] = field(default_factory=dict)

    def take(self, statuses: Mapping[str, ObjectStatus], now: str) -> None:
        """The newest statuses, and the time (RFC 3339) at which they hold."""
        statuses = {_CLASS: class_status(None), **statuses}
        holding = {n: c.holds for key, status in statuses.items() for n, c in _conditions(key, status)}
        self._times.take(holding, now)
        self._statuses = statuses

    def overlay(self, ref: ObjectRef, served: Served) -> JsonObject:
        """What the object that is shown has beside what was written; empty for other kinds."""
        key = status_key(ref)
        status = self._statuses.get(key)
        if status is None:
            return {}
        status = _as_served(status, served)
        found: dict[str, object] = {"status": self._shown(key, status)}
        if status.listeners is not None:
            ports = _real(status, served)
            text = json.dumps({one.name: ports[one.port] for one in status.listeners if one.port in ports})
            found["metadata"] = {"annotations": {PORTS_ANNOTATION: text}}
        return found

    def services(self) -> list[JsonObject]:
        """A Service for each Gateway, as Kubernetes' controllers make one; it routes nothing."""
        return [
            _service(key, self._times.since(f"{key}:Accepted"), status, status.service)
            for key, status in self._statuses.items()
            if status.service is not None
        ]

    def _shown(self, key: str, status: ObjectStatus) -> JsonObject:
        shown: dict[str, object] = {}
        if status.conditions:
            shown["conditions"] = self._listed(key, status.conditions, status.generation)
        if status.addresses is not None:
            shown["addresses"] = [{"type": "IPAddress", "value": value} for value in status.addresses]
        if status.listeners is not None:
            shown["listeners"] = [
                {
                    "name": one.name,
                    "supportedKinds": [{"group": group, "kind": kind} for group, kind in one.kinds],
                    "attachedRoutes": one.attached_routes,
                    "conditions": self._listed(f"{key}#{one.name}", one.conditions, status.generation),
                }
                for one in status.listeners
            ]
        if status.listener_sets is not None:
            shown["attachedListenerSets"] = status.listener_sets
        for name, parents in (("parents", status.parents), ("ancestors", status.ancestors)):
            if parents is not None:
                reference = "parentRef" if name == "parents" else "ancestorRef"
                shown[name] = [
                    {
                        reference: one.parent.written(),
                        "controllerName": CONTROLLER,
                        "conditions": self._listed(_parent_key(key, one), one.conditions, status.generation),
                    }
                    for one in parents
                ]
        if status.features is not None:
            shown["supportedFeatures"] = [{"name": name} for name in status.features]
        return shown

    def _listed(self, key: str, conditions: Iterable[Condition], generation: int) -> list[JsonObject]:
        found: list[JsonObject] = []
        for one in conditions:
            found.append(
                {
                    "type": one.type,
                    "status": "True" if one.holds else "False",
                    "reason": one.reason,
                    "message": one.message,
                    "observedGeneration": generation,
                    "lastTransitionTime": self._times.since(f"{key}:{one.type}"),
                }
            )
        return found


def _service(key: str, since: str, status: ObjectStatus, made: GatewayService) -> JsonObject:
    group, kind, namespace, name = key.split("/")
    owner = {"apiVersion": f"{group}/v1", "kind": kind, "name": name, "controller": True}
    metadata: dict[str, object] = {
        "name": made.name,
        "namespace": namespace,
        "creationTimestamp": since,
        "labels": dict(made.labels),
        "ownerReferences": [owner],
    }
    if made.annotations:
        metadata["annotations"] = dict(made.annotations)
    ports = {(one.port, one.datagrams): one.name for one in reversed(status.listeners or ()) if one.opened}
    listed = [
        {"name": name, "port": port, "protocol": "UDP" if datagrams else "TCP"}
        for (port, datagrams), name in sorted(ports.items())
    ]
    addresses = [{"ip": address} for address in status.addresses or ()]
    spec = {"type": "LoadBalancer", "ports": listed}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": spec,
        "status": {"loadBalancer": {"ingress": addresses}},
    }


def _conditions(key: str, status: ObjectStatus) -> Iterable[tuple[str, Condition]]:
    for one in status.conditions:
        yield f"{key}:{one.type}", one
    for listener in status.listeners or ():
        yield from ((f"{key}#{listener.name}:{c.type}", c) for c in listener.conditions)
    for parent in (*(status.parents or ()), *(status.ancestors or ())):
        yield from ((f"{_parent_key(key, parent)}:{c.type}", c) for c in parent.conditions)


def _parent_key(key: str, parent: ParentStatus) -> str:
    one = parent.parent
    return f"{key}@{one.kind}/{one.name}/{one.section}/{one.port}"


def _real(status: ObjectStatus, served: Served) -> Mapping[int, int]:
    """Of the listeners that are served; TCP and UDP do not take each other's ports."""
    listeners = status.listeners or ()
    found: dict[int, int] = {}
    for datagrams in (False, True):
        ports = [one.port for one in listeners if one.opened and one.datagrams is datagrams]
        found |= real_ports(ports, served.http_port, served.https_port)
    return found


def _as_served(status: ObjectStatus, served: Served) -> ObjectStatus:
    """`Programmed` is true only where Envoy has taken the listeners."""
    if not status.addresses or status.listeners is None:
        return status
    refused, ready = served.refused, served.ready
    listeners = tuple(_programmed(one, status.addresses, refused, ready) for one in status.listeners)
    programmed = [c for one in listeners for c in one.conditions if c.type == "Programmed"]
    bad = next((c for c in programmed if not c.holds), None)
    if listeners == status.listeners or bad is None:
        return status
    none_left = not any(c.holds for c in programmed)
    conditions = tuple(
        replace(bad, type="Programmed") if c.type == "Programmed" and c.holds and none_left else c
        for c in status.conditions
    )
    return replace(status, listeners=listeners, conditions=conditions)


def _programmed(
    one: ListenerStatus, addresses: tuple[str, ...], refused: Mapping[str, str], ready: bool
) -> ListenerStatus:
    if not one.opened:
        return one
    udp = "udp." if one.datagrams else ""
    names = (f"gateway.{address}.{udp}{one.port}" for address in addresses)
    why = next((refused[name] for name in names if name in refused), "")
    if ready and not why:
        return one
    reason = "Invalid" if why else "Pending"
    wrong = Condition(
        type="Programmed", holds=False, reason=reason, message=why or "the gateway's proxy is not ready yet"
    )
    return replace(one, conditions=tuple(wrong if c.type == "Programmed" else c for c in one.conditions))
